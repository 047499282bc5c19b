import type { FrameDecoder, FrameFormat, FrameLimits } from "./format.ts";
import { HeaderDecoder, type LengthHeader } from "./_header_decoder.ts";
import { malformed } from "./_limits.ts";

/** 10 groups of 7 bits hold 64 bits. */
const MAX_BYTES = 10;
const EMPTY = new Uint8Array(0);

/**
 * Frames with their length in front as an unsigned LEB128 number, as protobuf's
 * "delimited" messages have it: 7 bits a byte, the lowest first, and the high
 * bit set on all but the last.
 *
 * ```text
 *  0            1..10
 * +------------+--------------+
 * | length     | payload      |
 * +------------+--------------+
 * ```
 *
 * A length in more bytes than it needs is refused.
 *
 * @example Two bytes for a length above 127
 * ```ts
 * import { encodeFrame, varint } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const frame = encodeFrame(varint(), new Uint8Array(300));
 * assertEquals(frame.subarray(0, 2), new Uint8Array([0xac, 0x02]));
 * ```
 *
 * @returns The format.
 */
export function varint(): FrameFormat {
  return VARINT;
}

const VARINT: FrameFormat = {
  name: "varint",
  trailer: EMPTY,
  createDecoder: (limits?: FrameLimits): FrameDecoder =>
    new HeaderDecoder(new VarintHeader(), limits),
  headerLength(payloadLength: number): number {
    let bytes = 1;
    while (payloadLength > 127) {
      payloadLength = Math.floor(payloadLength / 128);
      bytes++;
    }
    return bytes;
  },
  writeHeader(into: Uint8Array, offset: number, payloadLength: number): void {
    while (payloadLength > 127) {
      into[offset++] = (payloadLength % 128) | 128;
      payloadLength = Math.floor(payloadLength / 128);
    }
    into[offset] = payloadLength;
  },
};

class VarintHeader implements LengthHeader {
  readonly maxLength = MAX_BYTES;
  length = 0;
  #exact = 0n;

  read(bytes: Uint8Array, start: number, end: number): number {
    const stop = Math.min(end, start + MAX_BYTES);
    let value = 0, scale = 1;
    for (let at = start; at < stop; at++) {
      const byte = bytes[at];
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (byte === 0 && at > start) {
          throw malformed("its varint length has more bytes than it needs");
        }
        this.length = value;
        if (value > Number.MAX_SAFE_INTEGER) this.#recount(bytes, start, at);
        return at - start + 1;
      }
      scale *= 128;
    }
    if (end - start >= MAX_BYTES) {
      throw malformed(`its varint length has more than ${MAX_BYTES} bytes`);
    }
    return 0;
  }

  #recount(bytes: Uint8Array, start: number, last: number): void {
    this.#exact = 0n;
    for (let at = last; at >= start; at--) {
      this.#exact = (this.#exact << 7n) | BigInt(bytes[at] & 127);
    }
  }

  exact(): string {
    return this.length > Number.MAX_SAFE_INTEGER
      ? String(this.#exact)
      : String(this.length);
  }
}
