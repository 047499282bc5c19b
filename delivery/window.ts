import { checkInteger } from "../_async/check.ts";

/**
 * How much one side may send before the other has acknowledged it. Each side
 * tells the other its own window, and keeps the smaller of the two.
 */
export interface Window {
  /**
   * Messages on their way.
   *
   * @default {16384}
   */
  maxMessages?: number;
  /**
   * Bytes of payload on their way. One message may exceed it, so that none is
   * too long for it.
   *
   * @default {1048576}
   */
  maxBytes?: number;
}

/** The window with its defaults, checked. */
export function resolveWindow(window: Window = {}): Required<Window> {
  const { maxMessages = 16 * 1024, maxBytes = 1024 * 1024 } = window;
  checkInteger("window.maxMessages", maxMessages, 1, 2 ** 31 - 1);
  checkInteger("window.maxBytes", maxBytes, 1, 2 ** 32 - 1);
  return { maxMessages, maxBytes };
}
