// The writing end of a pipe: a call while the kernel takes bytes, the event loop
// while it does not.

import type { Socket } from "node:net";
import type { WaitOptions } from "../duplex.ts";
import { deadline, sleep, within } from "../_async/wait.ts";
import { namedError } from "../_libc/errno.ts";
import { writeNow } from "../_libc/fifo.ts";
import { closeDescriptor } from "../_libc/pipe.ts";
import { fromNode, loadSocket } from "./_node_socket.ts";

/** The most bytes that the event loop gets at once, so that progress shows. */
const SLICE = 256 * 1024;
/** The longest wait between two tries of an atomic write, in ms. */
const MAX_PAUSE = 8;

/** Owns `fd`, which has O_NONBLOCK. */
export class WriteEnd {
  readonly #what: string;
  readonly #fd: number;
  #socket: Socket | undefined;
  #closed = false;
  /** Settles when whoever writes now is done. */
  #turn: Promise<void> = Promise.resolve();
  /** Those who write or wait for their turn. */
  #turns = 0;
  /** Ends the turn of a chunk of which a part was written. */
  #endTurn: (() => void) | undefined;

  constructor(fd: number, what: string) {
    this.#fd = fd;
    this.#what = what;
  }

  /** The descriptor's number. */
  get fd(): number {
    this.#check();
    return this.#fd;
  }

  #check(): void {
    if (this.#closed) {
      throw new Deno.errors.BadResource(`${this.#what}: it is closed`);
    }
  }

  /**
   * Takes some of `bytes`; the count. After a part, the next call has to bring
   * the rest: no atomic write comes in between.
   */
  async write(bytes: Uint8Array): Promise<number> {
    if (this.#endTurn === undefined) this.#endTurn = await this.#takeTurn();
    let finished = true;
    try {
      this.#check();
      const count = writeNow(this.#fd, bytes);
      if (typeof count === "number") {
        finished = count === bytes.length;
        return count;
      }
      if (count !== "EAGAIN") throw namedError(this.#what, "write", count);
      const slice = bytes.length > SLICE ? bytes.subarray(0, SLICE) : bytes;
      await this.#writeLater(slice);
      finished = slice.length === bytes.length;
      return slice.length;
    } finally {
      if (finished) {
        this.#endTurn();
        this.#endTurn = undefined;
      }
    }
  }

  /** Waits for the writers before; the function ends this one's turn. */
  async #takeTurn(signal?: AbortSignal): Promise<() => void> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    this.#turns++;
    const endTurn = () => {
      this.#turns--;
      resolve();
    };
    try {
      await within(before, this.#what, { signal });
    } catch (error) {
      before.then(endTurn);
      throw error;
    }
    return endTurn;
  }

  /** Waits in the event loop until the kernel has taken all of `bytes`. */
  async #writeLater(bytes: Uint8Array): Promise<void> {
    const NodeSocket = await loadSocket();
    this.#check();
    const socket = this.#socket ??= this.#adopt(NodeSocket);
    await new Promise<void>((resolve, reject) => {
      socket.write(bytes, (error) => {
        if (error) reject(fromNode(error, this.#what));
        else resolve();
      });
    });
  }

  #adopt(NodeSocket: typeof Socket): Socket {
    const socket = new NodeSocket({
      fd: this.#fd,
      readable: false,
      writable: true,
    });
    socket.on("error", () => {}); // the write's own callback has it
    socket.on("close", () => this.#closed = true);
    return socket;
  }

  /** Writes all of `bytes`, at most PIPE_BUF, in one piece, or nothing. */
  async writeAtomic(
    bytes: Uint8Array,
    what: string,
    options: WaitOptions,
  ): Promise<void> {
    options.signal?.throwIfAborted();
    if (this.#turns === 0 && this.#tryWrite(bytes, what)) return;
    using end = deadline(what, options);
    const endTurn = await this.#takeTurn(end.signal);
    try {
      // A write that the event loop waits with could not be taken back.
      for (let pause = 0;; pause = Math.min(MAX_PAUSE, pause * 2 || 1)) {
        end.signal.throwIfAborted();
        if (this.#tryWrite(bytes, what)) return;
        await sleep(pause, end.signal);
      }
    } finally {
      endTurn();
    }
  }

  #tryWrite(bytes: Uint8Array, what: string): boolean {
    this.#check();
    const count = writeNow(this.#fd, bytes);
    if (typeof count === "number") return true;
    if (count === "EAGAIN") return false;
    throw namedError(what, "write", count);
  }

  /** Frees the descriptor: readers see the end once they have read the rest. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#socket === undefined) closeDescriptor(this.#fd);
    else this.#socket.destroy();
  }
}
