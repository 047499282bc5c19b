// The rendezvous socket after the handshake: a byte says "look at the rings",
// the end of the stream says that the peer is gone.

import type { Connection } from "../duplex.ts";
import { ByteConnection } from "../_transport/connection.ts";
import { oneAtATime } from "../_libc/descriptor.ts";
import { libc } from "../_libc/library.ts";
import {
  F_DUPFD_CLOEXEC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
} from "../_libc/constants.ts";
import { unwrap } from "../_libc/errno.ts";

const BELL = new Uint8Array([1]);
/** Promises in a row from a bell to the answer that a channel sends. */
const HOPS = 16;
const FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL;

/** Wakes the peer's process and is woken by it. */
export class Doorbell {
  #socket: Connection;
  #fd: number;
  #waiters: (() => void)[] = [];
  #gone = false;

  /** Takes over `socket`, whose descriptor is `fd`. */
  constructor(socket: Connection, fd: number) {
    this.#socket = socket;
    // Our own copy: the runtime may close and reuse its number at any time.
    // Not while another worker looks for the socket that it just made.
    this.#fd = unwrap(
      oneAtATime(() => libc("ring the peer").fcntl!(fd, F_DUPFD_CLOEXEC, 3n)),
      "Cannot copy the descriptor of the rendezvous socket",
      "fcntl",
    );
    this.#listen();
  }

  /** Whether the peer closed its end or died. */
  get gone(): boolean {
    return this.#gone;
  }

  async #listen(): Promise<void> {
    // Past the stream, which would add to the time that a sleeper takes to wake.
    const io = ByteConnection.ioOf(this.#socket);
    const bells = new Uint8Array(256);
    try {
      while (io !== undefined && await io.read(bells) !== null) {
        this.#wake();
        // Who woke answers first: to begin a read takes the runtime longer.
        for (let i = 0; i < HOPS; i++) await undefined;
      }
    } catch { // reset is as gone as closed
    }
    this.#gone = true;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  /** Wakes the peer. */
  ring(): void {
    if (this.#fd < 0) return;
    // A full buffer means that the peer has bells to read, EPIPE that it is
    // gone, which `#listen` sees: nothing to do in either case.
    libc("ring the peer").send!(this.#fd, BELL, 1n, FLAGS);
  }

  /** Resolves when the peer rings or is gone. */
  wait(): Promise<void> {
    if (this.#gone) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** Closes both descriptors: the peer sees the end. */
  close(): void {
    if (this.#fd < 0) return;
    libc("close the rendezvous socket").close!(this.#fd);
    this.#fd = -1;
    this.#gone = true;
    this.#socket.abort();
    this.#wake();
  }
}
