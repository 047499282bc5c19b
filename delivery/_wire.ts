// The frames of delivery, as docs/delivery.md describes them. A frame is the
// default frame of framing: four bytes of length, then the body.
//
//   0        4      5          9
//  +--------+------+----------+---------+- - - - - -+
//  | length | kind | sequence | payload | CRC-32    |
//  +--------+------+----------+---------+- - - - - -+

import { crc32 } from "./_crc32.ts";
import { ProtocolError } from "./delivery_error.ts";

/** What a frame is. */
export const Kind = {
  Data: 0,
  Hello: 1,
  Welcome: 2,
  Status: 3,
  Ping: 4,
  End: 5,
  Refuse: 6,
} as const;

/** How a side ends its sending. */
export const Ending = {
  /** It still receives. */
  Half: 0,
  /** It receives no more either. */
  Full: 1,
  /** It gave up, with messages perhaps undelivered. */
  Abort: 2,
} as const;

/** Bits of {@linkcode Greeting.flags}. */
export const Flag = {
  /** The session is to be, or was, taken up again. */
  Resume: 1,
  /** Data frames end in a checksum. */
  Checksum: 2,
  /** If the session is unknown, refuse rather than make a new one. */
  ResumeOnly: 4,
  /** One connection, no session: a credit channel. */
  Credit: 8,
} as const;

/** Why a greeting was refused. */
export const Refusal = {
  Busy: 1,
  Gone: 2,
  Protocol: 3,
  Denied: 4,
} as const;

export const LENGTH_BYTES = 4;
/** Length, kind and sequence. */
export const HEADER_BYTES = 9;
export const CHECKSUM_BYTES = 4;
export const ID_BYTES = 16;
/** The longest payload of a frame that is no data. */
export const MAX_CONTROL = 256;

const MAGIC = 0x736c7263; // "slrc"
const VERSION = 1;
const GREETING_BYTES = 54;
const MAX_REASON = 200;

/** What each side tells the other first. */
export interface Greeting {
  flags: number;
  id: Uint8Array;
  /** What this side takes before it acknowledges. */
  maxMessages: number;
  maxBytes: number;
  /** The oldest message that this side can still send. */
  first: number;
  /** The messages of the peer that arrived here, and those it may forget. */
  received: number;
  acknowledged: number;
}

/** A payload of at most {@linkcode MAX_CONTROL} bytes as a whole frame. */
export function controlFrame(kind: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(HEADER_BYTES + payload.length + CHECKSUM_BYTES);
  const view = new DataView(frame.buffer);
  view.setUint32(0, frame.length - LENGTH_BYTES);
  frame[4] = kind;
  frame.set(payload, HEADER_BYTES);
  const end = frame.length - CHECKSUM_BYTES;
  view.setUint32(end, crc32(frame, LENGTH_BYTES, end));
  return frame;
}

export function encodeGreeting(kind: number, greeting: Greeting): Uint8Array {
  const payload = new Uint8Array(GREETING_BYTES);
  const view = new DataView(payload.buffer);
  view.setUint32(0, MAGIC);
  payload[4] = VERSION;
  payload[5] = greeting.flags;
  payload.set(greeting.id, 6);
  view.setUint32(22, Math.min(greeting.maxMessages, 0xffffffff));
  view.setUint32(26, Math.min(greeting.maxBytes, 0xffffffff));
  setCount(view, 30, greeting.first);
  setCount(view, 38, greeting.received);
  setCount(view, 46, greeting.acknowledged);
  return controlFrame(kind, payload);
}

export function decodeGreeting(payload: Uint8Array): Greeting {
  const view = viewOf(payload, GREETING_BYTES);
  if (view.getUint32(0) !== MAGIC || payload[4] !== VERSION) {
    throw new ProtocolError(
      `Cannot greet the peer: it speaks another protocol or version, where ` +
        `version ${VERSION} was expected`,
      { code: "version" },
    );
  }
  const greeting = {
    flags: payload[5],
    id: payload.slice(6, 6 + ID_BYTES),
    maxMessages: view.getUint32(22),
    maxBytes: view.getUint32(26),
    first: getCount(view, 30),
    received: getCount(view, 38),
    acknowledged: getCount(view, 46),
  };
  if (greeting.maxMessages < 1 || greeting.maxBytes < 1) {
    throw new ProtocolError(
      "Cannot greet the peer: it offers a window of 0",
      { code: "desynchronised" },
    );
  }
  return greeting;
}

/** What was sent on this connection, and what may be forgotten. */
export interface Status {
  sent: number;
  acknowledged: number;
}

export function encodeStatus(kind: number, status: Status): Uint8Array {
  const payload = new Uint8Array(16);
  const view = new DataView(payload.buffer);
  setCount(view, 0, status.sent);
  setCount(view, 8, status.acknowledged);
  return controlFrame(kind, payload);
}

export function decodeStatus(payload: Uint8Array): Status {
  const view = viewOf(payload, 16);
  return { sent: getCount(view, 0), acknowledged: getCount(view, 8) };
}

export function encodeEnd(ending: number, sent: number): Uint8Array {
  const payload = new Uint8Array(9);
  payload[0] = ending;
  setCount(new DataView(payload.buffer), 1, sent);
  return controlFrame(Kind.End, payload);
}

export function decodeEnd(
  payload: Uint8Array,
): { ending: number; sent: number } {
  const view = viewOf(payload, 9);
  if (payload[0] > Ending.Abort) throw malformed("an unknown ending");
  return { ending: payload[0], sent: getCount(view, 1) };
}

export function encodeRefusal(refusal: number, reason: string): Uint8Array {
  const text = new TextEncoder().encode(reason).subarray(0, MAX_REASON);
  const payload = new Uint8Array(1 + text.length);
  payload[0] = refusal;
  payload.set(text, 1);
  return controlFrame(Kind.Refuse, payload);
}

export function decodeRefusal(
  payload: Uint8Array,
): { refusal: number; reason: string } {
  if (payload.length < 1) throw malformed("a refusal without a code");
  return {
    refusal: payload[0],
    reason: new TextDecoder().decode(payload.subarray(1, 1 + MAX_REASON)),
  };
}

function viewOf(payload: Uint8Array, length: number): DataView {
  if (payload.length !== length) {
    throw malformed(`a payload of ${payload.length} bytes for ${length}`);
  }
  return new DataView(payload.buffer, payload.byteOffset, length);
}

function setCount(view: DataView, offset: number, count: number): void {
  view.setUint32(offset, Math.floor(count / 2 ** 32));
  view.setUint32(offset + 4, count >>> 0);
}

function getCount(view: DataView, offset: number): number {
  const high = view.getUint32(offset);
  if (high >= 2 ** 21) throw malformed("a count above 2^53");
  return high * 2 ** 32 + view.getUint32(offset + 4);
}

/** The error of a frame that has `what`. */
export function malformed(what: string): ProtocolError {
  return new ProtocolError(`Cannot read frame: it has ${what}`, {
    code: "malformed",
  });
}
