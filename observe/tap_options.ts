import type { Codec } from "../framing/codec.ts";
import type { FrameFormat } from "../framing/format.ts";
import type { TapDataRecord } from "./tap_record.ts";

/** What {@linkcode TapOptions.redact} leaves of a frame. */
export interface Redacted {
  /** Takes the message's place. Absent: no message is shown. */
  message?: unknown;
  /** Take the payload's place. Absent: no bytes are shown. */
  bytes?: Uint8Array;
}

/** Options of `tap`. */
export interface TapOptions {
  /**
   * `false` returns the duplex as it is, which costs nothing. To turn a tap on
   * and off while it runs, set {@linkcode TapSink.enabled}.
   *
   * @default {true}
   */
  enabled?: boolean;
  /**
   * What records call the connection.
   *
   * @default {connection.remote}
   */
  name?: string;
  /**
   * Which side this process is on, for sinks that draw both.
   *
   * @default {"client"}
   */
  role?: "client" | "server";
  /**
   * How payloads are framed. Absent is the raw mode: chunks are recorded as they
   * were read and written.
   */
  format?: FrameFormat;
  /** Decodes payloads for the records. Needs a `format`. */
  codec?: Codec<unknown>;
  /**
   * The longest frame that the tap follows, in bytes. A longer one is recorded
   * as malformed, and what follows as bytes.
   *
   * @default {16777216}
   */
  maxFrameLength?: number;
  /**
   * How many bytes of a payload are kept for the sink. What is longer is cut and
   * not decoded.
   *
   * @default {65536}
   */
  captureLength?: number;
  /**
   * After how many milliseconds a frame that stays partial is recorded.
   *
   * @default {1000}
   */
  partialFrameNotice?: number;
  /**
   * Takes secrets out of a record before a sink sees it. Only what it returns
   * is shown; `undefined` leaves the record out. If it throws, so does that.
   */
  redact?: (record: TapDataRecord) => Redacted | undefined;
}
