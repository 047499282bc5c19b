// Payloads to messages.

import type { Codec } from "../framing/codec.ts";
import type { FrameError } from "../framing/frame_error.ts";
import { invalidMessage } from "../framing/_invalid_message.ts";
import type { RangeCodec } from "../framing/_range_codec.ts";
import { transferredEarlier } from "../framing/_transferred.ts";
import type { Check } from "../framing/_validate.ts";

/** What decodes and checks a message. */
export interface DecodeParts<In> {
  codec: Codec<unknown>;
  /** The codec, where it needs no view of a payload. */
  rangeCodec: RangeCodec | undefined;
  check: Check<In> | undefined;
  onInvalid: ((error: FrameError) => void) | undefined;
}

/** Told apart from every message. */
export const NOTHING = Symbol("nothing");

/** A message that was refused, in its place. */
export class Refused {
  constructor(readonly error: FrameError) {}
}

/** A message or what refused it; a promise of either where the check is async. */
export type Item<In> = In | Refused | Promise<In | Refused>;

/**
 * The message whose payload is `bytes` from `start` to `end`; `NOTHING` for one
 * that `onInvalid` was told of.
 */
export function decode<In>(
  bytes: Uint8Array,
  start: number,
  end: number,
  { codec, rangeCodec, check, onInvalid }: DecodeParts<In>,
): Item<In> | typeof NOTHING {
  try {
    if (bytes.length < end) {
      throw transferredEarlier();
    }
    const message = rangeCodec === undefined
      ? codec.decode(bytes.subarray(start, end))
      : rangeCodec.decodeRange(bytes, start, end);
    if (check === undefined) return message as In;
    const checked = check(message);
    if (!(checked instanceof Promise)) return checked;
    return checked.catch((error) =>
      new Refused(invalidMessage("decode", error))
    );
  } catch (thrown) {
    const error = invalidMessage("decode", thrown);
    if (onInvalid === undefined) return new Refused(error);
    onInvalid(error);
    return NOTHING;
  }
}
