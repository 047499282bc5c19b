// The ways to read a running pipeline.

import { type CheckedOptions, checkSignal } from "./_check.ts";
import { pipesOfOne, setEnds } from "./_ends.ts";
import { Run } from "./_run.ts";
import { toStream } from "./_source.ts";
import type { CheckedStage } from "./_stages.ts";
import { invalidAt, LineSplitter } from "./_text.ts";
import type { PipelineError, PipelineErrorCode } from "./errors.ts";
import type {
  PipelineOutput,
  PipelineResult,
  RunningProcess,
  RunningStage,
} from "./options.ts";

/** A started pipeline. */
export class Running implements RunningProcess {
  readonly #run: Run;
  readonly #what: string;

  constructor(plan: readonly CheckedStage[], options: CheckedOptions) {
    this.#run = new Run(plan, options);
    this.#what = plan[plan.length - 1].name;
    const { stages } = this.#run;
    setEnds(this, { child: () => pipesOfOne(stages, options) });
  }

  get connection(): "descriptors" | "streams" {
    return this.#run.connection;
  }

  get stages(): readonly RunningStage[] {
    return this.#run.stages;
  }

  get pid(): number | undefined {
    return this.#run.stages[0].pid;
  }

  get stderr(): ReadableStream<Uint8Array> {
    return this.#run.stages[0].stderr;
  }

  get stdin(): WritableStream<Uint8Array> {
    if (this.#run.input === undefined) {
      throw new TypeError(
        `Cannot write to ${this.#run.stages[0].command}: ` +
          (this.#run.stages[0].pid === undefined
            ? `it was not started`
            : `the option stdin is not { from: "piped" }`),
      );
    }
    return this.#run.input;
  }

  get readable(): ReadableStream<Uint8Array> {
    this.#take();
    return toStream({
      owned: this.#run.output?.owned,
      next: () => this.#next(),
      cancel: () => this.#run.cancelOutput(),
    });
  }

  get result(): Promise<PipelineResult> {
    this.#run.readAhead();
    return this.#result();
  }

  async bytes(): Promise<Uint8Array> {
    return (await this.output()).stdout;
  }

  async text(): Promise<string> {
    return this.#decode(await this.output());
  }

  async json<T = unknown>(): Promise<T> {
    const output = await this.output();
    const text = this.#decode(output);
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw this.#error(
        "invalid-json",
        `its output is no JSON: ${(cause as Error).message}`,
        cause,
        output,
      );
    }
  }

  async output(): Promise<PipelineOutput> {
    this.#take();
    const { maxOutput } = this.#run.options;
    const chunks: Uint8Array[] = [];
    let length = 0;
    for (;;) {
      const chunk = await this.#read();
      if (chunk === null) break;
      if (length + chunk.byteLength > maxOutput) {
        chunks.push(chunk.subarray(0, maxOutput - length));
        length = maxOutput;
        this.#fail("max-output", `its output exceeds maxOutput ${maxOutput}`);
        this.#run.output?.cancel();
        break;
      }
      chunks.push(chunk);
      length += chunk.byteLength;
    }
    const result = await this.#result();
    return { ...result, stdout: join(chunks, length) };
  }

  async *lines(): AsyncIterableIterator<string> {
    this.#take();
    const splitter = new LineSplitter();
    const { maxOutput } = this.#run.options;
    let ended = false;
    try {
      while (!ended) {
        const chunk = await this.#read();
        ended = chunk === null;
        let lines: string[];
        try {
          lines = splitter.push(chunk);
        } catch (cause) {
          this.#fail("invalid-utf8", "its output is no UTF-8", cause);
          break;
        }
        for (const line of lines) yield line;
        if (!ended && splitter.pending > maxOutput) {
          const why = `a line of its output exceeds maxOutput ${maxOutput}`;
          this.#fail("max-output", why);
          break;
        }
      }
      if (!ended) this.#run.output?.cancel();
      ended = true;
      await this.#result();
    } finally {
      if (!ended) { // nobody wants more
        this.#run.cancelOutput();
        await this.#run.finished;
      }
    }
  }

  kill(signal: Deno.Signal = this.#run.options.killSignal): void {
    checkSignal("signal", signal);
    this.#run.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#run.end("dispose");
    this.#run.output?.cancel();
    for (const stage of this.#run.stages) stage.cancelStderr();
    await this.#run.finished;
  }

  #take(): void {
    const { output, options } = this.#run;
    if (output !== undefined) return output.take(`the output of ${this.#what}`);
    if (options.stdout !== "piped") {
      throw new TypeError(
        `Cannot read the output of ${this.#what}: the option stdout is ` +
          `"${options.stdout}"`,
      );
    }
  }

  async #read(): Promise<Uint8Array | null> {
    return await this.#run.output?.next() ?? null;
  }

  /** The next chunk; at the end, the pipeline's. */
  async #next(): Promise<Uint8Array | null> {
    const chunk = await this.#read();
    if (chunk === null) await this.#result();
    return chunk;
  }

  async #result(): Promise<PipelineResult> {
    const result = await this.#run.finished;
    if (this.#run.mistake !== undefined) throw this.#run.mistake.error;
    if (!this.#run.options.throwOnFailure || result.error === null) {
      return result;
    }
    if (result.error.code === "aborted") throw result.error.cause;
    throw result.error;
  }

  #decode(output: PipelineOutput): string {
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(output.stdout);
    } catch (cause) {
      throw this.#error(
        "invalid-utf8",
        `its output is no UTF-8 from byte ${invalidAt(output.stdout)} on`,
        cause,
        output,
      );
    }
  }

  #fail(code: PipelineErrorCode, why: string, cause?: unknown): void {
    this.#run.failOutput(code, why, cause);
  }

  #error(
    code: PipelineErrorCode,
    why: string,
    cause: unknown,
    { stages }: PipelineResult,
  ): PipelineError {
    return this.#run.error(code, why, cause, stages);
  }
}

/** The chunks as one. */
function join(chunks: readonly Uint8Array[], length: number): Uint8Array {
  if (chunks.length === 1) return chunks[0];
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}
