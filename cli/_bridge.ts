// Joining two ends: bytes both ways, or messages and lines of a terminal.

import type { Duplex } from "../duplex.ts";
import { channel } from "../framing/mod.ts";
import type { LineMessages } from "./_messages.ts";
import { UsageError } from "./_command.ts";
import type { Terminal } from "./_terminal.ts";

/** This process's own standard input and output. */
export function ownStdio(): Duplex {
  return {
    readable: Deno.stdin.readable,
    writable: new WritableStream({
      async write(bytes) {
        for (let at = 0; at < bytes.length;) {
          at += await Deno.stdout.write(bytes.subarray(at));
        }
      },
    }),
  };
}

/**
 * Carries bytes both ways until both ended. A side that ended is half-closed, so
 * that answers still come back.
 */
export async function bridge(
  one: Duplex,
  other: Duplex,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all([
    one.readable.pipeTo(other.writable, { signal }),
    other.readable.pipeTo(one.writable, { signal }),
  ]);
}

/**
 * Carries bytes between a connection and this process's stdio, until the peer
 * ends: like `nc`, it goes on after the end of standard input.
 */
export async function bridgeStdio(
  connection: Duplex,
  signal: AbortSignal,
): Promise<void> {
  const stdio = ownStdio();
  const ended = new AbortController();
  const sending = stdio.readable.pipeTo(connection.writable, {
    signal: AbortSignal.any([signal, ended.signal]),
  });
  const failed = sending.then(() => new Promise<never>(() => {}));
  failed.catch(() => {}); // also after the peer ended
  await Promise.race([
    connection.readable.pipeTo(stdio.writable, { signal }),
    failed,
  ]);
  ended.abort();
  await sending.catch(() => {});
}

/** Sends each line of standard input as a message, prints each that comes. */
export async function talk(
  connection: Duplex,
  messages: LineMessages,
  terminal: Terminal,
): Promise<void> {
  const { format, codec, parse, show } = messages;
  const peer = channel<unknown>(connection, { format, codec });
  const abort = () => peer.abort(terminal.signal.reason);
  terminal.signal.addEventListener("abort", abort, { once: true });
  const input = Deno.stdin.readable.pipeThrough(
    new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
  ).getReader();
  const send = async (line: string) => {
    try {
      await peer.send(parse(line));
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      terminal.note(`Not sent: ${error.message}`); // typed by hand: go on
    }
  };
  const sending = (async () => {
    let rest = "";
    for (;;) {
      const { value, done } = await input.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop()!;
      for (const line of lines) await send(line.replace(/\r$/, ""));
    }
    if (rest !== "") await send(rest);
    await peer.writable.close();
  })();
  sending.catch((error) => peer.abort(error));
  try {
    for await (const message of peer) terminal.print(show(message));
    terminal.signal.throwIfAborted();
  } finally {
    terminal.signal.removeEventListener("abort", abort);
    await input.cancel().catch(() => {});
    await peer.close().catch(() => {});
  }
}
