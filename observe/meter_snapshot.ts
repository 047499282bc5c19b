import type { LatencySummary } from "./latency_histogram.ts";

/** What passed so far. */
export interface MeterSnapshot {
  /** Bytes that were handed to the transport. */
  readonly bytesSent: number;
  /** Bytes that were read from it. */
  readonly bytesReceived: number;
  /** Frames sent; without a `format`, chunks. */
  readonly messagesSent: number;
  /** Frames received; without a `format`, chunks. */
  readonly messagesReceived: number;
  /** Directions that broke, and bytes that were no frame. */
  readonly errors: number;
  /** Bytes that `writable` took and the transport has not. */
  readonly queuedBytes: number;
  /** The most that `queuedBytes` ever was. */
  readonly maxQueuedBytes: number;
  /** From when `writable` took a chunk until the transport had it. */
  readonly write: LatencySummary;
  /** From a message to its answer, see `MeterOptions.exchanges`. */
  readonly exchange: LatencySummary;
  /** Messages whose answer is waited for. */
  readonly pendingExchanges: number;
}

/** What `meter` adds to a duplex. */
export interface Metered {
  /** What passed so far. Works after the end, too. */
  snapshot(): MeterSnapshot;
}
