// The blocks of a pcapng file, as draft-ietf-opsawg-pcapng describes them:
//
//   0               4               8
//   +---------------+---------------+--------- ... -+---------------+
//   | block type    | total length  | body, padded  | total length  |
//   +---------------+---------------+--------- ... -+---------------+
//
// Numbers are little endian; the section header's magic says so. An option is
// code (u16), length (u16), value, padded to 4 bytes.

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const OPTION_COMMENT = 1;
const OPTION_IF_NAME = 2;
const OPTION_IF_DESCRIPTION = 3;
const OPTION_EPB_FLAGS = 2;
const OPTION_USER_APPLICATION = 4;
/** Packets begin with an IPv4 or IPv6 header. */
const LINKTYPE_RAW = 101;

const encoder = new TextEncoder();

interface Option {
  code: number;
  value: Uint8Array;
}

/** Starts a file. */
export function sectionHeader(application: string): Uint8Array {
  const body = new Uint8Array(16);
  const view = new DataView(body.buffer);
  view.setUint32(0, BYTE_ORDER_MAGIC, true);
  view.setUint16(4, 1, true); // version 1.0
  view.setBigInt64(8, -1n, true); // the section's length is not known yet
  return block(SECTION_HEADER, body, new Uint8Array(0), [
    text(OPTION_USER_APPLICATION, application),
  ]);
}

/** Describes where packets come from. They refer to it by its place in the file. */
export function interfaceDescription(
  name: string,
  description: string,
): Uint8Array {
  const body = new Uint8Array(8);
  // No if_tsresol: times are in microseconds. Snapshot length 0: no limit.
  new DataView(body.buffer).setUint16(0, LINKTYPE_RAW, true);
  return block(INTERFACE_DESCRIPTION, body, new Uint8Array(0), [
    text(OPTION_IF_NAME, name),
    text(OPTION_IF_DESCRIPTION, description),
  ]);
}

export interface Packet {
  interfaceId: number;
  /** Milliseconds since 1970. */
  time: number;
  outbound: boolean;
  /** What was captured. */
  data: Uint8Array;
  /** The length that the packet had. */
  originalLength: number;
  comment?: string;
}

/** One packet. */
export function enhancedPacket(packet: Packet): Uint8Array {
  const body = new Uint8Array(20);
  const view = new DataView(body.buffer);
  const micros = BigInt(Math.round(packet.time * 1000));
  view.setUint32(0, packet.interfaceId, true);
  view.setUint32(4, Number(micros >> 32n), true);
  view.setUint32(8, Number(micros & 0xffffffffn), true);
  view.setUint32(12, packet.data.length, true);
  view.setUint32(16, packet.originalLength, true);
  const flags = new Uint8Array(4);
  flags[0] = packet.outbound ? 2 : 1;
  const options = [{ code: OPTION_EPB_FLAGS, value: flags }];
  if (packet.comment) options.push(text(OPTION_COMMENT, packet.comment));
  return block(ENHANCED_PACKET, body, packet.data, options);
}

function text(
  code: number,
  value: string,
): Option & { value: Uint8Array<ArrayBuffer> } {
  return { code, value: encoder.encode(value.slice(0, 2000)) };
}

function block(
  type: number,
  body: Uint8Array,
  data: Uint8Array,
  options: readonly Option[],
): Uint8Array {
  const optionsLength = options.reduce(
    (sum, { value }) => sum + 4 + padded(value.length),
    4, // the end of the options
  );
  const total = 12 + body.length + padded(data.length) + optionsLength;
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, total, true);
  bytes.set(body, 8);
  let at = 8 + body.length;
  bytes.set(data, at);
  at += padded(data.length);
  for (const { code, value } of options) {
    view.setUint16(at, code, true);
    view.setUint16(at + 2, value.length, true);
    bytes.set(value, at + 4);
    at += 4 + padded(value.length);
  }
  view.setUint32(total - 4, total, true);
  return bytes;
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
