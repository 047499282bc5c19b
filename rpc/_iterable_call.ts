// A call that can be iterated: `for await (const x of api.list())`.

import { streamKind } from "./_values.ts";

type Iterable = Promise<unknown> & Partial<AsyncIterable<unknown>>;

/** Lets `for await` run over the promise of a call. */
export function iterable(promise: Promise<unknown>): Promise<unknown> {
  (promise as Iterable)[Symbol.asyncIterator] = iterate;
  return promise;
}

function iterate(this: Promise<unknown>): AsyncIterator<unknown> {
  let iterator: AsyncIterator<unknown> | undefined;
  const start = this.then((stream) => {
    if (streamKind(stream) === undefined) {
      throw new TypeError(
        "Cannot iterate over the result: the handler returned no stream",
      );
    }
    const iterable = stream as AsyncIterable<unknown>;
    return iterator = iterable[Symbol.asyncIterator]();
  });
  const over = { done: true, value: undefined } as const;
  return {
    next: () => iterator?.next() ?? start.then((first) => first.next()),
    return: async () =>
      await (iterator ?? await start).return?.() ?? Promise.resolve(over),
  };
}
