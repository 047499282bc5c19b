// The reading end of a pipe on the event loop: no thread waits for bytes.

import type { Socket } from "node:net";
import { fromNode, loadSocket } from "./_node_socket.ts";

/** Owns `fd`, which has O_NONBLOCK; `first` are bytes that were read already. */
export class ReadEnd {
  readonly #what: string;
  #socket: Socket;
  #fd: number;
  #rest: Uint8Array | undefined;
  #ended = false;
  #closed = false;
  #error: unknown;
  /** Wakes the read that waits. */
  #wake: (() => void) | undefined;

  /** Takes over `fd`, into the event loop. */
  static async adopt(
    fd: number,
    what: string,
    first?: Uint8Array,
  ): Promise<ReadEnd> {
    return new ReadEnd(await loadSocket(), fd, what, first);
  }

  private constructor(
    NodeSocket: typeof Socket,
    fd: number,
    what: string,
    first: Uint8Array | undefined,
  ) {
    this.#fd = fd;
    this.#what = what;
    if (first !== undefined && first.length > 0) this.#rest = first;
    const socket = new NodeSocket({ fd, readable: true, writable: false });
    this.#socket = socket;
    socket.on("end", () => {
      this.#ended = true;
      this.#wake?.();
    });
    socket.on("error", (error) => {
      this.#error ??= fromNode(error, what);
      this.#wake?.();
    });
    socket.on("close", () => {
      this.#closed = true;
      this.#wake?.();
    });
    socket.on("readable", () => this.#wake?.());
  }

  /** The descriptor's number. */
  get fd(): number {
    if (this.#closed) {
      throw new Deno.errors.BadResource(`${this.#what}: it is closed`);
    }
    return this.#fd;
  }

  /** Fills the start of `into`; the count, or `null` at the end. */
  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      const chunk = this.#rest ?? this.#socket.read() as Uint8Array | null;
      if (chunk !== null) {
        const count = Math.min(chunk.length, into.length);
        into.set(count === chunk.length ? chunk : chunk.subarray(0, count));
        this.#rest = count === chunk.length ? undefined : chunk.subarray(count);
        return count;
      }
      if (this.#ended) return null;
      if (this.#error !== undefined) throw this.#error;
      if (this.#closed) {
        throw new Deno.errors.BadResource(`${this.#what}: it is closed`);
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
    }
  }

  /** Whether a read that waits keeps the program from ending; it does at first. */
  keepAlive(on: boolean): void {
    if (on) this.#socket.ref();
    else this.#socket.unref();
  }

  /** Frees the descriptor; a read that waits rejects. */
  close(): void {
    this.#closed = true;
    this.#socket.destroy();
    this.#wake?.();
  }
}
