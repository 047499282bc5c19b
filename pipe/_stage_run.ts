// One stage while it runs: how it started, what it says, how it ended.

import { ChildOutput } from "./_child_output.ts";
import { BufferedSource } from "./_buffered.ts";
import { signalChild } from "./_command.ts";
import type { StageStatus } from "./errors.ts";
import type { RunningStage, StderrMode } from "./options.ts";
import { type Source, toStream } from "./_source.ts";
import { Tail, withTail } from "./_tail.ts";

/** How a stage ended, before anybody judged it. */
export interface StageEnd {
  code: number;
  signal: Deno.Signal | null;
}

/** What a {@linkcode StageRun} needs to know. */
export interface StageRunOptions {
  successCodes: readonly number[];
  maxStderr: number;
  /** Whether its process leads a group of its own. */
  group: boolean;
  /** Called when somebody waits for its status or reads its stderr. */
  onWait(): void;
}

/** A stage, started or about to. */
export class StageRun implements RunningStage {
  readonly command: string;
  readonly kind: "command" | "javascript";
  /** Resolves with the end of the process or of the function. */
  readonly ended: Promise<StageEnd>;
  /** What has to come to an end after it: its stderr, its pumps. */
  readonly tasks: Promise<void>[] = [];
  /** Its stdout, where this program reads it. */
  output: ChildOutput | undefined;
  child: Deno.ChildProcess | undefined;
  end: StageEnd | undefined;
  duration = 0;
  /** Whether a shell starts it: a missing program is an exit code then. */
  byShell = false;

  readonly #tail: Tail;
  readonly #ended = Promise.withResolvers<StageEnd>();
  readonly #status = Promise.withResolvers<StageStatus>();
  #stderr: ChildOutput | undefined;
  #stderrReader: BufferedSource | undefined;
  #started = performance.now();

  constructor(
    kind: StageRun["kind"],
    command: string,
    readonly options: StageRunOptions,
  ) {
    this.kind = kind;
    this.command = command;
    this.ended = this.#ended.promise;
    this.#tail = new Tail(options.maxStderr);
  }

  get status(): Promise<StageStatus> {
    this.options.onWait();
    return this.#status.promise;
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  get stderr(): ReadableStream<Uint8Array> {
    if (this.#stderrReader === undefined) {
      throw new TypeError(
        `Cannot read the stderr of ${this.command}: the option stderr is not ` +
          `"piped"`,
      );
    }
    this.options.onWait(); // its end may come after all of the output
    this.#stderrReader.take(`the stderr of ${this.command}`);
    return toStream(this.#stderrReader);
  }

  /** The last of its stderr. */
  get stderrTail(): string {
    return this.#tail.toString();
  }

  /** Watches the process that was started for it. */
  attach(child: Deno.ChildProcess): void {
    this.child = child;
    child.status.then(({ code, signal }) => this.finish({ code, signal }));
  }

  /** The process, or function, has ended. */
  finish(end: StageEnd): void {
    if (this.end !== undefined) return;
    this.end = end;
    this.duration = performance.now() - this.#started;
    this.#ended.resolve(end);
  }

  /** Reads its stderr. */
  readStderr(
    mode: StderrMode,
    limit: number,
    onFull: () => void,
  ): void {
    this.#stderr = new ChildOutput(this.child!.stderr, { onHeld() {} });
    const source = withTail(this.#stderr, this.#tail);
    if (mode === "piped") {
      this.#stderrReader = new BufferedSource(source, { limit, onFull });
      this.#stderrReader.eager();
      this.tasks.push(this.#stderrReader.done);
    } else this.tasks.push(drain(source));
  }

  /** What still reads its output waits only so long from now on. */
  hurry(patience: number): void {
    this.output?.exited(patience);
    this.#stderr?.exited(patience);
  }

  /** Sends a signal to its processes, where there are any. */
  signal(signal: Deno.Signal): void {
    if (this.child) signalChild(this.child, this.options.group, signal);
  }

  /** Frees what nobody will read any more. */
  cancelStderr(): void {
    this.#stderrReader?.cancel();
  }

  /** Says how it ended, judged. */
  settle(success: boolean): StageStatus {
    const status: StageStatus = {
      command: this.command,
      kind: this.kind,
      pid: this.pid,
      code: this.end?.code ?? 1,
      signal: this.end?.signal ?? null,
      success,
      duration: this.duration,
      stderr: this.stderrTail,
    };
    this.#status.resolve(status);
    return status;
  }
}

async function drain(source: Source): Promise<void> {
  try {
    while (await source.next() !== null);
  } catch { // the runtime's own read failed: there is no more to keep
  }
}
