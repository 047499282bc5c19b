// IP and TCP headers around bytes that may never have been on a network, so that
// Wireshark can follow the stream.

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

/** One side of a conversation: 4 bytes of IPv4, or 16 of IPv6. */
export interface Host {
  address: Uint8Array;
  port: number;
}

export interface TcpPacket {
  from: Host;
  to: Host;
  sequence: number;
  acknowledged: number;
  flags: number;
  /** What was captured of the payload. */
  payload: Uint8Array;
  /** The payload's length on the wire. */
  payloadLength: number;
  /** Counts the packets of a side, for IPv4. */
  identification: number;
}

const TCP_HEADER = 20;
const PROTOCOL_TCP = 6;

/** The packet, without what of the payload was not captured. */
export function tcpPacket(packet: TcpPacket): Uint8Array {
  const { from, to, payload } = packet;
  const isIpv6 = from.address.length === 16;
  const ipHeader = isIpv6 ? 40 : 20;
  const bytes = new Uint8Array(ipHeader + TCP_HEADER + payload.length);
  const view = new DataView(bytes.buffer);
  const length = TCP_HEADER + packet.payloadLength;
  if (isIpv6) {
    bytes[0] = 0x60;
    view.setUint16(4, length);
    bytes[6] = PROTOCOL_TCP;
    bytes[7] = 64; // hop limit
    bytes.set(from.address, 8);
    bytes.set(to.address, 24);
  } else {
    bytes[0] = 0x45; // version 4, a header of 5 words
    view.setUint16(2, ipHeader + length);
    view.setUint16(4, packet.identification & 0xffff);
    bytes[6] = 0x40; // don't fragment
    bytes[8] = 64; // time to live
    bytes[9] = PROTOCOL_TCP;
    bytes.set(from.address, 12);
    bytes.set(to.address, 16);
    view.setUint16(10, checksum(bytes.subarray(0, ipHeader)));
  }
  view.setUint16(ipHeader, from.port);
  view.setUint16(ipHeader + 2, to.port);
  view.setUint32(ipHeader + 4, packet.sequence >>> 0);
  view.setUint32(ipHeader + 8, packet.acknowledged >>> 0);
  bytes[ipHeader + 12] = (TCP_HEADER / 4) << 4;
  bytes[ipHeader + 13] = packet.flags;
  view.setUint16(ipHeader + 14, 0xffff); // window
  bytes.set(payload, ipHeader + TCP_HEADER);
  if (payload.length === packet.payloadLength) {
    const pseudo = sum(from.address) + sum(to.address) + PROTOCOL_TCP + length;
    view.setUint16(ipHeader + 16, checksum(bytes.subarray(ipHeader), pseudo));
  }
  return bytes;
}

/** The Internet checksum (RFC 1071). */
export function checksum(bytes: Uint8Array, start: number = 0): number {
  let total = sum(bytes) + start;
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 65536);
  return ~total & 0xffff;
}

function sum(bytes: Uint8Array): number {
  let total = 0;
  const even = bytes.length & ~1;
  for (let at = 0; at < even; at += 2) total += bytes[at] << 8 | bytes[at + 1];
  if (even < bytes.length) total += bytes[even] << 8;
  return total;
}
