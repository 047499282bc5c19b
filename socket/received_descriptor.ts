import type { Connection, Listener } from "../duplex.ts";
import {
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFREG,
  S_IFSOCK,
} from "../_libc/constants.ts";
import { isListening } from "../_libc/descriptor.ts";
import { fileStatus } from "../_libc/file.ts";
import { libc } from "../_libc/library.ts";
import { adoptConnection } from "../_transport/adopt.ts";
import {
  type ByteStreamOptions,
  checkStreamOptions,
} from "../_transport/options.ts";
import { adoptListener, type AdoptListenerOptions } from "./_adopted.ts";
import { openFileStreams } from "./_file_streams.ts";

/**
 * What a descriptor is of: a regular file (also of memory, `memfd_create`), a
 * directory, a pipe or FIFO, a connected socket, a listening socket, a character
 * device such as a terminal, or anything else.
 */
export type DescriptorKind =
  | "file"
  | "directory"
  | "pipe"
  | "socket"
  | "listener"
  | "device"
  | "other";

/** Closes those that were forgotten. */
const forgotten = new FinalizationRegistry<number>((fd) => {
  libc("close a descriptor").close?.(fd);
});

/**
 * A descriptor that this process got from another, and owns. Take it as a stream
 * pair, a connection or a listener, or take its number; what is not taken is
 * closed with it. It is made by {@linkcode receiveDescriptor}.
 *
 * @example Memory from another process
 * ```ts no-assert ignore
 * import { connectUnix, receiveDescriptor } from "@sluice/ipc/socket";
 * import { SharedMemory } from "@sluice/ipc/shm";
 *
 * await using peer = await connectUnix({ path: "/run/camera.sock" });
 * using message = await receiveDescriptor(peer);
 * using memory = SharedMemory.fromDescriptor(message.descriptors[0].release());
 * ```
 */
export class ReceivedDescriptor implements Disposable {
  /** What it is of. */
  readonly kind: DescriptorKind;

  #fd: number | undefined;
  #streams:
    | {
      readable: ReadableStream<Uint8Array>;
      writable: WritableStream<Uint8Array>;
    }
    | undefined;
  #close: (() => void) | undefined;

  /**
   * Takes over a number. {@linkcode receiveDescriptor} does it for you.
   *
   * @param fd An open descriptor that nobody else closes.
   */
  constructor(fd: number) {
    this.#fd = fd;
    this.kind = kindOf(fd);
    this.#close = () => libc("close a descriptor").close!(fd);
    forgotten.register(this, fd, this);
  }

  /**
   * Its number, for a call made now.
   *
   * @throws {Deno.errors.BadResource} If it was taken or closed.
   */
  get fd(): number {
    if (this.#fd === undefined) {
      throw new Deno.errors.BadResource(
        "Cannot use the descriptor: it was taken or closed",
      );
    }
    return this.#fd;
  }

  /**
   * The bytes of a file from its position, which the sender shares, or what a
   * pipe, socket or device sends. Closing the descriptor ends it.
   */
  get readable(): ReadableStream<Uint8Array> {
    return this.#open().readable;
  }

  /** Writes to a file at its position, or to a pipe, socket or device. */
  get writable(): WritableStream<Uint8Array> {
    return this.#open().writable;
  }

  /**
   * Takes it as a connection, which owns it from then on. The runtime's event
   * loop waits for it; it makes the open file non-blocking, for the sender too.
   *
   * @param options How its streams behave.
   * @returns The connection: of a socket, or of one end of a pipe.
   * @throws {TypeError} If it is neither a connected socket, a pipe nor a device.
   * @throws {Deno.errors.BadResource} If it was taken or closed.
   */
  connection(options: ByteStreamOptions = {}): Connection {
    checkStreamOptions(options);
    this.#expect("a connection", ["socket", "pipe", "device"]);
    return adoptConnection(this.release(), options);
  }

  /**
   * Takes it as a listener, which owns it from then on.
   *
   * @param options How its connections behave, and who may connect.
   * @returns The listener. Closing it removes no path.
   * @throws {TypeError} If it is no listening socket.
   * @throws {Deno.errors.BadResource} If it was taken or closed.
   */
  listener(options: AdoptListenerOptions = {}): Listener {
    this.#expect("a listener", ["listener"]);
    return adoptListener(this.fd, options, () => this.release());
  }

  /**
   * Takes the number: from now on the caller closes it.
   *
   * @returns The descriptor's number.
   * @throws {Deno.errors.BadResource} If it was taken or closed.
   */
  release(): number {
    const fd = this.fd;
    if (this.#streams !== undefined) {
      throw new Deno.errors.BadResource(
        "Cannot take the descriptor: its streams are in use",
      );
    }
    this.#forget();
    return fd;
  }

  /** Closes it, unless it was taken. A second call does nothing. */
  close(): void {
    if (this.#fd === undefined) return;
    const close = this.#close;
    this.#forget();
    close?.();
  }

  /** Closes it, unless it was taken. */
  [Symbol.dispose](): void {
    this.close();
  }

  #forget(): void {
    this.#fd = undefined;
    this.#close = undefined;
    forgotten.unregister(this);
  }

  #open() {
    if (this.#streams !== undefined) return this.#streams;
    const fd = this.fd;
    this.#expect("streams", ["file", "pipe", "socket", "device"]);
    if (this.kind === "file") {
      const { close, ...streams } = openFileStreams(fd);
      this.#close = close;
      return this.#streams = streams;
    }
    const connection = adoptConnection(fd, {});
    forgotten.unregister(this); // the runtime owns it now
    this.#close = () => connection.abort();
    return this.#streams = connection;
  }

  #expect(what: string, kinds: DescriptorKind[]): void {
    if (kinds.includes(this.kind)) return;
    throw new TypeError(
      `Cannot take the descriptor as ${what}: expected a ` +
        `${kinds.join(" or ")}, received a ${this.kind}`,
    );
  }
}

function kindOf(fd: number): DescriptorKind {
  switch (fileStatus(fd)?.type) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFIFO:
      return "pipe";
    case S_IFCHR:
      return "device";
    case S_IFSOCK:
      return isListening(fd) ? "listener" : "socket";
    default:
      return "other";
  }
}
