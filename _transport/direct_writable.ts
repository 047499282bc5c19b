// A stream whose writers pass its queue by while that is empty: what the
// transport takes at once costs no turn of promises.

const DONE = Promise.resolve();

/** Takes what there is room for now; the count. */
export type WriteNow = (chunk: Uint8Array) => number;

/** Whether chunks may still pass the queue by. */
interface Gate {
  open: boolean;
}

let DirectWritable: ReturnType<typeof defineDirectWritable> | undefined;

/** A `WritableStream`, also for those who pipe to it or transfer it. */
export function directWritable(
  sink: UnderlyingSink<Uint8Array>,
  strategy: QueuingStrategy<Uint8Array>,
  writeNow?: WriteNow,
): WritableStream<Uint8Array> {
  if (writeNow === undefined) return new WritableStream(sink, strategy);
  DirectWritable ??= defineDirectWritable();
  return new DirectWritable(sink, strategy, writeNow);
}

/** Not at import: naming its streams has the runtime load them, 2 to 4 ms. */
function defineDirectWritable() {
  class DirectWriter extends WritableStreamDefaultWriter<Uint8Array> {
    readonly #writeNow: WriteNow;
    #gate: Gate;

    constructor(
      stream: WritableStream<Uint8Array>,
      gate: Gate,
      writeNow: WriteNow,
    ) {
      super(stream);
      this.#gate = gate;
      this.#writeNow = writeNow;
    }

    override write(chunk?: Uint8Array): Promise<void> {
      if (!this.#gate.open || !(chunk instanceof Uint8Array)) {
        return super.write(chunk);
      }
      const count = this.#writeNow(chunk);
      if (count === 0) return super.write(chunk);
      if (count === chunk.byteLength) return DONE;
      return super.write(chunk.subarray(count));
    }

    override close(): Promise<void> {
      this.#gate.open = false;
      return super.close();
    }

    override abort(reason?: unknown): Promise<void> {
      this.#gate.open = false;
      return super.abort(reason);
    }

    override releaseLock(): void {
      this.#gate = { open: false }; // another writer may go on
      super.releaseLock();
    }
  }

  return class DirectWritable extends WritableStream<Uint8Array> {
    readonly #writeNow: WriteNow;
    readonly #gate: Gate = { open: true };

    constructor(
      sink: UnderlyingSink<Uint8Array>,
      strategy: QueuingStrategy<Uint8Array>,
      writeNow: WriteNow,
    ) {
      super(sink, strategy);
      this.#writeNow = writeNow;
    }

    override getWriter(): WritableStreamDefaultWriter<Uint8Array> {
      return new DirectWriter(this, this.#gate, this.#writeNow);
    }

    override close(): Promise<void> {
      if (!this.locked) this.#gate.open = false;
      return super.close();
    }

    override abort(reason?: unknown): Promise<void> {
      if (!this.locked) this.#gate.open = false;
      return super.abort(reason);
    }
  };
}
