// One connection over NATS, as ByteConnection wants it: bytes in messages with
// sequence numbers, a window of credit each way, and heartbeats, since NATS
// tells neither of a lost message nor of a peer that is gone.

import type { ByteIo } from "../_transport/connection.ts";
import {
  decodeCredit,
  decodeMessage,
  encodeCredit,
  encodeMessage,
  HEADER_SIZE,
  KIND,
} from "./_wire.ts";

/** What a {@linkcode NatsLink} stands on. */
export interface LinkOptions {
  /** Publishes to the peer; `probe` asks the server whether it is there. */
  publish(bytes: Uint8Array, probe: boolean): void;
  /** Sends what was published on its way. */
  flush(): Promise<void>;
  /** Frees what the link stands on; called once, and never rejects. */
  release(): Promise<void>;
  /**
   * What may be on its way each way before it is read, in bytes: the smaller
   * of what both sides offer.
   */
  window: number;
  /** The longest message that the server takes, in bytes. */
  maxPayload: number;
  heartbeatInterval: number;
}

/** The most bytes of a stream in one message. */
const MAX_PIECE = 64 * 1024;
/** So many heartbeats may be missed. */
const MISSED = 3;

/** See the head of this file. */
export class NatsLink implements ByteIo {
  #options: LinkOptions;
  #maxPiece: number;
  #chunks: Uint8Array[] = [];
  /** Bytes in `#chunks`. */
  #held = 0;
  /** Read since the last credit that was given. */
  #unreported = 0;
  /** What may be sent now. */
  #credit: number;
  #sent = 1; // after the greeting, which is 0
  #received = 1;
  #ended = false;
  #endSent = false;
  #error: Error | undefined;
  #closed = false;
  #readable: (() => void) | undefined;
  #writable: (() => void) | undefined;
  #heartbeat: ReturnType<typeof setInterval>;
  #quiet = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#credit = options.window;
    this.#maxPiece = Math.min(MAX_PIECE, options.maxPayload - HEADER_SIZE);
    this.#heartbeat = setInterval(
      () => this.#beat(),
      options.heartbeatInterval,
    );
    Deno.unrefTimer(this.#heartbeat as unknown as number);
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#held === 0) {
      // What came before the peer was gone, and its end, still count.
      if (this.#ended && !this.#closed) return null;
      this.#check();
      await new Promise<void>((resolve) => this.#readable = resolve);
    }
    let count = 0;
    while (count < into.length && this.#chunks.length > 0) {
      const chunk = this.#chunks[0];
      const room = into.length - count;
      if (chunk.length <= room) {
        into.set(chunk, count);
        count += chunk.length;
        this.#chunks.shift();
      } else {
        into.set(chunk.subarray(0, room), count);
        this.#chunks[0] = chunk.subarray(room);
        count += room;
      }
    }
    this.#held -= count;
    this.#unreported += count;
    if (this.#unreported >= this.#options.window / 2 && !this.#closed) {
      this.#send(KIND.credit, encodeCredit(this.#unreported));
      this.#unreported = 0;
    }
    return count;
  }

  async write(bytes: Uint8Array): Promise<number> {
    while (this.#credit === 0) {
      this.#check();
      await new Promise<void>((resolve) => this.#writable = resolve);
    }
    this.#check();
    const count = Math.min(bytes.length, this.#credit, this.#maxPiece);
    this.#credit -= count;
    this.#send(KIND.data, bytes.subarray(0, count));
    return count;
  }

  async closeWrite(): Promise<void> {
    // A peer that ended in order, then went, waits for nothing of ours.
    if (this.#ended && this.#error !== undefined) return;
    this.#check();
    this.#send(KIND.end);
    this.#endSent = true;
    await this.#options.flush();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    if (this.#error === undefined && !(this.#ended && this.#endSent)) {
      this.#send(KIND.abort);
    }
    this.#closed = true;
    clearInterval(this.#heartbeat);
    this.#wake();
    await this.#options.release();
  }

  /** Takes a message of the peer, hostile until checked. */
  take(bytes: Uint8Array): void {
    if (this.#closed || this.#error !== undefined) return;
    this.#quiet = 0;
    const message = decodeMessage(bytes);
    if (message === undefined || message.sequence !== this.#received) {
      return this.fail(
        message === undefined
          ? `a message of ${bytes.length} bytes is too short`
          : `message ${this.#received} was lost: ${message.sequence} came`,
      );
    }
    this.#received = (this.#received + 1) >>> 0;
    const { kind, payload } = message;
    if (kind === KIND.data) {
      if (this.#ended) return this.fail("bytes came after the end");
      if (
        this.#held + this.#unreported + payload.length > this.#options.window
      ) {
        return this.fail(
          `the peer sent more than the window of ${this.#options.window} bytes`,
        );
      }
      if (payload.length === 0) return;
      this.#chunks.push(payload);
      this.#held += payload.length;
      this.#readable?.();
    } else if (kind === KIND.credit) {
      const count = decodeCredit(payload);
      if (
        count === undefined ||
        this.#credit + count > this.#options.window
      ) return this.fail("the peer gave more credit than was used");
      this.#credit += count;
      this.#writable?.();
    } else if (kind === KIND.end) {
      this.#ended = true;
      this.#readable?.();
    } else if (kind === KIND.abort) {
      this.fail("the peer is gone");
    } else if (kind !== KIND.ping) {
      this.fail(`a message of the unknown kind ${kind} came`);
    }
  }

  /** Breaks the connection: what waits, and what comes, rejects. */
  fail(why: string): void {
    if (this.#closed) return;
    // Once both sides ended, nobody waits for the other any more.
    if (this.#ended && this.#endSent) return;
    this.#error ??= new Deno.errors.ConnectionReset(
      `Cannot reach the peer over NATS: ${why}`,
    );
    this.#wake();
  }

  #send(kind: number, payload?: Uint8Array): void {
    this.#options.publish(
      encodeMessage(kind, this.#sent, payload),
      kind === KIND.ping,
    );
    this.#sent = (this.#sent + 1) >>> 0;
  }

  #beat(): void {
    if (++this.#quiet > MISSED) {
      const silence = MISSED * this.#options.heartbeatInterval;
      return this.fail(`nothing came for ${silence} ms`);
    }
    if (this.#error === undefined) this.#send(KIND.ping);
  }

  #check(): void {
    if (this.#error !== undefined) throw this.#error;
    if (this.#closed) {
      throw new Deno.errors.BadResource("The connection over NATS is closed");
    }
  }

  #wake(): void {
    this.#readable?.();
    this.#writable?.();
  }
}
