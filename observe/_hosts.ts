import type { Host } from "./_tcp_packet.ts";
import type { TappedConnection } from "./tap_record.ts";

/** Ports of clients that have none, such as those of Unix sockets. */
const FIRST_PORT = 49152;

/**
 * The hosts of a conversation: the real ones of TCP, or, for a mechanism without
 * a network, 127.0.0.1 with a client's port of its own for each connection.
 */
export function hostsOf(
  connection: TappedConnection,
  serverPort: number,
): { local: Host; remote: Host } {
  const local = parse(connection.local);
  const remote = parse(connection.remote);
  if (
    local !== undefined && remote !== undefined &&
    local.address.length === remote.address.length
  ) return { local, remote };
  const loopback = new Uint8Array([127, 0, 0, 1]);
  const client = {
    address: loopback,
    port: FIRST_PORT + connection.id % (65536 - FIRST_PORT),
  };
  const server = { address: loopback, port: serverPort };
  return connection.role === "client"
    ? { local: client, remote: server }
    : { local: server, remote: client };
}

function parse(address: string): Host | undefined {
  const match = /^(?:tcp|tls):(?:\[([^\]]+)\]|([\d.]+)):(\d+)$/.exec(address);
  if (match === null) return undefined;
  const bytes = match[1] === undefined ? ipv4(match[2]) : ipv6(match[1]);
  return bytes && { address: bytes, port: Number(match[3]) };
}

function ipv4(text: string): Uint8Array | undefined {
  const parts = text.split(".").map(Number);
  const isValid = parts.length === 4 &&
    parts.every((part) => Number.isInteger(part) && part >= 0 && part < 256);
  return isValid ? new Uint8Array(parts) : undefined;
}

function ipv6(text: string): Uint8Array | undefined {
  const [head, tail] = text.split("%")[0].split("::");
  const groups = (part: string) => part === "" ? [] : part.split(":");
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  const missing = tail === undefined ? 0 : 8 - first.length - last.length;
  if (missing < 0) return undefined;
  const all = [...first, ...new Array<string>(missing).fill("0"), ...last];
  if (
    all.length !== 8 || !all.every((group) => /^[\da-f]{1,4}$/i.test(group))
  ) {
    return undefined; // also an IPv4 address inside of one
  }
  const bytes = new Uint8Array(16);
  for (const [i, group] of all.entries()) {
    new DataView(bytes.buffer).setUint16(2 * i, parseInt(group, 16));
  }
  return bytes;
}
