import type { FrameFormat } from "../framing/format.ts";

/** The connection that a record is about. */
export interface TappedConnection {
  /** Counts the taps of this process, from 1. */
  readonly id: number;
  /** What the tap was told to call it. */
  readonly name: string;
  /** This side's address, or `""` for a duplex that has none. */
  readonly local: string;
  /** The peer's address, or `""`. */
  readonly remote: string;
  /** Which side this process is on. */
  readonly role: "client" | "server";
}

/** What every record of one connection has. */
export interface TapRecordBase {
  /** Which connection it is. */
  readonly connection: TappedConnection;
  /**
   * Milliseconds since 1970, with fractions. Counted by the monotonic clock from
   * the start of the process, so that a clock that is set doesn't reorder records.
   */
  readonly time: number;
}

/** Which way bytes went, as the tapped side sees it. */
export type TapDirection = "sent" | "received";

/** A tap was put on. */
export interface TapOpenRecord extends TapRecordBase {
  /** Tells the records apart. */
  readonly kind: "open";
}

/** A frame passed, or in raw mode, a chunk of bytes as it was read or written. */
export interface TapDataRecord extends TapRecordBase {
  /** `"frame"` with a `format`, `"bytes"` in raw mode. */
  readonly kind: "frame" | "bytes";
  /** Which way. */
  readonly direction: TapDirection;
  /** Bytes of this direction that went before it, headers included. */
  readonly offset: number;
  /** The bytes that it takes on the wire, its header and trailer included. */
  readonly wireLength: number;
  /** The payload's length in bytes. */
  readonly length: number;
  /** The payload, cut at `captureLength`; empty where `redact` left it out. */
  readonly bytes: Uint8Array;
  /** How the payload was framed; absent in raw mode. */
  readonly format?: FrameFormat;
  /** What the codec made of the payload; absent where it was cut. */
  readonly message?: unknown;
  /** Why the codec refused the payload. */
  readonly error?: unknown;
}

/** A frame has been partial for a while: what a peer that hangs looks like. */
export interface TapPartialRecord extends TapRecordBase {
  /** Tells the records apart. */
  readonly kind: "partial";
  /** Which way. */
  readonly direction: TapDirection;
  /** The payload's bytes that came, or of the header while it is partial. */
  readonly buffered: number;
  /** The bytes that its header promised, where that is known. */
  readonly expected: number | undefined;
  /** Its first 64 bytes, header included; none where there is a `redact`. */
  readonly bytes: Uint8Array;
}

/** The bytes don't follow the format. What comes next is shown as bytes. */
export interface TapMalformedRecord extends TapRecordBase {
  /** Tells the records apart. */
  readonly kind: "malformed";
  /** Which way. */
  readonly direction: TapDirection;
  /** What the format's decoder threw. */
  readonly error: unknown;
}

/** A direction ended in order. */
export interface TapEndRecord extends TapRecordBase {
  /** Tells the records apart. */
  readonly kind: "end";
  /** Which way. */
  readonly direction: TapDirection;
  /** The bytes that went this way. */
  readonly offset: number;
}

/** A direction broke. */
export interface TapErrorRecord extends TapRecordBase {
  /** Tells the records apart. */
  readonly kind: "error";
  /** Which way. */
  readonly direction: TapDirection;
  /** The bytes that went this way. */
  readonly offset: number;
  /** What the stream rejected with. */
  readonly error: unknown;
}

/** The sink was too slow, and records were dropped before this place. */
export interface TapDroppedRecord {
  /** Tells the records apart. */
  readonly kind: "dropped";
  /** As {@linkcode TapRecordBase.time}. */
  readonly time: number;
  /** How many. */
  readonly count: number;
}

/** What a tap tells its sink. */
export type TapRecord =
  | TapOpenRecord
  | TapDataRecord
  | TapPartialRecord
  | TapMalformedRecord
  | TapEndRecord
  | TapErrorRecord
  | TapDroppedRecord;
