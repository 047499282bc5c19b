// A descriptor that came from elsewhere, adopted into the event loop. The
// runtime's own connections can't be made from a number; node:net's can.

import type { Socket } from "node:net";
import type { ByteIo } from "./connection.ts";

/** A {@linkcode ByteIo} over a socket of `node:net`. */
export class NodeSocketIo implements ByteIo {
  #socket: Socket;
  #reading = false;
  /** Came with the last chunk and was not asked for yet. */
  #rest: Uint8Array | undefined;
  #ended = false;
  #error: unknown;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", (error) => {
      this.#error = error;
      this.#wake?.();
    });
    socket.on("close", () => {
      this.#ended = true;
      this.#wake?.();
    });
  }

  /** It fills a buffer of its own, once the first read began. */
  get readsAhead(): boolean {
    return this.#reading;
  }

  #startReading(): void {
    if (this.#reading) return;
    this.#reading = true;
    const wake = () => this.#wake?.();
    this.#socket.on("readable", wake);
    this.#socket.on("end", () => {
      this.#ended = true;
      wake();
    });
  }

  async read(into: Uint8Array): Promise<number | null> {
    this.#startReading();
    while (true) {
      const chunk = this.#rest ?? this.#socket.read() as Uint8Array | null;
      if (chunk !== null) {
        const count = Math.min(chunk.length, into.length);
        into.set(chunk.subarray(0, count));
        this.#rest = count < chunk.length ? chunk.subarray(count) : undefined;
        return count;
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#socket.write(
        bytes,
        (error) => error ? reject(error) : resolve(bytes.length),
      );
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error);
      this.#socket.once("error", reject);
      this.#socket.end(() => resolve());
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
