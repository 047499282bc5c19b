import type { FrameFormat } from "../framing/format.ts";
import type { ConnectionMetrics } from "./connection_metrics.ts";

/** Options of `meter`. */
export interface MeterOptions {
  /** How messages are framed. Absent, each chunk counts as one. */
  format?: FrameFormat;
  /**
   * The longest frame that is followed, in bytes. A longer one counts as an
   * error, and from there on chunks are counted.
   *
   * @default {16777216}
   */
  maxFrameLength?: number;
  /**
   * Which messages wait for an answer: `"sent"` on the side that asks,
   * `"received"` on the side that answers, to time what answering takes. By
   * default none, and `exchange` stays empty.
   */
  exchanges?: "sent" | "received";
  /**
   * Which messages belong together: both have the same key. `undefined` is for
   * messages that are no part of an exchange. Absent, each answer is to the
   * oldest message that waits.
   */
  exchangeKey?: (
    payload: Uint8Array,
    direction: "sent" | "received",
  ) => string | number | undefined;
  /** Also counts into this, which exports to OpenTelemetry. */
  metrics?: ConnectionMetrics;
}
