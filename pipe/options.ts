import type { KilledBy, PipelineError, StageStatus } from "./errors.ts";

/**
 * Where a stage's stderr goes:
 *
 * - `"collect"`: its last bytes are kept, for {@linkcode PipelineError} and
 *   {@linkcode StageStatus}.
 * - `"inherit"`: to this program's stderr.
 * - `"merge"`: to where its stdout goes, as `2>&1` does.
 * - `"piped"`: to the `stderr` stream of its {@linkcode RunningStage}.
 * - `"null"`: nowhere.
 */
export type StderrMode = "collect" | "inherit" | "merge" | "piped" | "null";

/** A program and its arguments. No shell is involved: nothing is expanded. */
export type Command = readonly string[];

/** How one program runs. */
export interface CommandOptions {
  /**
   * The working directory.
   *
   * @default {Deno.cwd()}
   */
  cwd?: string | URL;
  /**
   * Environment variables, on top of this program's.
   *
   * @default {{}}
   */
  env?: Record<string, string>;
  /**
   * Whether the program gets `env` alone.
   *
   * @default {false}
   */
  clearEnv?: boolean;
  /**
   * Where its stderr goes.
   *
   * @default {"collect"}
   */
  stderr?: StderrMode;
  /**
   * How many bytes of stderr are kept: the last ones.
   *
   * @default {65536}
   */
  maxStderr?: number;
  /**
   * The exit codes that are a success. `grep` ends with 1 where nothing matched.
   *
   * @default {[0]}
   */
  successCodes?: readonly number[];
}

/** A program as a stage, with options of its own. */
export interface CommandStage extends CommandOptions {
  /** The program and its arguments. */
  command: Command;
}

/** What a JavaScript stage may yield. */
export type Bytes = Uint8Array | string;

/**
 * A function as a stage: it reads the output of the stage before, and yields
 * the input of the next one. A string is written as UTF-8.
 */
export type StageFunction = (
  input: ReadableStream<Uint8Array>,
) => AsyncIterable<Bytes>;

/**
 * A `TransformStream`, or another pair of streams, as a stage: such as a
 * `CompressionStream`.
 */
export interface StageStreams {
  /** What goes to the next stage. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Takes the output of the stage before. */
  readonly writable: WritableStream<Uint8Array> | WritableStream<BufferSource>;
}

/** One stage of a pipeline. */
export type Stage = Command | CommandStage | StageFunction | StageStreams;

/** What is written to the first stage. A string is written as UTF-8. */
export type PipelineInput =
  | Bytes
  | ReadableStream<Uint8Array>
  | AsyncIterable<Bytes>
  | Iterable<Bytes>;

/** Options of a pipeline, and of all of its commands. */
export interface PipelineOptions extends CommandOptions {
  /**
   * What the first stage reads: a source; `{ from: "null" }` for nothing;
   * `{ from: "inherit" }` for this program's stdin, which also leaves the
   * processes in this program's process group; or `{ from: "piped" }` for what
   * is written to {@linkcode RunningPipeline.stdin}.
   *
   * @default {{ from: "null" }}
   */
  stdin?: PipelineInput | { from: "null" | "inherit" | "piped" };
  /**
   * Where the output of the last stage goes: to who reads it here, to this
   * program's stdout, or nowhere.
   *
   * @default {"piped"}
   */
  stdout?: "piped" | "inherit" | "null";
  /**
   * The most bytes that are kept in memory: by `text`, `bytes`, `json` and
   * `output`, for one of `lines`, and of a stream that nobody reads yet. More
   * ends the pipeline.
   *
   * @default {16777216}
   */
  maxOutput?: number;
  /**
   * How long the pipeline may run, in milliseconds. Then `killSignal` goes to
   * the process group of each command.
   *
   * @default {Infinity}
   */
  timeout?: number;
  /** Ends the pipeline as a timeout does. */
  signal?: AbortSignal;
  /**
   * The signal that asks the commands to end.
   *
   * @default {"SIGTERM"}
   */
  killSignal?: Deno.Signal;
  /**
   * How long commands have to end after `killSignal`, in milliseconds. Then
   * `SIGKILL` goes to their process groups.
   *
   * @default {2000}
   */
  killTimeout?: number;
  /**
   * How long the output of a command that has exited may stay silent and open,
   * in milliseconds, since a process that it left holds it. Then the process
   * group is killed, and the pipeline fails.
   *
   * @default {1000}
   */
  drainTimeout?: number;
  /**
   * Whether a failure is thrown. Where not, what there is comes back, and
   * `success` of the result tells.
   *
   * @default {true}
   */
  throwOnFailure?: boolean;
  /**
   * Whether any failing stage fails the pipeline, instead of the last alone.
   *
   * @default {true}
   */
  pipefail?: boolean;
  /**
   * What the pipes of the commands hold, in bytes. Linux, and `--allow-ffi`.
   *
   * @default {65536}
   */
  pipeCapacity?: number;
  /**
   * Whether each command leads a session and process group of its own, so that
   * ending it ends what it started. Without, it has the terminal and gets Ctrl-C,
   * the commands alone are ended, and on a busy machine they may be faster, as
   * Linux schedules by session.
   *
   * @default {true}
   */
  group?: boolean;
  /**
   * How neighbouring commands are connected:
   *
   * - `"auto"`: by kernel pipes on Linux with `--allow-ffi`, elsewhere by streams.
   * - `"descriptors"`: by kernel pipes, or not at all. Without `--allow-ffi` it
   *   costs some 25 ms once in a program and 1 ms a pipe, and saves 0.3 ms with
   *   each MB. It is for Linux, and then requires `--allow-run=true` (the
   *   program of that name), `--allow-read=/proc/self/fd` and
   *   `--allow-write=/proc/self/fd`. Where one is missing the result rejects with
   *   `Deno.errors.NotCapable`; nobody is asked.
   * - `"streams"`: by streams of this program.
   *
   * @default {"auto"}
   */
  connection?: "auto" | "descriptors" | "streams";
}

/** How a pipeline ended. */
export interface PipelineResult {
  /** Whether it did what it should. */
  readonly success: boolean;
  /** The exit code of the stage that failed, or else of the last. */
  readonly code: number;
  /** The signal that killed that stage. */
  readonly signal: Deno.Signal | null;
  /** Why this side ended it, or `null` where it did not. */
  readonly killedBy: KilledBy | null;
  /** How long it ran, in milliseconds. */
  readonly duration: number;
  /** How each stage ended. */
  readonly stages: readonly StageStatus[];
  /** The error of a failure, thrown or not. */
  readonly error: PipelineError | null;
}

/** How a pipeline ended, and what it wrote. */
export interface PipelineOutput extends PipelineResult {
  /** The output of the last stage. */
  readonly stdout: Uint8Array;
}

/** One stage of a pipeline that runs. */
export interface RunningStage {
  /** The command with its arguments, as a message shows it. */
  readonly command: string;
  /** The process id of a command. */
  readonly pid: number | undefined;
  /** How it ended. Never rejects. */
  readonly status: Promise<StageStatus>;
  /**
   * Its stderr, where that is `"piped"`.
   *
   * @throws {TypeError} Where it is not.
   */
  readonly stderr: ReadableStream<Uint8Array>;
}

/** A pipeline that runs. Disposing it ends what still runs. */
export interface RunningPipeline extends AsyncDisposable {
  /**
   * How neighbouring commands are connected: by kernel pipes, or by streams of
   * this program.
   */
  readonly connection: "descriptors" | "streams";
  /** The stages, in order. */
  readonly stages: readonly RunningStage[];
  /**
   * The input of the first stage, where `stdin` is `{ from: "piped" }`.
   *
   * @throws {TypeError} Where it is not.
   */
  readonly stdin: WritableStream<Uint8Array>;
  /** The output of the last stage. Errors at its end where a stage failed. */
  readonly readable: ReadableStream<Uint8Array>;
  /**
   * How it ended, once everything has. Output that nobody reads is kept
   * meanwhile, up to `maxOutput`.
   */
  readonly result: Promise<PipelineResult>;
  /** The output as text. */
  text(): Promise<string>;
  /** The output as it is. */
  bytes(): Promise<Uint8Array>;
  /** The output as a JSON value. */
  json<T = unknown>(): Promise<T>;
  /** The output line by line, without line ends. */
  lines(): AsyncIterableIterator<string>;
  /** The result together with the output. */
  output(): Promise<PipelineOutput>;
  /** Sends a signal to the process group of every command that runs. */
  kill(signal?: Deno.Signal): void;
}

/** One program that runs: a pipeline of one stage. */
export interface RunningProcess extends RunningPipeline {
  /** The process id, or `undefined` where the start failed. */
  readonly pid: number | undefined;
  /**
   * Its stderr, where that is `"piped"`.
   *
   * @throws {TypeError} Where it is not.
   */
  readonly stderr: ReadableStream<Uint8Array>;
}
