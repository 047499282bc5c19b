// Joining two ends: bytes both ways, or messages and lines of a terminal.

import type { Duplex } from "../duplex.ts";
import { within } from "../_async/wait.ts";
import { channel } from "../framing/mod.ts";
import type { LineMessages } from "./_messages.ts";
import { UsageError } from "./_command.ts";
import { printable, type Terminal } from "./_terminal.ts";

/**
 * How long standard input is read on after the peer ended, in ms, as by socat,
 * and for as long again where the peer took some of it meanwhile.
 */
const LAST_WORDS = 500;

/**
 * This process's own standard input and output. On a terminal, what comes is
 * shown without what would drive the terminal, unless it is `raw`.
 */
export function ownStdio(terminal: Terminal, raw: boolean): Duplex {
  if (raw || !Deno.stdout.isTerminal()) {
    return {
      readable: Deno.stdin.readable,
      writable: new WritableStream({
        write: (bytes) => terminal.write(bytes),
      }),
    };
  }
  const decoder = new TextDecoder();
  const show = (text: string) =>
    terminal.write(
      new TextEncoder().encode(printable(text.replaceAll("\r\n", "\n"))),
    );
  return {
    readable: Deno.stdin.readable,
    writable: new WritableStream({
      write: (bytes) => show(decoder.decode(bytes, { stream: true })),
      close: () => show(decoder.decode()),
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
  terminal: Terminal,
  raw: boolean,
): Promise<void> {
  const { signal } = terminal;
  const stdio = ownStdio(terminal, raw);
  const ended = new AbortController();
  const counted = { chunks: 0 };
  const sending = stdio.readable.pipeTo(countTo(connection.writable, counted), {
    signal: AbortSignal.any([signal, ended.signal]),
  });
  const failed = sending.then(() => new Promise<never>(() => {}));
  failed.catch(() => {}); // also after the peer ended
  await Promise.race([
    connection.readable.pipeTo(stdio.writable, { signal }),
    failed,
  ]);
  // The peer may only have ended its own side: what is here already still goes.
  if (!Deno.stdin.isTerminal()) {
    const sent = sending.then(() => true, () => true);
    for (let seen = -1; seen !== counted.chunks;) {
      seen = counted.chunks;
      const isOver = within(sent, "Cannot send", {
        signal,
        timeout: LAST_WORDS,
      })
        .catch(() => signal.aborted);
      if (await isOver) break;
    }
  }
  ended.abort();
  await sending.catch(() => {});
}

/** Counts what `writable` took. */
function countTo(
  writable: WritableStream<Uint8Array>,
  counted: { chunks: number },
): WritableStream<Uint8Array> {
  const writer = writable.getWriter();
  return new WritableStream({
    async write(chunk) {
      await writer.write(chunk);
      counted.chunks++;
    },
    close: () => writer.close(),
    abort: (reason) => writer.abort(reason),
  });
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
  let unsent = 0;
  const send = async (line: string) => {
    try {
      await peer.send(parse(line));
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      terminal.note(`Not sent: ${error.message}`); // typed by hand: go on
      unsent++;
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
    if (unsent > 0 && !Deno.stdin.isTerminal()) { // a script has to know
      throw new Error(`${unsent} of the lines could not be sent`);
    }
  } finally {
    terminal.signal.removeEventListener("abort", abort);
    await input.cancel().catch(() => {});
    await peer.close().catch(() => {});
  }
}
