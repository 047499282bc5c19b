// What the two ends of a connection over NATS say to each other. Every message
// is a kind, a sequence number that shows a lost one, and a payload:
//
//   0        1                 5
//   +--------+-----------------+---------------- - -
//   | kind   | sequence (u32)  | payload
//   +--------+-----------------+---------------- - -
//
// Numbers are big-endian. Each side counts its own messages from 0.

/** What a message is about. */
export const KIND = {
  /** Asks a listener for a connection: MAGIC, then the window (u32). */
  hello: 1,
  /** The listener's answer: MAGIC, then the window (u32). */
  welcome: 2,
  /** Bytes of the stream. */
  data: 3,
  /** So many bytes (u32) were read: as many more may be sent. */
  credit: 4,
  /** No more bytes follow. */
  end: 5,
  /** The sender is gone, or gave up. */
  abort: 6,
  /** Shows that the sender lives; no answer is due. */
  ping: 7,
} as const;

/** "SLC" and the version of this protocol. */
const MAGIC = 0x534c4301;

/** The bytes before the payload. */
export const HEADER_SIZE = 5;

/** A message as it came, not copied. */
export interface WireMessage {
  kind: number;
  sequence: number;
  payload: Uint8Array;
}

/** Encodes a message; the payload is copied once. */
export function encodeMessage(
  kind: number,
  sequence: number,
  payload?: Uint8Array,
): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + (payload?.length ?? 0));
  bytes[0] = kind;
  writeU32(bytes, 1, sequence);
  if (payload !== undefined) bytes.set(payload, HEADER_SIZE);
  return bytes;
}

/** Decodes a message, or gives `undefined` where it is too short for one. */
export function decodeMessage(bytes: Uint8Array): WireMessage | undefined {
  if (bytes.length < HEADER_SIZE) return undefined;
  return {
    kind: bytes[0],
    sequence: readU32(bytes, 1),
    payload: bytes.subarray(HEADER_SIZE),
  };
}

/** The payload of a hello or a welcome. */
export function encodeGreeting(window: number): Uint8Array {
  const bytes = new Uint8Array(8);
  writeU32(bytes, 0, MAGIC);
  writeU32(bytes, 4, window);
  return bytes;
}

/** The window in a greeting, or `undefined` where it is none of this version. */
export function decodeGreeting(payload: Uint8Array): number | undefined {
  if (payload.length !== 8 || readU32(payload, 0) !== MAGIC) return undefined;
  return readU32(payload, 4);
}

/** The payload of a credit. */
export function encodeCredit(count: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeU32(bytes, 0, count);
  return bytes;
}

/** The bytes that a credit grants, or `undefined` where it is malformed. */
export function decodeCredit(payload: Uint8Array): number | undefined {
  return payload.length === 4 ? readU32(payload, 0) : undefined;
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) |
    bytes[at + 3]) >>> 0;
}
