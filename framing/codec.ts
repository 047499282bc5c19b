/**
 * How a message becomes a frame's payload and back. Codecs hold no state
 * between calls, so one object serves any number of channels.
 *
 * @typeParam T The messages.
 */
export interface Codec<T> {
  /** The codec's name for messages and logs, such as `"json"`. */
  readonly name: string;
  /**
   * Encodes a message.
   *
   * @param value The message.
   * @returns Its bytes, which the caller owns (but see `borrows`).
   * @throws {FrameError} With the code `"invalid"` if the value can't be encoded.
   */
  encode(value: T): Uint8Array;
  /**
   * Decodes a message.
   *
   * @param bytes A frame's payload. The message may hold views into it.
   * @returns The message.
   * @throws {FrameError} With the code `"invalid"` if the bytes are no message.
   */
  decode(bytes: Uint8Array): T;
  /**
   * Like `encode`, without a copy: the bytes are the codec's own and valid
   * until its next call. {@linkcode channel} uses it to write small messages
   * straight into a batch.
   */
  encodeShared?(value: T): Uint8Array;
  /**
   * Whether `encode` returns its caller's own bytes, as {@linkcode bytes} does.
   * Then a large payload is sent without a copy, and `send` waits until the
   * transport took it.
   */
  readonly borrows?: boolean;
}
