// The other processes of the soak.

import { fileURLToPath } from "node:url";
import type { Place } from "../demo/_places.ts";

/** A process of the soak; disposing kills it. */
export interface Child extends AsyncDisposable {
  readonly pid: number;
  /** What it printed first: of a server, its address. */
  readonly address: string;
  /** SIGKILL, and wait. */
  kill(): Promise<void>;
}

/** The program of all of them. */
export const PEER: string = fileURLToPath(new URL("_peer.ts", import.meta.url));

/** Starts a server of its own at `place`; `name` keeps two apart. */
export function startServer(place: Place, name: string): Promise<Child> {
  const address = /^(tcp|tls):/.test(place.address)
    ? place.address
    : `${place.address}.${name}`;
  return start(["serve", address, JSON.stringify(place.listen)]);
}

/** Starts a client that talks to `address` until it is killed. */
export function startVictim(place: Place, address: string): Promise<Child> {
  return start(["talk", address, JSON.stringify(place.connect)]);
}

async function start(args: string[]): Promise<Child> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", PEER, ...args],
    stdin: "piped", // its end tells the process to stop, also when we are killed
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(
    new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
  ).getReader();
  let line = "";
  while (!line.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`A process of the soak ended: ${args.join(" ")}`);
    line += value;
  }
  let killed: Promise<void> | undefined;
  const kill = () =>
    killed ??= (async () => {
      child.kill("SIGKILL");
      await child.status;
      await reader.cancel();
      await child.stdin.close().catch(() => {});
    })();
  return {
    pid: child.pid,
    address: line.trim(),
    kill,
    [Symbol.asyncDispose]: kill,
  };
}
