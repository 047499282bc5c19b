import { LatencyHistogram } from "./latency_histogram.ts";

/** The counters of a connection, or of a group of them. */
export class Totals {
  bytesSent = 0;
  bytesReceived = 0;
  messagesSent = 0;
  messagesReceived = 0;
  errors = 0;
  queuedBytes = 0;
  maxQueuedBytes = 0;
  open = 0;
  readonly write: LatencyHistogram = new LatencyHistogram();
  readonly exchange: LatencyHistogram = new LatencyHistogram();
  /** Told of each time that is recorded, in milliseconds. */
  onTime: ((what: "write" | "exchange", time: number) => void) | undefined;

  queue(length: number): void {
    this.queuedBytes += length;
    if (this.queuedBytes > this.maxQueuedBytes) {
      this.maxQueuedBytes = this.queuedBytes;
    }
  }

  time(what: "write" | "exchange", milliseconds: number): void {
    this[what].record(milliseconds);
    this.onTime?.(what, milliseconds);
  }
}
