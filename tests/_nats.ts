// A NATS server for tests, in a process and on a port of its own.

import { hasProgram } from "./_tools.ts";

/** Whether there is a server to start. */
export const hasNats = hasProgram("nats-server");

/** A running server; disposing stops it. */
export interface NatsServer extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly address: string;
  /** SIGSTOP: it answers no more. */
  pause(): void;
  /** SIGKILL, and wait. */
  kill(): Promise<void>;
}

/** Starts a server on a free port, or on the one given. */
export async function startNats(
  { port = -1, args = [] }: { port?: number; args?: string[] } = {},
): Promise<NatsServer> {
  const child = new Deno.Command("nats-server", {
    args: ["-a", "127.0.0.1", "-p", String(port), ...args],
    stdout: "null",
    stderr: "piped",
  }).spawn();
  // The log says when it is ready; the file, on which port.
  const reader = child.stderr.pipeThrough(
    new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
  ).getReader();
  let log = "";
  while (!log.includes("Server is ready")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`nats-server ended: ${log}`);
    log += value;
  }
  const found = /client connections on 127\.0\.0\.1:(\d+)/.exec(log);
  const drained = (async () => {
    while (!(await reader.read()).done);
  })();
  let killed = false;
  const kill = async () => {
    if (killed) return;
    killed = true;
    child.kill("SIGKILL");
    await child.status;
    await drained;
  };
  return {
    address: `127.0.0.1:${found?.[1]}`,
    pause: () => child.kill("SIGSTOP"),
    kill,
    [Symbol.asyncDispose]: kill,
  };
}
