// Where bytes come from, pulled one chunk at a time.

import { describe } from "../_async/check.ts";
import type { Bytes, PipelineInput } from "./options.ts";

/** A source of bytes with one reader. */
export interface Source {
  /** The next chunk, or `null` at the end and after `cancel`. */
  next(): Promise<Uint8Array | null>;
  /** Whether its chunks are nobody else's: they may be transferred. */
  readonly owned?: boolean;
  /** Ends it: what waits gets `null`. Returns at once. */
  cancel(): void;
}

const encoder = new TextEncoder();

/** Nothing at all. */
export const EMPTY: Source = {
  next: () => Promise.resolve(null),
  cancel() {},
};

/** Throws where `value` is nothing that {@linkcode sourceOf} takes. */
export function checkInput(what: string, value: PipelineInput): void {
  if (typeof value === "string" || value instanceof Uint8Array) return;
  if (isAsyncIterable(value) || isIterable(value)) return;
  throw new TypeError(
    `${what}: expected a string, a Uint8Array, a stream or an iterable of ` +
      `them, received ${describe(value)}`,
  );
}

/** The source of a value that a user passed. */
export function sourceOf(what: string, value: PipelineInput): Source {
  if (typeof value === "string" || value instanceof Uint8Array) {
    return singleSource(toBytes(what, value));
  }
  if (value instanceof ReadableStream) return streamSource(what, value);
  return iterableSource(what, isAsyncIterable(value) ? value : later(value));
}

function isAsyncIterable(value: unknown): value is AsyncIterable<Bytes> {
  return typeof Object(value)[Symbol.asyncIterator] === "function";
}

function isIterable(value: unknown): value is Iterable<Bytes> {
  return typeof Object(value)[Symbol.iterator] === "function";
}

async function* later(values: Iterable<Bytes>): AsyncGenerator<Bytes> {
  yield* values;
}

function toBytes(what: string, value: Bytes): Uint8Array {
  if (typeof value === "string") return encoder.encode(value);
  if (value instanceof Uint8Array) return value;
  throw new TypeError(
    `${what}: expected a string or a Uint8Array, received ${describe(value)}`,
  );
}

function singleSource(bytes: Uint8Array): Source {
  let rest: Uint8Array | null = bytes;
  return {
    next() {
      const chunk = rest;
      rest = null;
      return Promise.resolve(chunk);
    },
    cancel: () => rest = null,
  };
}

/** A stream's chunks; locks it. */
export function streamSource(
  what: string,
  stream: ReadableStream<Bytes>,
): Source {
  const reader = stream.getReader();
  return {
    async next() {
      const { value, done } = await reader.read();
      return done ? null : toBytes(what, value);
    },
    cancel: () => void reader.cancel().catch(() => {}),
  };
}

/** The chunks of an async iterable. */
export function iterableSource(
  what: string,
  iterable: AsyncIterable<Bytes>,
): Source {
  const iterator = iterable[Symbol.asyncIterator]();
  const cancelled = Promise.withResolvers<null>();
  let ended = false;
  return {
    next() {
      if (ended) return Promise.resolve(null);
      const step = iterator.next().then(({ value, done }) => {
        if (!done) return toBytes(what, value);
        ended = true;
        return null;
      });
      step.catch(() => {}); // it may come after the end of the race
      return Promise.race([step, cancelled.promise]);
    },
    cancel() {
      if (ended) return;
      ended = true;
      cancelled.resolve(null);
      // A generator that waits gets it only afterwards: nobody waits for that.
      try {
        iterator.return?.().then(() => {}, () => {});
      } catch { // its own affair
      }
    },
  };
}

/** Two sources as one, in the order in which chunks arrive. */
export function mergeSources(a: Source, b: Source): Source {
  const sources = [a, b];
  const pending = new Map<Source, Promise<[Source, Uint8Array | null]>>();
  const pull = (source: Source) => {
    const reading = source.next().then(
      (chunk) => [source, chunk] as [Source, Uint8Array | null],
    );
    reading.catch(() => {});
    pending.set(source, reading);
  };
  let started = false;
  return {
    async next() {
      if (!started) sources.forEach(pull);
      started = true;
      while (pending.size > 0) {
        const [source, chunk] = await Promise.race(pending.values());
        pending.delete(source);
        if (chunk === null) continue;
        pull(source);
        return chunk;
      }
      return null;
    },
    cancel: () => sources.forEach((source) => source.cancel()),
  };
}

/** A source as a stream, for code that a user wrote. */
export function toStream(source: Source): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    type: "bytes",
    async pull(controller) {
      let chunk = await source.next();
      // Who reads would wait for ever where a pull brings nothing.
      while (chunk?.byteLength === 0) chunk = await source.next();
      if (chunk === null) {
        controller.close();
        (controller as ReadableByteStreamController).byobRequest?.respond(0);
      } else {
        // Enqueuing detaches the chunk's buffer.
        const own = source.owned ? chunk : chunk.slice();
        controller.enqueue(own as Uint8Array<ArrayBuffer>);
      }
    },
    cancel: () => source.cancel(),
  }, { highWaterMark: 0 });
}
