import { checkInteger, describe } from "../_async/check.ts";

/** Options of {@linkcode BufferedWriter}. */
export interface BufferedWriterOptions {
  /**
   * How many bytes are gathered before they leave as one write.
   *
   * @default {131072}
   */
  highWaterMark?: number;
  /**
   * Whether what was gathered leaves at the end of the turn of the event loop,
   * so that nothing written stays behind while the program waits for something
   * else. Otherwise it leaves when there is enough of it, by `flush` or by
   * `close`.
   *
   * @default {true}
   */
  flushOnTurnEnd?: boolean;
}

/** Of 32 to 256 KiB what text and bytes were fastest with: bench/buffered.ts. */
const HIGH_WATER_MARK = 128 * 1024;
const FIRST_LENGTH = 256;
const EMPTY = new Uint8Array(0);

/**
 * Batches small writes to any stream of bytes. A write to a pipe costs some
 * microseconds and a switch to the reader, whatever its size; a write here costs
 * some nanoseconds, and one large write leaves at the end of the turn.
 *
 * Needs no permission. It holds the stream's lock until it is closed.
 *
 * An error of the stream is thrown by the next `write`, `flush` or `close`.
 *
 * @example A hundred thousand lines to a child
 * ```ts
 * import { BufferedWriter } from "@sluice/ipc/pipe";
 * import { assertEquals } from "@std/assert";
 *
 * const child = new Deno.Command("wc", {
 *   args: ["-l"],
 *   stdin: "piped",
 *   stdout: "piped",
 * }).spawn();
 * const writer = new BufferedWriter(child.stdin);
 * for (let line = 0; line < 100_000; line++) await writer.write(`${line}\n`);
 * await writer.close();
 * const { stdout } = await child.output();
 * assertEquals(Number(new TextDecoder().decode(stdout)), 100_000);
 * ```
 */
export class BufferedWriter implements AsyncDisposable {
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  #highWaterMark: number;
  #flushOnTurnEnd: boolean;
  /** Text is gathered as a string: encoding it once costs the least. */
  #text = "";
  #bytes: Uint8Array = EMPTY;
  #length = 0;
  /** Below these, a write only gathers; 0 where it has to do more. */
  #textLimit = 0;
  #bytesLimit = 0;
  /** How long the next chunk's first buffer is: as the last one needed. */
  #firstLength = FIRST_LENGTH;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failed = false;
  #error: unknown;
  /** Settles when all that left before was taken. */
  #sent: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;
  #onTurnEnd = () => {
    this.#timer = undefined;
    this.#send();
  };

  /**
   * Takes the stream's lock.
   *
   * @param writable Where the bytes go: a child's stdin, a connection's
   * `writable`, `Deno.stdout.writable`, a file.
   * @param options When what was gathered leaves.
   * @throws {TypeError} If the stream is locked.
   * @throws {RangeError} If `highWaterMark` is below 1 or above 1 GiB.
   */
  constructor(
    writable: WritableStream<Uint8Array>,
    options: BufferedWriterOptions = {},
  ) {
    const { highWaterMark = HIGH_WATER_MARK, flushOnTurnEnd = true } = options;
    checkInteger("highWaterMark", highWaterMark, 1, 2 ** 30);
    this.#highWaterMark = highWaterMark;
    this.#flushOnTurnEnd = flushOnTurnEnd;
    this.#writer = writable.getWriter();
    this.#writer.closed.catch((error) => this.#fail(error));
  }

  /** How many bytes (of text: UTF-16 units) have been gathered and not left. */
  get buffered(): number {
    return this.#text.length + this.#length;
  }

  /**
   * Gathers bytes, which are copied, or text, which is encoded as UTF-8.
   *
   * @param chunk What to write.
   * @returns Nothing while there is room; a promise where the stream has as much
   * as it wants: await it, or memory grows. `await` fits both.
   * @throws {TypeError} If the chunk is neither, or the writer is closed.
   * @throws What broke the stream.
   */
  write(chunk: Uint8Array | string): Promise<void> | undefined {
    let left = false;
    if (typeof chunk === "string") {
      if ((this.#text += chunk).length < this.#textLimit) return undefined;
      this.#checkOpen();
    } else if (
      chunk instanceof Uint8Array && this.#text === "" &&
      this.#length + chunk.length < this.#bytesLimit
    ) {
      this.#bytes.set(chunk, this.#length);
      this.#length += chunk.length;
      return undefined;
    } else {
      this.#checkOpen();
      left = this.#append(chunk);
    }
    if (this.buffered >= this.#highWaterMark) {
      this.#send();
      left = true;
    } else {
      if (this.#timer === undefined && this.#flushOnTurnEnd) {
        this.#timer = setTimeout(this.#onTurnEnd, 0);
      }
      this.#textLimit = this.#highWaterMark - this.#length;
      this.#bytesLimit = Math.min(this.#highWaterMark, this.#bytes.length);
    }
    if (!left || (this.#writer.desiredSize ?? 0) > 0) return undefined;
    return this.#writer.ready;
  }

  #checkOpen(): void {
    if (!this.#failed && this.#closing === undefined) return;
    this.#text = "";
    if (this.#failed) throw this.#error;
    throw new TypeError("Cannot write: the BufferedWriter is closed");
  }

  /** Whether what was gathered before left, to make room. */
  #append(chunk: Uint8Array): boolean {
    if (!(chunk instanceof Uint8Array)) {
      throw new TypeError(
        `Cannot write: expected a Uint8Array or a string, received ` +
          describe(chunk),
      );
    }
    if (this.#text !== "") this.#encodeText();
    const full = this.#length > 0 &&
      this.#length + chunk.length > this.#highWaterMark;
    if (full) this.#send();
    this.#reserve(chunk.length);
    this.#bytes.set(chunk, this.#length);
    this.#length += chunk.length;
    return full;
  }

  /** Text before bytes: it takes its place among them. */
  #encodeText(): void {
    const text = this.#text;
    this.#text = "";
    this.#reserve(text.length * 3); // the most that UTF-8 takes
    this.#length += new TextEncoder().encodeInto(
      text,
      this.#bytes.subarray(this.#length),
    ).written;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(
      Math.max(
        needed,
        Math.min(this.#bytes.length * 4, this.#highWaterMark),
        this.#firstLength,
      ),
    );
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  /** Hands all that was gathered to the stream as one chunk. */
  #send(): void {
    this.#textLimit = this.#bytesLimit = 0;
    if (this.#failed || this.#text.length + this.#length === 0) return;
    let chunk: Uint8Array;
    if (this.#length === 0) {
      chunk = new TextEncoder().encode(this.#text);
      this.#text = "";
    } else {
      if (this.#text !== "") this.#encodeText();
      chunk = this.#bytes.subarray(0, this.#length);
      this.#firstLength = this.#length * 2 > this.#highWaterMark
        ? this.#highWaterMark
        : Math.max(FIRST_LENGTH, this.#length);
      this.#bytes = EMPTY; // the stream holds on to it
      this.#length = 0;
    }
    const sent = this.#writer.write(chunk);
    sent.catch((error) => this.#fail(error)); // thrown by the next call
    this.#sent = sent;
  }

  #stopTimer(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#stopTimer();
    this.#failed = true;
    this.#error = error;
    this.#text = "";
    this.#bytes = EMPTY;
    this.#length = this.#textLimit = this.#bytesLimit = 0;
  }

  /**
   * Sends what was gathered.
   *
   * @returns Resolves when the stream has taken all that was written before.
   * @throws What broke the stream.
   */
  async flush(): Promise<void> {
    this.#stopTimer();
    if (this.#failed) throw this.#error;
    this.#send();
    await this.#sent;
  }

  /**
   * Sends what was gathered and closes the stream. Calling it again gives the
   * same promise.
   *
   * @returns Resolves when the stream has taken everything and is closed.
   * @throws What broke the stream.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    await this.flush();
    await this.#writer.close();
  }

  /**
   * Drops what was gathered and aborts the stream.
   *
   * @param reason What the stream's other users get.
   * @returns Resolves when the stream is aborted.
   */
  async abort(reason?: unknown): Promise<void> {
    this.#closing ??= Promise.resolve();
    this.#fail(
      reason ?? new TypeError("Cannot write: the BufferedWriter was aborted"),
    );
    await this.#writer.abort(reason);
  }

  /** {@linkcode BufferedWriter.close}, unless `abort` came before. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
