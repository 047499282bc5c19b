// Starts the second process.

import { schemes } from "../mod.ts";
import { type Place, WORKER } from "./_places.ts";

/** A worker that can be connected to; disposing ends it. */
export interface Worker extends AsyncDisposable {
  readonly address: string;
}

/** Starts a worker that listens at `place`; one that connecting starts waits. */
export async function startWorker(place: Place): Promise<Worker> {
  const scheme = place.address.slice(0, place.address.indexOf(":"));
  if (!schemes({ listen: true }).includes(scheme)) {
    return { address: place.address, async [Symbol.asyncDispose]() {} };
  }
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", WORKER, place.address, JSON.stringify(place.listen)],
    stdin: "piped", // its end tells the worker to stop, also when we are killed
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(
    new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
  ).getReader();
  let line = "";
  while (!line.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) {
      await child.status;
      throw new Error(`The worker ended before it listened: ${line}`);
    }
    line += value;
  }
  return {
    address: line.trim(),
    async [Symbol.asyncDispose]() {
      await child.stdin.close();
      await reader.cancel();
      await child.status;
    },
  };
}
