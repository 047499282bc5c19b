// The frames that were sent and not yet acknowledged, as they go on the wire.

import { crc32 } from "./_crc32.ts";
import { SpareSlabs } from "./_spare_slabs.ts";
import { CHECKSUM_BYTES, HEADER_BYTES, Kind, LENGTH_BYTES } from "./_wire.ts";

/** Frames one after the other. What lies before `end` never changes again. */
interface Slab {
  readonly bytes: Uint8Array;
  end: number;
  /** The number of the message after its last. */
  next: number;
}

const FIRST_LENGTH = 2 * 1024;
const SLAB_LENGTH = 64 * 1024;
/** Up to here, a loop takes less time than a view to copy from. */
const COPIED_BY_HAND = 64;

/**
 * Keeps each message once, in the very bytes that are written to a connection,
 * so that sending and sending again copy nothing. Reading goes on from a cursor,
 * which a new connection puts back to what its peer is missing.
 */
export class SendLog {
  /** The number of the next message. */
  next = 0;
  /** All before this one were acknowledged and are gone. */
  acknowledged = 0;
  /** All before this one were read since the cursor was last set. */
  read = 0;
  /** Bytes of the payloads that are held. */
  bytes = 0;
  /**
   * Whether who was given a chunk leaves it alone once it was written, so that
   * its memory serves again when all of it is acknowledged.
   */
  reuses = true;
  #overhead: number;
  #slabs: Slab[] = [];
  #spare = new SpareSlabs();
  #nextLength = FIRST_LENGTH;
  /** Bytes of the payloads that were read and are held. */
  #flight = 0;
  /** Where the oldest frame begins in the first slab. */
  #head = 0;
  /** The slab, by its index, and the place in it that is read next. */
  #cursor = 0;
  #at = 0;

  /** With `checksums`, frames end in one. */
  constructor(checksums: boolean) {
    this.#overhead = HEADER_BYTES + (checksums ? CHECKSUM_BYTES : 0);
  }

  /** Takes a copy of the first `length` bytes as the next message. */
  append(payload: Uint8Array, length = payload.length): void {
    const total = this.#overhead + length;
    let slab = this.#slabs[this.#slabs.length - 1];
    if (slab === undefined || slab.bytes.length - slab.end < total) {
      slab = this.#addSlab(total);
    }
    const { bytes } = slab, at = slab.end;
    const body = total - LENGTH_BYTES;
    const sequence = this.next >>> 0;
    bytes[at] = body >>> 24;
    bytes[at + 1] = body >>> 16;
    bytes[at + 2] = body >>> 8;
    bytes[at + 3] = body;
    bytes[at + 4] = Kind.Data;
    bytes[at + 5] = sequence >>> 24;
    bytes[at + 6] = sequence >>> 16;
    bytes[at + 7] = sequence >>> 8;
    bytes[at + 8] = sequence;
    const start = at + HEADER_BYTES;
    if (length === payload.length) bytes.set(payload, start);
    else if (length > COPIED_BY_HAND) {
      bytes.set(payload.subarray(0, length), start);
    } else {
      for (let i = 0; i < length; i++) bytes[start + i] = payload[i];
    }
    if (this.#overhead > HEADER_BYTES) {
      const end = start + length;
      const sum = crc32(bytes, at + LENGTH_BYTES, end);
      bytes[end] = sum >>> 24;
      bytes[end + 1] = sum >>> 16;
      bytes[end + 2] = sum >>> 8;
      bytes[end + 3] = sum;
    }
    slab.end = at + total;
    slab.next = ++this.next;
    this.bytes += length;
  }

  #addSlab(needed: number): Slab {
    if (this.acknowledged === this.next) this.#drop();
    const length = Math.max(needed, this.#nextLength);
    const slab = {
      bytes: this.#spare.take(length) ?? new Uint8Array(length),
      end: 0,
      next: this.next,
    };
    this.#nextLength = Math.min(4 * this.#nextLength, SLAB_LENGTH);
    this.#slabs.push(slab);
    return slab;
  }

  /**
   * What comes next on the wire, or `undefined` where all was read, or as much
   * as the peer takes: so many messages and bytes without an acknowledgement.
   */
  readChunk(maxMessages: number, maxBytes: number): Uint8Array | undefined {
    const last = this.acknowledged + maxMessages;
    for (;;) {
      const slab = this.#slabs[this.#cursor];
      if (slab === undefined) return undefined;
      const start = this.#at;
      if (start < slab.end) {
        const bytes = slab.end - start -
          (slab.next - this.read) * this.#overhead;
        if (slab.next <= last && this.#flight + bytes <= maxBytes) {
          this.#at = slab.end;
          this.read = slab.next;
          this.#flight += bytes;
        } else this.#readSome(slab, last, maxBytes);
        return this.#at > start
          ? slab.bytes.subarray(start, this.#at)
          : undefined;
      }
      if (this.#cursor + 1 >= this.#slabs.length) return undefined;
      this.#cursor++;
      this.#at = 0;
    }
  }

  #readSome(slab: Slab, last: number, maxBytes: number): void {
    while (
      this.#at < slab.end && this.read < last && this.#flight < maxBytes
    ) this.#readFrame(slab);
  }

  #readFrame({ bytes }: Slab): void {
    const length = lengthAt(bytes, this.#at);
    this.#at += length;
    this.read++;
    this.#flight += length - this.#overhead;
  }

  /** Lets go of all messages before `sequence`. */
  acknowledge(sequence: number): void {
    while (this.acknowledged < sequence) {
      const slab = this.#slabs[0];
      if (slab.next <= sequence && slab.next <= this.read) {
        this.#acknowledgeSlab(slab);
        continue;
      }
      const length = lengthAt(slab.bytes, this.#head);
      this.#head += length;
      this.bytes -= length - this.#overhead;
      if (this.acknowledged < this.read) {
        this.#flight -= length - this.#overhead;
      }
      this.acknowledged++;
      // The last slab stays for the next messages.
      if (this.#head < slab.end || this.#slabs.length === 1) continue;
      this.#dropFirst();
    }
    if (this.acknowledged === this.next && this.#slabs.length > 0) {
      this.#spare.clear();
      if (this.#slabs[0].bytes.length > SLAB_LENGTH) this.#drop();
    }
    if (this.read < this.acknowledged) this.seek(this.acknowledged);
  }

  /** All of the first slab, which was read, at once. */
  #acknowledgeSlab(slab: Slab): void {
    const bytes = slab.end - this.#head -
      (slab.next - this.acknowledged) * this.#overhead;
    this.acknowledged = slab.next;
    this.bytes -= bytes;
    this.#flight -= bytes;
    this.#head = slab.end;
    if (this.#slabs.length > 1) this.#dropFirst();
  }

  #dropFirst(): void {
    const { bytes } = this.#slabs.shift()!;
    this.#head = 0;
    if (this.#cursor > 0) this.#cursor--;
    else this.#at = 0;
    if (this.reuses) this.#spare.give(bytes);
  }

  /** Reads on from `sequence`, which is not acknowledged yet. */
  seek(sequence: number): void {
    this.read = this.acknowledged;
    this.#cursor = this.#flight = 0;
    this.#at = this.#head;
    while (this.read < sequence) {
      const slab = this.#slabs[this.#cursor];
      if (this.#at < slab.end) this.#readFrame(slab);
      else {
        this.#cursor++;
        this.#at = 0;
      }
    }
  }

  /** Frees what an idle session does not need. */
  trim(): void {
    if (this.acknowledged < this.next) return;
    this.#drop();
    this.#nextLength = FIRST_LENGTH;
  }

  /** Forgets everything. */
  clear(): void {
    this.#drop();
    this.bytes = 0;
    this.acknowledged = this.read = this.next;
  }

  #drop(): void {
    this.#slabs = [];
    this.#spare.clear();
    this.#head =
      this.#cursor =
      this.#at =
      this.#flight =
        0;
  }

  /** Goes on with the numbers from `sequence`, where nothing is held. */
  restart(sequence: number): void {
    this.next = sequence;
    this.clear();
  }
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return LENGTH_BYTES +
    (((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) |
      bytes[at + 3]) >>> 0);
}
