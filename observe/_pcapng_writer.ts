import { hostsOf } from "./_hosts.ts";
import {
  enhancedPacket,
  interfaceDescription,
  sectionHeader,
} from "./_pcapng.ts";
import {
  connectionText,
  cut,
  errorText,
  escapeControls,
  preview,
} from "./_preview.ts";
import {
  ACK,
  FIN,
  type Host,
  PSH,
  RST,
  SYN,
  tcpPacket,
} from "./_tcp_packet.ts";
import type {
  TapDataRecord,
  TapDirection,
  TappedConnection,
  TapRecord,
} from "./tap_record.ts";

/** The most that one segment holds: an IPv4 packet has 65535 bytes in all. */
const MAX_SEGMENT = 65000;
const NOTHING = new Uint8Array(0);

interface WriterOptions {
  serverPort: number;
  maxPreviewLength: number;
}

/** One side of a conversation. */
interface Side {
  host: Host;
  outbound: boolean;
  /** The sequence number of its next byte. */
  next: number;
  packets: number;
}

interface Conversation {
  interfaceId: number;
  local: Side;
  remote: Side;
}

/** Turns records into the bytes of a capture file. */
export class PcapngWriter {
  #options: WriterOptions;
  #conversations = new WeakMap<TappedConnection, Conversation>();
  #interfaces = 0;
  #started = false;
  #parts: Uint8Array[] = [];
  /** Said in the comment of the next packet. */
  #dropped = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  encode(records: readonly TapRecord[]): Uint8Array {
    if (!this.#started) this.#parts.push(sectionHeader("@sluice/ipc tap"));
    this.#started = true;
    for (const record of records) this.#add(record);
    const parts = this.#parts;
    this.#parts = [];
    const length = parts.reduce((total, part) => total + part.length, 0);
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  #add(record: TapRecord): void {
    if (record.kind === "dropped") {
      this.#dropped += record.count;
      return;
    }
    const conversation = this.#conversationOf(record.connection);
    const { time } = record;
    if (record.kind === "open") {
      return this.#addHandshake(conversation, record.connection, time);
    }
    const packet = { conversation, direction: record.direction, time };
    switch (record.kind) {
      case "frame":
      case "bytes":
        return this.#addData(conversation, record);
      case "partial":
        return this.#addPacket({
          ...packet,
          flags: ACK,
          comment: `A frame is partial: ${record.buffered} of ` +
            `${record.expected ?? "unknown"} bytes came`,
        });
      case "malformed":
        return this.#addPacket({
          ...packet,
          flags: ACK,
          comment: errorText(record.error),
        });
      case "end":
        return this.#addPacket({ ...packet, flags: FIN | ACK });
      case "error":
        return this.#addPacket({
          ...packet,
          flags: RST | ACK,
          comment: errorText(record.error),
        });
    }
  }

  #conversationOf(connection: TappedConnection): Conversation {
    let conversation = this.#conversations.get(connection);
    if (conversation === undefined) {
      this.#parts.push(interfaceDescription(
        escapeControls(`${connection.name} #${connection.id}`),
        connectionText(connection),
      ));
      const { local, remote } = hostsOf(connection, this.#options.serverPort);
      conversation = {
        interfaceId: this.#interfaces++,
        local: { host: local, outbound: true, next: 1, packets: 0 },
        remote: { host: remote, outbound: false, next: 1, packets: 0 },
      };
      this.#conversations.set(connection, conversation);
    }
    return conversation;
  }

  #addHandshake(
    conversation: Conversation,
    connection: TappedConnection,
    time: number,
  ): void {
    const isClient = connection.role === "client";
    const client: TapDirection = isClient ? "sent" : "received";
    const server: TapDirection = isClient ? "received" : "sent";
    const packet = { conversation, time };
    this.#addPacket({
      ...packet,
      direction: client,
      flags: SYN,
      sequence: 0,
      acknowledged: 0,
      comment: connectionText(connection),
    });
    this.#addPacket({
      ...packet,
      direction: server,
      flags: SYN | ACK,
      sequence: 0,
      acknowledged: 1,
    });
    this.#addPacket({ ...packet, direction: client, flags: ACK });
  }

  #addData(conversation: Conversation, record: TapDataRecord): void {
    const { direction, time, wireLength } = record;
    const captured = onWire(record).subarray(0, wireLength);
    const comment = record.kind === "frame"
      ? cut(preview(record, this.#options.maxPreviewLength), 2000)
      : undefined;
    const side = conversation[direction === "sent" ? "local" : "remote"];
    for (let at = 0; at < wireLength; at += MAX_SEGMENT) {
      const end = Math.min(wireLength, at + MAX_SEGMENT);
      // The place in the stream, so that what was dropped shows as a gap.
      const sequence = 1 + record.offset + at;
      side.next = 1 + record.offset + end;
      this.#addPacket({
        conversation,
        direction,
        time,
        flags: PSH | ACK,
        sequence,
        payload: captured.subarray(at, end),
        payloadLength: end - at,
        comment: at === 0 ? comment : undefined,
      });
    }
  }

  #addPacket(
    {
      conversation: { interfaceId, local, remote },
      direction,
      time,
      flags,
      payload = NOTHING,
      payloadLength = 0,
      comment,
      ...numbers
    }: {
      conversation: Conversation;
      direction: TapDirection;
      time: number;
      flags: number;
      sequence?: number;
      acknowledged?: number;
      payload?: Uint8Array;
      payloadLength?: number;
      comment?: string;
    },
  ): void {
    const [from, to] = direction === "sent" ? [local, remote] : [remote, local];
    const data = tcpPacket({
      from: from.host,
      to: to.host,
      sequence: numbers.sequence ?? from.next,
      acknowledged: numbers.acknowledged ?? to.next,
      flags,
      payload,
      payloadLength,
      identification: from.packets++,
    });
    if (this.#dropped > 0) {
      comment = `${this.#dropped} records were dropped before this. ${
        comment ?? ""
      }`;
      this.#dropped = 0;
    }
    this.#parts.push(enhancedPacket({
      interfaceId,
      time,
      outbound: from.outbound,
      data,
      originalLength: data.length - payload.length + payloadLength,
      comment,
    }));
  }
}

/** The bytes of a record as they were on the wire, as far as they are known. */
function onWire({ kind, format, bytes, length }: TapDataRecord): Uint8Array {
  if (kind === "bytes" || format === undefined) return bytes;
  const header = format.headerLength(length);
  const isWhole = bytes.length === length;
  const { trailer } = format;
  const wire = new Uint8Array(
    header + bytes.length + (isWhole ? trailer.length : 0),
  );
  format.writeHeader(wire, 0, length);
  wire.set(bytes, header);
  if (isWhole) wire.set(trailer, header + length);
  return wire;
}
