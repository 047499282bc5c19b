import { checkCommandOptions, checkOptions } from "./_check.ts";
import { Running } from "./_running.ts";
import { type CheckedStage, checkProgram, checkStage } from "./_stages.ts";
import type {
  Command,
  CommandOptions,
  PipelineInput,
  PipelineOptions,
  PipelineOutput,
  PipelineResult,
  RunningPipeline,
  RunningProcess,
  Stage,
} from "./options.ts";

/**
 * A description of processes, and functions, of which each reads what the one
 * before writes. Nothing runs until it is read or started; the methods that
 * describe it return a new one. See {@linkcode pipeline}.
 *
 * @example Built step by step
 * ```ts
 * import { Pipeline } from "@sluice/ipc/pipe";
 * import { assertEquals } from "@std/assert";
 *
 * const sorted = new Pipeline().pipe(["sort"], { env: { LC_ALL: "C" } });
 * assertEquals(await sorted.input("b\na\n").text(), "a\nb\n");
 * ```
 */
export class Pipeline {
  readonly #stages: readonly Stage[];
  readonly #options: PipelineOptions;

  /**
   * Describes a pipeline.
   *
   * @param stages Its stages, in order.
   * @param options Options of the pipeline and of its commands.
   */
  constructor(stages: readonly Stage[] = [], options: PipelineOptions = {}) {
    stages.forEach(checkStage);
    checkOptions(options);
    this.#stages = stages;
    this.#options = options;
  }

  /**
   * The same with one more stage.
   *
   * @param stage A command, a function or a pair of streams.
   * @param options Options of this command alone.
   * @returns The longer pipeline.
   * @throws {TypeError} If the stage is malformed.
   */
  pipe(stage: Stage, options?: CommandOptions): Pipeline {
    const { kind } = checkStage(stage, this.#stages.length);
    if (options === undefined) {
      return new Pipeline([...this.#stages, stage], this.#options);
    }
    if (kind !== "command") {
      throw new TypeError("Invalid options: only a command takes some");
    }
    checkCommandOptions(options);
    const own = Array.isArray(stage) ? { command: stage as Command } : stage;
    const merged = { ...own, ...options } as Stage;
    return new Pipeline([...this.#stages, merged], this.#options);
  }

  /**
   * The same with other options: those given replace the earlier ones.
   *
   * @param options Options of the pipeline and of its commands.
   * @returns The new pipeline.
   * @throws {TypeError | RangeError} If an option is malformed.
   */
  with(options: PipelineOptions): Pipeline {
    return new Pipeline(this.#stages, { ...this.#options, ...options });
  }

  /**
   * The same with something to read for the first stage.
   *
   * @param source Text, bytes, a stream or an async iterable.
   * @returns The new pipeline.
   */
  input(source: PipelineInput): Pipeline {
    return this.with({ stdin: source });
  }

  /**
   * Starts the processes.
   *
   * Requires `--allow-run` for the commands. A program that can't be started
   * is an error of every way to read the result, not of this call.
   *
   * @returns The running pipeline, owned by the caller.
   * @throws {TypeError} If the pipeline is empty.
   */
  start(): RunningPipeline {
    return startRunning(this.#stages, this.#options);
  }

  /**
   * Runs it and returns the output of its last stage as text.
   *
   * @returns The text, line ends included.
   * @throws {PipelineError} If a stage failed, it took too long or wrote too
   * much, or the output is no UTF-8.
   * @throws The reason of `signal`, where it aborts.
   * @throws {TypeError} If the pipeline is empty.
   */
  async text(): Promise<string> {
    return await this.start().text();
  }

  /**
   * Runs it and returns the output of its last stage.
   *
   * @returns The bytes.
   * @throws {PipelineError} As {@linkcode Pipeline.text}.
   */
  async bytes(): Promise<Uint8Array> {
    return await this.start().bytes();
  }

  /**
   * Runs it and parses the output of its last stage as JSON.
   *
   * @typeParam T What the JSON is taken for: it is not checked.
   * @returns The value.
   * @throws {PipelineError} As {@linkcode Pipeline.text}, or if it is no JSON.
   */
  async json<T = unknown>(): Promise<T> {
    return await this.start().json<T>();
  }

  /**
   * Runs it and iterates over the lines of its output, as they come. Leaving
   * the loop ends the processes.
   *
   * @returns The lines without line ends.
   * @throws {PipelineError} As {@linkcode Pipeline.text}.
   */
  async *lines(): AsyncIterableIterator<string> {
    yield* this.start().lines();
  }

  /**
   * Runs it and returns how it ended together with its output.
   *
   * @returns The result.
   * @throws {PipelineError} As {@linkcode Pipeline.text}, where
   * `throwOnFailure` is not `false`.
   */
  async output(): Promise<PipelineOutput> {
    return await this.start().output();
  }

  /**
   * Runs it and returns how it ended. Output is kept up to `maxOutput` and then
   * an error: set `stdout` to `"inherit"` or `"null"` where nobody wants it.
   *
   * @returns The result.
   * @throws {PipelineError} As {@linkcode Pipeline.text}, where
   * `throwOnFailure` is not `false`.
   */
  async run(): Promise<PipelineResult> {
    return await this.start().result;
  }

  /** Starts it; the output of its last stage. */
  get readable(): ReadableStream<Uint8Array> {
    return this.start().readable;
  }
}

/** Checks everything, then starts. */
function startRunning(
  stages: readonly Stage[],
  options: PipelineOptions,
): Running {
  if (stages.length === 0) throw new TypeError("Pipeline is empty");
  const plan: CheckedStage[] = stages.map(checkStage);
  return new Running(plan, checkOptions(options));
}

/**
 * Describes a pipeline of processes, such as a shell's `ls | grep .ts | wc -l`,
 * without a shell: nothing is expanded, so nothing has to be quoted.
 *
 * With `--allow-ffi` on Linux, neighbouring commands are connected by kernel
 * pipes and no byte passes through this program; elsewhere through streams, with
 * the same results, unless the option `connection` asks for kernel pipes.
 * Functions and `TransformStream`s may stand between commands.
 *
 * Any failing stage fails the whole, except one that ended by `SIGPIPE` (or, by
 * way of a shell, with code 141) since its reader had finished.
 *
 * Each command leads a process group of its own, so that ending it also ends
 * what it started. It therefore has no controlling terminal, unless `stdin` is
 * `{ from: "inherit" }`.
 *
 * Requires `--allow-run` for the commands. Ending a whole group requires all of
 * `--allow-run`, or `--allow-ffi`; else the commands themselves are ended.
 *
 * @param stages Commands as arrays of strings, functions or pairs of streams.
 * @returns The description: read it, or start it.
 * @throws {TypeError} If a stage is malformed.
 *
 * @example Three commands
 * ```ts
 * import { pipeline } from "@sluice/ipc/pipe";
 * import { assertEquals } from "@std/assert";
 *
 * const count = await pipeline(
 *   ["printf", "one.ts\ntwo.md\nthree.ts\n"],
 *   ["grep", ".ts"],
 *   ["wc", "-l"],
 * ).text();
 * assertEquals(count.trim(), "2");
 * ```
 *
 * @example A function between commands
 * ```ts
 * import { pipeline } from "@sluice/ipc/pipe";
 * import { assertEquals } from "@std/assert";
 *
 * async function* shout(input: ReadableStream<Uint8Array>) {
 *   for await (const text of input.pipeThrough(new TextDecoderStream())) {
 *     yield text.toUpperCase();
 *   }
 * }
 * const text = await pipeline(["echo", "hello"], shout, ["cat"]).text();
 * assertEquals(text, "HELLO\n");
 * ```
 */
export function pipeline(...stages: Stage[]): Pipeline {
  return new Pipeline(stages);
}

/**
 * Starts one program.
 *
 * Requires `--allow-run` for it. Where it can't be started, every way to read
 * the result throws.
 *
 * @param command The program and its arguments.
 * @param options Input, output and limits.
 * @returns The running program, owned by the caller.
 * @throws {TypeError} If the command is malformed.
 *
 * @example Input, output and errors at once
 * ```ts
 * import { spawn } from "@sluice/ipc/pipe";
 * import { assertEquals } from "@std/assert";
 *
 * await using child = spawn(["sh", "-c", "cat; echo done >&2"], {
 *   stdin: "hello",
 *   timeout: 10_000,
 * });
 * assertEquals(await child.text(), "hello");
 * const [status] = (await child.result).stages;
 * assertEquals(status.stderr, "done\n");
 * ```
 *
 * @example A failure as a value
 * ```ts
 * import { spawn } from "@sluice/ipc/pipe";
 * import { assertEquals } from "@std/assert";
 *
 * const options = { throwOnFailure: false };
 * const { success, code } = await spawn(["false"], options).result;
 * assertEquals([success, code], [false, 1]);
 * ```
 */
export function spawn(
  command: Command,
  options: PipelineOptions = {},
): RunningProcess {
  checkProgram(command);
  return startRunning([command], options);
}
