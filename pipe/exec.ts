import type { Connection } from "../duplex.ts";
import { checkInteger, checkOneOf } from "../_async/check.ts";
import { checkTimeout } from "../_async/wait.ts";
import { ByteConnection } from "../_transport/connection.ts";
import {
  type ByteStreamOptions,
  checkStreamOptions,
} from "../_transport/options.ts";
import { startCommand, StartFailure } from "./_command.ts";
import { setEnds } from "./_ends.ts";
import { ExecIo } from "./_exec_io.ts";
import { StageRun } from "./_stage_run.ts";
import { checkStage } from "./_stages.ts";
import { splitWords } from "./_words.ts";
import { PipelineError, type StageStatus } from "./errors.ts";
import type { Command } from "./options.ts";

/** Options of {@linkcode connectExec}. */
export interface ConnectExecOptions extends ByteStreamOptions {
  /** Where it has aborted, nothing is started: its reason is thrown. */
  signal?: AbortSignal;
  /**
   * The program and its arguments, or one string that is split at blanks, with
   * `'…'`, `"…"` and backslashes as in a shell. Nothing is expanded.
   */
  command: Command | string;
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
   * Where its stderr goes: to this program's, to
   * {@linkcode ExecConnection.stderr}, or nowhere. With `"collect"`, only its
   * last bytes are kept, for the error and the status.
   *
   * @default {"inherit"}
   */
  stderr?: "inherit" | "piped" | "collect" | "null";
  /**
   * How many bytes of stderr are kept: the last ones. Of one that is piped and
   * not read, up to 16 MiB wait.
   *
   * @default {65536}
   */
  maxStderr?: number;
  /**
   * How long the program may go on once the connection is closed, in
   * milliseconds. Then its process group gets `SIGTERM`.
   *
   * @default {2000}
   */
  exitTimeout?: number;
  /**
   * How long it has after `SIGTERM`, in milliseconds. Then its process group
   * gets `SIGKILL`.
   *
   * @default {2000}
   */
  killTimeout?: number;
}

/** A connection to a program's stdio. */
export interface ExecConnection extends Connection {
  /** The process id. */
  readonly pid: number;
  /** How the program ended. Never rejects. */
  readonly status: Promise<StageStatus>;
  /**
   * Its stderr, where that is `"piped"`.
   *
   * @throws {TypeError} Where it is not.
   */
  readonly stderr: ReadableStream<Uint8Array>;
}

/** What waits of a piped stderr that nobody reads, in bytes. */
const STDERR_LIMIT = 16 * 1024 * 1024;

/**
 * Starts a program and connects to its stdin and stdout. The address form is
 * `exec:python3 worker.py`.
 *
 * A program that dies breaks the connection: what waits rejects with a
 * `ConnectionClosedError` whose `cause` is a {@linkcode PipelineError} with
 * exit code, signal and the tail of stderr. Closing the connection ends its
 * stdin; a program that does not end then is ended. Aborting ends it at once,
 * with all its process group.
 *
 * Requires `--allow-run` for the program.
 *
 * @param options The command, and how it runs.
 * @returns The open connection.
 * @throws {PipelineError} If the program can't be started.
 * @throws {TypeError} If the command is malformed.
 * @throws {Deno.errors.NotCapable} Without `--allow-run`.
 *
 * @example A program that echoes
 * ```ts
 * import { connectExec } from "@sluice/ipc/pipe";
 * import { assertEquals } from "@std/assert";
 *
 * await using connection = await connectExec({ command: ["cat"] });
 * const writer = connection.writable.getWriter();
 * await writer.write(new TextEncoder().encode("hello"));
 * await writer.close();
 * const text = await new Response(connection.readable as BodyInit).text();
 * assertEquals(text, "hello");
 * ```
 */
// deno-lint-ignore require-await -- what it throws is a rejection
export async function connectExec(
  options: ConnectExecOptions,
): Promise<ExecConnection> {
  const words = typeof options.command === "string"
    ? splitWords(options.command)
    : options.command;
  const { name } = checkStage(words, 0);
  const { stderr = "inherit", maxStderr = 64 * 1024, signal } = options;
  checkOneOf("stderr", stderr, ["inherit", "piped", "collect", "null"]);
  checkInteger("maxStderr", maxStderr, 0);
  checkTimeout("exitTimeout", options.exitTimeout ?? 0);
  checkTimeout("killTimeout", options.killTimeout ?? 0);
  checkStreamOptions(options);
  signal?.throwIfAborted();
  const stage = new StageRun("command", name, {
    successCodes: [0],
    maxStderr,
    group: true,
    onWait() {},
  });
  stage.attach(start(options, words, name, stderr));
  if (stderr === "piped" || stderr === "collect") {
    stage.readStderr(stderr, STDERR_LIMIT, () => stage.signal("SIGKILL"));
  }
  return new ChildConnection(stage, options);
}

function start(
  { cwd, env, clearEnv }: ConnectExecOptions,
  command: readonly string[],
  name: string,
  stderr: string,
): Deno.ChildProcess {
  try {
    return startCommand({
      command,
      cwd,
      env,
      clearEnv,
      stdin: "piped",
      stdout: "piped",
      stderrTo: stderr === "inherit" || stderr === "null" ? stderr : "piped",
      group: true,
    });
  } catch (error) {
    if (!(error instanceof StartFailure)) throw error;
    throw new PipelineError(`Cannot connect to exec:${name}: ${error.why}`, {
      code: error.code,
      command: name,
      duration: 0,
      cause: error.cause,
    });
  }
}

class ChildConnection extends ByteConnection implements ExecConnection {
  readonly status: Promise<StageStatus>;
  readonly #stage: StageRun;
  readonly #options: ConnectExecOptions;
  #closing: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(stage: StageRun, options: ConnectExecOptions) {
    super(new ExecIo(stage, () => this.#end()), {
      ...options,
      local: "stdio:",
      remote: `exec:${stage.command}`,
    });
    this.#stage = stage;
    this.#options = options;
    this.status = this.#watch();
    setEnds(this, {
      child: () => ({
        pid: this.pid,
        ended: stage.end !== undefined,
        streams: [1, 0],
      }),
    });
  }

  get pid(): number {
    return this.#stage.pid!;
  }

  get stderr(): ReadableStream<Uint8Array> {
    return this.#stage.stderr;
  }

  override abort(reason?: unknown): void {
    this.#stage.signal("SIGKILL");
    super.abort(reason);
  }

  override close(): Promise<void> {
    return this.#closing ??= super.close().then(async () => {
      await this.status;
    });
  }

  /** The connection is over: so is the program, soon. */
  #end(): void {
    const { exitTimeout = 2_000, killTimeout = 2_000 } = this.#options;
    if (this.#stage.end !== undefined) return;
    const after = (milliseconds: number, act: () => void) => {
      if (milliseconds < 2 ** 31) this.#timer = setTimeout(act, milliseconds);
    };
    after(exitTimeout, () => {
      this.#stage.signal("SIGTERM");
      after(killTimeout, () => this.#stage.signal("SIGKILL"));
    });
  }

  async #watch(): Promise<StageStatus> {
    const { code, signal } = await this.#stage.ended;
    clearTimeout(this.#timer);
    this.#stage.hurry(1_000);
    await Promise.all(this.#stage.tasks);
    return this.#stage.settle(code === 0 && signal === null);
  }
}
