// A child's stdio as the bytes of a connection.

import type { ByteIo } from "../_transport/connection.ts";
import { afterReplies } from "../_async/after_replies.ts";
import { openStdinOf } from "../_libc/child_pipe.ts";
import { hasPipes, setChildPipeCapacity } from "../_libc/pipe.ts";
import { ONE_PIECE, PipeEnd } from "./_pipe_end.ts";
import type { StageRun } from "./_stage_run.ts";
import { PipelineError } from "./errors.ts";

/** How long the end of the output waits for the exit, in milliseconds. */
const EXIT_GRACE = 50;
const READ_SIZE = 64 * 1024;
/** What the pipes hold where they can be told to, in bytes. */
const PIPE_SIZE = 256 * 1024;
const EMPTY = new Uint8Array(0);

/**
 * Reads a child's stdout and writes its stdin: by calls while there is room,
 * where FFI is allowed, and else in the event loop.
 */
export class ExecIo implements ByteIo {
  readonly onePiece = ONE_PIECE;
  readonly callsSystem = true;
  readonly tryWrite?: (bytes: Uint8Array) => number;
  readonly #stage: StageRun;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #onClose: () => void;
  readonly #started = performance.now();
  readonly #writeEnd: PipeEnd;
  #buffer: ArrayBuffer | undefined;
  #readSize = READ_SIZE;
  /** What was read and found no room. */
  #rest: Uint8Array<ArrayBuffer> = EMPTY;
  #closed = false;

  constructor(stage: StageRun, onClose: () => void) {
    this.#stage = stage;
    const { stdin, stdout } = stage.child!;
    this.#reader = stdout.getReader({ mode: "byob" });
    this.#writer = stdin.getWriter();
    this.#writer.closed.catch(() => {});
    this.#onClose = onClose;
    const { pid } = stage.child!;
    enlarge(pid);
    this.#writeEnd = new PipeEnd(openStdinOf(pid));
    if (this.#writeEnd.isOpen) {
      this.tryWrite = (bytes) => this.#writeEnd.tryWrite(bytes);
    }
  }

  tryRead(into: Uint8Array): number {
    return this.#rest.byteLength > 0 ? this.#take(into) : 0;
  }

  async readChunk(): Promise<Uint8Array<ArrayBuffer> | null> {
    if (this.#rest.byteLength > 0) {
      const chunk = new Uint8Array(this.#rest.byteLength);
      this.#take(chunk);
      return chunk;
    }
    const chunk = await this.#next();
    if (chunk === null) return null;
    // A large chunk goes over as it is; a small one is cheap to copy.
    if (chunk.byteLength > this.#readSize / 4) return chunk;
    this.#buffer = chunk.buffer;
    return chunk.slice();
  }

  async read(into: Uint8Array): Promise<number | null> {
    if (this.#rest.byteLength === 0) {
      await afterReplies();
      const chunk = await this.#next();
      if (chunk === null) return null;
      // All that is here is read at once: the rest waits for `tryRead`.
      if (chunk.byteLength === this.#readSize) {
        this.#readSize = Math.min(2 * this.#readSize, PIPE_SIZE);
      }
      this.#rest = chunk;
    }
    return this.#take(into);
  }

  /** Some of what was read. */
  #take(into: Uint8Array): number {
    const count = Math.min(into.byteLength, this.#rest.byteLength);
    if (count === this.#rest.byteLength) {
      into.set(this.#rest);
      this.#buffer = this.#rest.buffer; // all was copied: it serves again
      this.#rest = EMPTY;
    } else {
      into.set(this.#rest.subarray(0, count));
      this.#rest = this.#rest.subarray(count);
    }
    return count;
  }

  /** What comes next, in the one buffer where it is free and large enough. */
  async #next(): Promise<Uint8Array<ArrayBuffer> | null> {
    const buffer = (this.#buffer?.byteLength ?? 0) < this.#readSize
      ? new ArrayBuffer(this.#readSize)
      : this.#buffer!;
    this.#buffer = undefined;
    const { value } = await this.#reader.read(new Uint8Array(buffer));
    if (value === undefined || value.byteLength === 0) return this.#ended();
    return value;
  }

  write(bytes: Uint8Array): Promise<number> {
    const { byteLength } = bytes;
    return this.#writer.write(bytes).then(
      () => byteLength,
      async (error) => {
        if (this.#closed) throw error;
        // A broken pipe is what is seen of an exit: how it exited says more.
        throw await this.#death("write to") ?? error;
      },
    );
  }

  async closeWrite(): Promise<void> {
    this.#writeEnd.close();
    try {
      await this.#writer.close();
    } catch { // it reads no more: nothing is lost that it would read
    }
  }

  close(): void {
    this.#closed = true;
    this.#writeEnd.close();
    this.#reader.cancel().catch(() => {});
    this.#writer.abort().catch(() => {});
    this.#onClose();
  }

  /** An end in order, or else the error that tells how the child died. */
  async #ended(): Promise<null> {
    const death = await this.#death("read from");
    if (death !== undefined) throw death;
    return null;
  }

  /** How the child died, if it did; the news of it may come a little later. */
  async #death(what: string): Promise<PipelineError | undefined> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = await Promise.race([
      this.#stage.ended,
      new Promise<undefined>((resolve) => {
        timer = setTimeout(() => resolve(undefined), EXIT_GRACE);
      }),
    ]);
    clearTimeout(timer);
    if (end === undefined || (end.code === 0 && end.signal === null)) {
      return undefined;
    }
    const { command, stderrTail: stderr } = this.#stage;
    const why = end.signal === null
      ? `it exited with code ${end.code}`
      : `it was killed by ${end.signal}`;
    const words = stderr.trim().slice(-500);
    return new PipelineError(
      `Cannot ${what} ${command}: ${why}` +
        (words === "" ? "" : `, its stderr ends with ${JSON.stringify(words)}`),
      {
        code: end.signal === null ? "exit-code" : "signal",
        command,
        exitCode: end.signal === null ? end.code : null,
        signal: end.signal,
        duration: performance.now() - this.#started,
        stderr,
      },
    );
  }
}

/**
 * Lets a message of 64 KiB with its header go in one piece, where a pipe of the
 * default size makes both sides wait for each other once more.
 */
function enlarge(pid: number): void {
  if (!hasPipes()) return;
  try {
    setChildPipeCapacity(pid, 0, PIPE_SIZE);
    setChildPipeCapacity(pid, 1, PIPE_SIZE);
  } catch { // the user's pipes hold all that they may: it goes without
  }
}
