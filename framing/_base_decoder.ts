import { describe } from "../_async/check.ts";
import type { FrameDecoder, FrameLimits } from "./format.ts";
import { FrameError } from "./frame_error.ts";
import { resolveLimits } from "./_limits.ts";

/** What all decoders share: limits, and an error that lasts. */
export abstract class BaseDecoder implements FrameDecoder {
  protected readonly limits: Required<FrameLimits>;
  #error: unknown;

  constructor(limits?: FrameLimits) {
    this.limits = resolveLimits(limits);
  }

  abstract readonly buffered: number;

  get expected(): number | undefined {
    return undefined;
  }

  push(chunk: Uint8Array, emit: (frame: Uint8Array) => void): void {
    if (this.#error !== undefined) throw this.#error;
    try {
      if (!(chunk instanceof Uint8Array)) throw notBytes(chunk);
      this.decode(chunk, emit);
    } catch (error) {
      throw this.fail(error);
    }
  }

  /** Makes the error last, and returns it. */
  protected fail(error: unknown): unknown {
    this.#error = error;
    this.drop();
    return error;
  }

  end(emit?: (frame: Uint8Array) => void): void {
    if (this.#error !== undefined) throw this.#error;
    if (this.buffered === 0) return;
    if (emit !== undefined && this.finish(emit)) return;
    this.#error = new FrameError(
      `Cannot decode frame: the stream ended ${this.progress()}`,
      { code: "truncated" },
    );
    this.drop();
    throw this.#error;
  }

  protected abstract decode(
    chunk: Uint8Array,
    emit: (frame: Uint8Array) => void,
  ): void;

  /** Lets go of what is held. */
  protected abstract drop(): void;

  /** How far the partial frame is: "after 12 of 40 bytes". */
  protected progress(): string {
    return this.expected === undefined
      ? `inside a frame, after ${this.buffered} bytes`
      : `after ${this.buffered} of ${this.expected} bytes`;
  }

  /** Takes the partial frame as the last one where the format allows that. */
  protected finish(_emit: (frame: Uint8Array) => void): boolean {
    return false;
  }
}

function notBytes(chunk: unknown): TypeError {
  return new TypeError(
    `Cannot decode frame: expected a Uint8Array, received ${describe(chunk)}`,
  );
}
