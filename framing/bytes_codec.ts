import { describe } from "../_async/check.ts";
import type { Codec } from "./codec.ts";
import { FrameError } from "./frame_error.ts";

/**
 * Messages that are bytes already. They pass as they are: a decoded message is
 * a view into what the transport received, and a payload of 16 KiB or more is
 * sent without a copy.
 *
 * @example Frames of bytes
 * ```ts
 * import { bytes } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(bytes.encode(new Uint8Array([1, 2])), new Uint8Array([1, 2]));
 * ```
 */
export const bytes: Codec<Uint8Array> = {
  name: "bytes",
  borrows: true,
  encode(value: Uint8Array): Uint8Array {
    if (value instanceof Uint8Array) return value;
    throw new FrameError(
      `Cannot encode message: expected a Uint8Array, received ${
        describe(value)
      }`,
      { code: "invalid" },
    );
  },
  decode: (payload: Uint8Array): Uint8Array => payload,
};
