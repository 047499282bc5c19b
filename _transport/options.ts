// The options that every byte connection takes, on either side.

import { checkInteger } from "../_async/check.ts";
import { checkTimeout } from "../_async/wait.ts";

/** How a connection's streams behave, whatever the transport. */
export interface ByteStreamOptions {
  /**
   * Aborts the connection after so many milliseconds without a byte either
   * way. It is checked once per period, so the end comes within two.
   *
   * @default {Infinity}
   */
  idleTimeout?: number;
  /**
   * How long `close` may go without sending a byte before it aborts, in
   * milliseconds.
   *
   * @default {5000}
   */
  closeTimeout?: number;
  /**
   * How many bytes `writable` queues before its `ready` asks to wait.
   *
   * @default {65536}
   */
  highWaterMark?: number;
}

/** Throws where an option is out of range. */
export function checkStreamOptions(options: ByteStreamOptions): void {
  const { idleTimeout, closeTimeout, highWaterMark } = options;
  if (idleTimeout !== undefined) checkAboveZero("idleTimeout", idleTimeout);
  if (closeTimeout !== undefined) checkAboveZero("closeTimeout", closeTimeout);
  if (highWaterMark !== undefined) {
    checkInteger("highWaterMark", highWaterMark, 0);
  }
}

function checkAboveZero(name: string, timeout: number): void {
  if (checkTimeout(name, timeout) === 0) {
    throw new RangeError(
      `Invalid ${name}: expected milliseconds above 0, received 0`,
    );
  }
}
