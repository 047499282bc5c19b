// One of several threads of a process that serve and connect at once.

import { client, serve } from "../../mod.ts";

/** What of a worker's scope is used here. */
const scope = globalThis as unknown as {
  readonly name: string;
  onmessage(event: MessageEvent<{ addresses: string[]; rounds: number }>): void;
  postMessage(message: string): void;
};

const handlers = { echo: (text: string) => text };

/** Serves at the addresses for good, and opens and closes files meanwhile. */
async function serveAt(addresses: string[]): Promise<void> {
  for (const address of addresses) await serve(address, handlers);
  const files: Deno.FsFile[] = [];
  setInterval(() => {
    if (files.length < 3) files.push(Deno.openSync("/dev/null"));
    else files.shift()!.close();
  }, 1);
}

/** Connects, calls and closes again, so many times. */
async function callAll(addresses: string[], rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const address = addresses[round % addresses.length];
    await using peer = await client<typeof handlers>(address);
    const text = `${round} of ${scope.name}`;
    if (await peer.echo(text) !== text) {
      throw new Error(`${text}: wrong answer`);
    }
  }
}

scope.onmessage = async ({ data: { addresses, rounds } }) => {
  try {
    if (scope.name === "server") await serveAt(addresses);
    else {
      await Promise.all([
        callAll(addresses, rounds),
        callAll(addresses.toReversed(), rounds),
      ]);
    }
    scope.postMessage("done");
  } catch (error) {
    scope.postMessage(String(error));
  }
};
