// A child's stdio as the bytes of a connection.

import type { ByteIo } from "../_transport/connection.ts";
import { hasPipes, setChildPipeCapacity } from "../_libc/pipe.ts";
import type { StageRun } from "./_stage_run.ts";
import { PipelineError } from "./errors.ts";

/** How long the end of the output waits for the exit, in milliseconds. */
const EXIT_GRACE = 50;
const READ_SIZE = 64 * 1024;
/** What the pipes hold where they can be told to, in bytes. */
const PIPE_SIZE = 256 * 1024;
const EMPTY = new Uint8Array(0);

/** Reads a child's stdout and writes its stdin. */
export class ExecIo implements ByteIo {
  readonly #stage: StageRun;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #onClose: () => void;
  readonly #started = performance.now();
  #buffer: ArrayBuffer | undefined;
  /** What was read and found no room. */
  #rest: Uint8Array<ArrayBuffer> = EMPTY;

  constructor(stage: StageRun, onClose: () => void) {
    this.#stage = stage;
    const { stdin, stdout } = stage.child!;
    this.#reader = stdout.getReader({ mode: "byob" });
    this.#writer = stdin.getWriter();
    this.#writer.closed.catch(() => {});
    this.#onClose = onClose;
    enlarge(stage.child!.pid);
  }

  async readChunk(): Promise<Uint8Array<ArrayBuffer> | null> {
    if (this.#rest.byteLength > 0) {
      const chunk = this.#rest.slice();
      this.#release();
      return chunk;
    }
    const chunk = await this.#next(READ_SIZE);
    if (chunk === null) return null;
    // A large chunk goes over as it is; a small one is cheap to copy.
    if (chunk.byteLength > READ_SIZE / 4) return chunk;
    this.#buffer = chunk.buffer;
    return chunk.slice();
  }

  async read(into: Uint8Array): Promise<number | null> {
    if (this.#rest.byteLength === 0) {
      // What is in the buffer is copied at once: no reader has to wait for room.
      const size = Math.max(READ_SIZE, Math.min(into.byteLength, PIPE_SIZE));
      const chunk = await this.#next(size);
      if (chunk === null) return null;
      this.#rest = chunk;
    }
    const count = Math.min(into.byteLength, this.#rest.byteLength);
    into.set(
      count === this.#rest.byteLength
        ? this.#rest
        : this.#rest.subarray(0, count),
    );
    if (count === this.#rest.byteLength) this.#release();
    else this.#rest = this.#rest.subarray(count);
    return count;
  }

  /** What comes next, in the one buffer where it is free. */
  async #next(size: number): Promise<Uint8Array<ArrayBuffer> | null> {
    const buffer = this.#buffer !== undefined && this.#buffer.byteLength >= size
      ? this.#buffer
      : new ArrayBuffer(size);
    this.#buffer = undefined;
    const { value } = await this.#reader.read(new Uint8Array(buffer));
    if (value === undefined || value.byteLength === 0) return this.#ended();
    return value;
  }

  /** All of what was read has been copied: its buffer serves again. */
  #release(): void {
    this.#buffer = this.#rest.buffer;
    this.#rest = EMPTY;
  }

  write(bytes: Uint8Array): Promise<number> {
    const { byteLength } = bytes;
    return this.#writer.write(bytes).then(() => byteLength);
  }

  async closeWrite(): Promise<void> {
    try {
      await this.#writer.close();
    } catch { // it reads no more: nothing is lost that it would read
    }
  }

  close(): void {
    this.#reader.cancel().catch(() => {});
    this.#writer.abort().catch(() => {});
    this.#onClose();
  }

  /** An end in order, or else the error that tells how the child died. */
  async #ended(): Promise<null> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = await Promise.race([
      this.#stage.ended,
      new Promise<undefined>((resolve) => {
        timer = setTimeout(() => resolve(undefined), EXIT_GRACE);
      }),
    ]);
    clearTimeout(timer);
    if (end === undefined || (end.code === 0 && end.signal === null)) {
      return null;
    }
    const { command, stderrTail: stderr } = this.#stage;
    const why = end.signal === null
      ? `it exited with code ${end.code}`
      : `it was killed by ${end.signal}`;
    const words = stderr.trim().slice(-500);
    throw new PipelineError(
      `Cannot read from ${command}: ${why}` +
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
