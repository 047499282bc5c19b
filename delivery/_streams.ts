// What a channel is besides `receive`: a stream and an iterator.

import { isCleanEnd } from "../framing/_channel_errors.ts";
import { NOTHING, Refused } from "./_decode.ts";
import type { Incoming } from "./_incoming.ts";

/** The parts of a channel that its stream of messages needs. */
export interface MessageSource<T> {
  receive(): Promise<T>;
  abort(reason: unknown): void;
}

/** The messages as a stream, one by one. */
export function messageStream<T>(
  source: MessageSource<T>,
  cancel: () => Promise<void> | void,
): ReadableStream<T> {
  return new ReadableStream<T>({
    pull: async (controller) => {
      try {
        controller.enqueue(await source.receive());
      } catch (error) {
        if (isCleanEnd(error)) return controller.close();
        controller.error(error);
        source.abort(error);
      }
    },
    cancel,
  }, { highWaterMark: 0 });
}

/** What an iterator's `next` returns for a message that is waited for. */
export function iteration<T>(received: Promise<T>): Promise<IteratorResult<T>> {
  return received.then(
    (value) => ({ done: false, value }),
    (error) => {
      if (isCleanEnd(error)) return { done: true, value: undefined };
      throw error;
    },
  );
}

/** Takes what is here at once, and receives the rest. */
export function messageIterator<In>(
  incoming: Incoming<In>,
  receive: () => Promise<In>,
): AsyncIterator<In> {
  return {
    next: () => {
      incoming.settle();
      const item = incoming.take();
      if (item === NOTHING) return iteration(receive());
      return item instanceof Refused
        ? Promise.reject(item.error)
        : Promise.resolve({ done: false, value: item });
    },
  };
}
