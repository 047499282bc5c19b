/** The bounds of a frame's payload, in bytes, on either side. */
export interface FrameLimits {
  /**
   * The longest payload. A longer one is refused from its prefix, before
   * anything is allocated for it.
   *
   * @default {16777216}
   */
  maxFrameLength?: number;
  /**
   * The shortest payload.
   *
   * @default {0}
   */
  minFrameLength?: number;
}

/**
 * Finds the frames in bytes that come in any pieces. A decoder does no I/O, and
 * one that threw is finished: each later call throws the same error.
 */
export interface FrameDecoder {
  /**
   * Takes the next bytes.
   *
   * A frame that lies within `chunk` is a view into it; one that spans chunks is
   * copied into a buffer that grows with what arrived. So `chunk` must not be
   * overwritten while its frames are in use.
   *
   * @param chunk The bytes as they came. It may be empty.
   * @param emit Called with the payload of each frame that is now whole.
   * @throws {FrameError} If the bytes can't be a frame within the limits.
   * @throws {TypeError} If the chunk is no `Uint8Array`.
   */
  push(chunk: Uint8Array, emit: (frame: Uint8Array) => void): void;
  /**
   * Tells that no more bytes follow.
   *
   * @param emit Called with the last frame where the format allows one without
   * an end ({@linkcode lines} with `allowUnterminated`).
   * @throws {FrameError} With the code `"truncated"` if a frame is partial; the
   * message tells how many bytes came of how many.
   */
  end(emit?: (frame: Uint8Array) => void): void;
  /** Bytes of a partial frame that are held now. 0 between frames. */
  readonly buffered: number;
  /** The payload length that the partial frame promised, where it is known. */
  readonly expected: number | undefined;
}

/**
 * How payloads become a stream of bytes and back. Formats are immutable and
 * hold no state, so one object serves any number of connections.
 *
 * A frame is `header`, `payload`, `trailer`. The three members that write one
 * allocate nothing, so that a caller can put many frames into one buffer.
 */
export interface FrameFormat {
  /** The format's name for messages and logs, such as `"lengthPrefixed(4)"`. */
  readonly name: string;
  /** The bytes after each payload. Empty for most formats. */
  readonly trailer: Uint8Array;
  /**
   * Makes a decoder for one stream.
   *
   * @param limits The bounds of a payload.
   * @throws {RangeError} If a limit is no integer of 0 or more.
   */
  createDecoder(limits?: FrameLimits): FrameDecoder;
  /**
   * The bytes before a payload of this length.
   *
   * @throws {FrameError} With the code `"too-long"` if the header can't express
   * the length.
   */
  headerLength(payloadLength: number): number;
  /** Writes the header of a payload of this length to `into` at `offset`. */
  writeHeader(into: Uint8Array, offset: number, payloadLength: number): void;
  /**
   * Checks that the payload can be told apart from what surrounds it. Absent
   * where every payload can.
   *
   * @throws {FrameError} With the code `"malformed"` if it can't.
   */
  checkPayload?(payload: Uint8Array): void;
}
