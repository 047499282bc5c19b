/** What travels beside a call's arguments, such as `{ traceparent }`. */
export type Metadata = Readonly<Record<string, unknown>>;

/** Options of one call. */
export interface CallOptions {
  /** Cancels the call here and at the peer: it rejects with the reason. */
  signal?: AbortSignal;
  /**
   * The longest wait for the answer in milliseconds. It travels with the call,
   * so that the peer stops too; then the call rejects with a `DOMException`
   * named `TimeoutError`. For a stream: the wait until it starts.
   *
   * @default {Infinity}
   */
  timeout?: number;
  /** Goes with the call, such as `{ traceparent }` or a token. */
  metadata?: Metadata;
}
