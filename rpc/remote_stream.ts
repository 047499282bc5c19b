/**
 * What a caller reads when the handler returned an async iterable, and a
 * handler when its caller passed one. Leaving the loop, `return()` or disposal
 * ends the source on the other side, which runs its `finally`.
 */
export interface RemoteStream<T>
  extends AsyncIterableIterator<T, undefined, undefined>, AsyncDisposable {
  /** The next item. */
  next(): Promise<IteratorResult<T, undefined>>;
  /** Ends the source on the other side. */
  return(): Promise<IteratorResult<T, undefined>>;
  /** This stream. It can be read once. */
  [Symbol.asyncIterator](): RemoteStream<T>;
}
