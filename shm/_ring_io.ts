// Bytes over two rings, as ByteConnection wants them.

import { yieldTurn } from "../_async/turn.ts";
import type { ByteIo } from "../_transport/connection.ts";
import type { SharedMemory } from "./shared_memory.ts";
import type { RingParts } from "./_ring_layout.ts";
import {
  CONSUMER,
  CONSUMER_SLEEPS,
  PRODUCER,
  PRODUCER_SLEEPS,
} from "./_ring_layout.ts";
import { RingReaderCore } from "./_ring_reader_core.ts";
import { RingWriterCore } from "./_ring_writer_core.ts";
import type { Doorbell } from "./_doorbell.ts";
import { Side } from "./_side.ts";
import { Spinner } from "./_spin.ts";

/** The longest record that bytes are cut into. */
const MAX_PIECE = 64 * 1024;
/** A writer that waits starts again when so many bytes are free. */
const MIN_ROOM = 32;
/** So many operations in a row may run without a turn of the event loop. */
const TURN = 256;

/** Reads from one ring and writes to another; sleeps on the doorbell. */
export class RingIo implements ByteIo {
  #memory: SharedMemory;
  #doorbell: Doorbell;
  #reader: RingReaderCore;
  #writer: RingWriterCore;
  #inbound: Int32Array;
  #outbound: Int32Array;
  #peer: Side;
  #self: Side;
  #piece: number;
  #readSpinner = new Spinner();
  #writeSpinner = new Spinner();
  #operations = 0;
  #closed = false;
  #looks = 0;
  #hasSpun = false;

  constructor(
    memory: SharedMemory,
    inbound: RingParts,
    outbound: RingParts,
    doorbell: Doorbell,
  ) {
    this.#memory = memory;
    this.#doorbell = doorbell;
    this.#inbound = inbound.header;
    this.#outbound = outbound.header;
    this.#peer = new Side(inbound.header, PRODUCER, "producer");
    this.#self = new Side(outbound.header, PRODUCER, "producer");
    this.#self.claim("Cannot write to shared memory");
    new Side(inbound.header, CONSUMER, "consumer").claim(
      "Cannot read from shared memory",
    );
    this.#reader = new RingReaderCore(inbound);
    this.#writer = new RingWriterCore(outbound);
    this.#piece = Math.min(MAX_PIECE, outbound.capacity / 4);
  }

  tryRead(into: Uint8Array): number {
    if (this.#closed || !this.#reader.look()) return 0;
    // Every so often `read` gives way to the event loop.
    if (++this.#operations > TURN) return 0;
    return this.#take(into);
  }

  /** Waits for bytes while it is worth it; whether some are here, or the end. */
  async spin(): Promise<boolean> {
    const spinner = this.#readSpinner;
    for (let looks = spinner.start(); looks > 0; looks = spinner.next()) {
      await spinner.pause();
      if (!this.#seesData(looks)) continue;
      spinner.found();
      return true;
    }
    this.#hasSpun = true; // `read` sleeps at once
    return false;
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (true) {
      if (++this.#operations > TURN) await this.#turn();
      this.#check();
      // In this order: what was committed before the end counts.
      const over = this.#doorbell.gone || this.#peer.ended;
      const count = this.#take(into);
      if (count > 0) return count;
      if (over) {
        if (this.#peer.ended) return null;
        throw new Deno.errors.ConnectionReset(
          "Cannot read from shared memory: the peer is gone",
        );
      }
      if (this.#hasSpun || !await this.spin()) {
        this.#hasSpun = false;
        if (this.#sleeps(this.#inbound, CONSUMER_SLEEPS) && !this.#readable) {
          await this.#doorbell.wait();
        }
        this.#woke(this.#inbound, CONSUMER_SLEEPS);
      }
    }
  }

  #take(into: Uint8Array): number {
    const told = this.#reader.told;
    const count = this.#reader.readBytes(into);
    if (this.#reader.told !== told) this.#wake(this.#inbound, PRODUCER_SLEEPS);
    return count;
  }

  tryWrite(bytes: Uint8Array): number {
    if (this.#closed || this.#doorbell.gone || ++this.#operations > TURN) {
      return 0;
    }
    return this.#put(bytes);
  }

  async write(bytes: Uint8Array): Promise<number> {
    const spinner = this.#writeSpinner;
    while (true) {
      if (++this.#operations > TURN) await this.#turn();
      this.#check();
      if (this.#doorbell.gone) {
        throw new Deno.errors.BrokenPipe(
          "Cannot write to shared memory: the peer is gone",
        );
      }
      const count = this.#put(bytes);
      if (count > 0) return count;
      let looks = spinner.start();
      for (; looks > 0; looks = spinner.next()) {
        await spinner.pause();
        if (this.#seesRoom(looks)) break;
      }
      if (looks > 0) spinner.found();
      else {
        if (this.#sleeps(this.#outbound, PRODUCER_SLEEPS) && !this.#writable) {
          await this.#doorbell.wait();
        }
        this.#woke(this.#outbound, PRODUCER_SLEEPS);
      }
    }
  }

  #put(bytes: Uint8Array): number {
    const count = this.#writer.writeBytes(bytes, 0, this.#piece);
    if (count > 0) this.#wake(this.#outbound, CONSUMER_SLEEPS);
    return count;
  }

  #seesData(looks: number): boolean {
    if (this.#closed) return true;
    while (looks-- > 0) if (this.#reader.look()) return true;
    // The end is on another cache line, so it is seldom asked for.
    return (++this.#looks & 31) === 0 && this.#peer.ended;
  }

  #seesRoom(looks: number): boolean {
    if (this.#closed) return true;
    while (looks-- > 0) if (this.#writer.free >= MIN_ROOM) return true;
    return false;
  }

  get #readable(): boolean {
    return this.#closed || this.#reader.ready() || this.#peer.ended;
  }

  get #writable(): boolean {
    return this.#closed || this.#writer.free >= MIN_ROOM;
  }

  /**
   * Says that this side sleeps, if it may; look once more, and then sleep. The
   * peer does it the other way around: it publishes, then looks whether we sleep.
   */
  #sleeps(header: Int32Array, flag: number): boolean {
    if (this.#closed || this.#doorbell.gone) return false;
    Atomics.store(header, flag, 1);
    return true;
  }

  #woke(header: Int32Array, flag: number): void {
    this.#operations = 0;
    if (!this.#closed) Atomics.store(header, flag, 0);
  }

  /** Rings if the peer sleeps. The exchange is also the fence it takes. */
  #wake(header: Int32Array, flag: number): void {
    if (Atomics.exchange(header, flag, 0) === 1) this.#doorbell.ring();
  }

  async #turn(): Promise<void> {
    this.#operations = 0;
    await yieldTurn();
  }

  #check(): void {
    if (this.#closed) {
      throw new Deno.errors.BadResource(
        "Cannot use shared memory: the connection is closed",
      );
    }
  }

  closeWrite(): void {
    this.#check();
    this.#self.release();
    this.#wake(this.#outbound, CONSUMER_SLEEPS);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#doorbell.close();
    this.#memory.close();
  }
}
