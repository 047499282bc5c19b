// A pipe between two commands without FFI.
//
// No call of the runtime makes a pipe, but `node:child_process` has one to each
// child, and says which descriptor it is. On Linux /proc/self/fd opens a pipe once
// more, either end of it. So true(1) is started for the sake of its stdin: once
// that is reopened both ways, it is a pipe as pipe2(2) makes one.
//
//            own descriptors                       who has them in the end
//   stdin    the runtime's, it does not block      nobody, closed at once
//   write    reopened: blocks, locked              the stage that writes
//   read     reopened: blocks                      the stage that reads
//   handle   O_PATH: no end at all                 this program, to look at it
//
// flock(2) belongs to the open file and not to a process: what was locked here
// stays locked until the last process that has the end to write to is gone. That
// is how a process is found that a stage left and that keeps the reader waiting.

import type { KernelPipe } from "./_kernel_pipe.ts";

type NodeFs = Pick<
  typeof import("node:fs"),
  "openSync" | "closeSync"
>;

/** As far as it is used: its `spawn` wants no permission for `env`. */
interface NodeChild {
  readonly stdin:
    | { readonly _handle?: { readonly fd?: number }; destroy(): void }
    | null;
  spawn(options: {
    file: string;
    args: string[];
    envPairs: string[];
    stdio: ("pipe" | "ignore")[];
  }): void;
  once(event: "exit" | "error", listener: () => void): void;
}

/** Ends at once and reads nothing. */
const PROGRAM = "true";
const DESCRIPTORS = "/proc/self/fd";
/** `O_PATH` of Linux, the same on x86-64 and aarch64. */
const O_PATH = 0o10000000;
/** How many descriptors after the one opened before it the next may be. */
const NEARBY = 64;

/** Throws what is not granted, or that this is another system. Asks nobody. */
export function checkReopening(what: string): void {
  if (Deno.build.os !== "linux") {
    throw new Deno.errors.NotSupported(
      `${what}: only Linux offers it, this is ${Deno.build.os}`,
    );
  }
  const needed: [Deno.PermissionDescriptor, string][] = [
    [{ name: "run", command: PROGRAM }, `--allow-run=${PROGRAM}`],
    [{ name: "read", path: DESCRIPTORS }, `--allow-read=${DESCRIPTORS}`],
    [{ name: "write", path: DESCRIPTORS }, `--allow-write=${DESCRIPTORS}`],
  ];
  const missing = needed.filter(([permission]) =>
    Deno.permissions.querySync(permission).state !== "granted"
  ).map(([, flag]) => flag);
  if (missing.length === 0) return;
  throw new Deno.errors.NotCapable(
    `${what}: run again with --allow-ffi, or with ${missing.join(" ")}`,
  );
}

/** Throws where it can't be had, and leaves nothing then. */
export class ReopenedPipe implements KernelPipe {
  readonly read: number;
  readonly write: number;
  readonly #handle: number;
  readonly #writer: Deno.FsFile;

  constructor(what: string, onTask: (task: Promise<void>) => void) {
    using opened = new DisposableStack();
    const child = startChild(onTask);
    // Left open, it would keep the end of the data from the reader.
    using _stdin = { [Symbol.dispose]: () => child.stdin?.destroy() };
    const stdin = child.stdin?._handle?.fd;
    if (typeof stdin !== "number" || stdin < 3) {
      throw new Deno.errors.NotSupported(
        `${what}: ${PROGRAM} could not be started, or its stdin has no ` +
          "descriptor in this runtime",
      );
    }
    const path = `${DESCRIPTORS}/${stdin}`;
    this.#handle = openNumber(path, O_PATH);
    opened.defer(() => closeNumber(this.#handle));
    const options = { read: false, write: true };
    this.#writer = opened.use(Deno.openSync(path, options));
    const write = numberOf(stdin, this.#handle);
    if (write === undefined || !this.#writer.tryLockSync(true)) {
      throw new Deno.errors.NotSupported(
        `${what}: a pipe that was reopened can't be found or locked`,
      );
    }
    this.write = write;
    this.read = openNumber(path, "r");
    opened.move();
  }

  closeRead(): void {
    closeNumber(this.read);
  }

  closeWrite(): void {
    this.#writer.close();
  }

  look(): "ended" | "silent" {
    // What the pipe holds can't be told without taking it out. A reader that is
    // slow is no trouble, unless a process was left as well.
    try {
      using file = Deno.openSync(`${DESCRIPTORS}/${this.#handle}`);
      return file.tryLockSync(true) ? "ended" : "silent";
    } catch {
      return "ended";
    }
  }

  release(): void {
    closeNumber(this.#handle);
  }
}

/**
 * The descriptor of the file that was opened after `handle`. Both are the pipe that
 * `stdin` is, of which this program has no other descriptor yet.
 */
function numberOf(stdin: number, handle: number): number | undefined {
  const { dev, ino } = Deno.statSync(`${DESCRIPTORS}/${stdin}`);
  for (let number = handle + 1; number <= handle + NEARBY; number++) {
    if (number === stdin) continue;
    try {
      const found = Deno.statSync(`${DESCRIPTORS}/${number}`);
      if (found.dev === dev && found.ino === ino) return number;
    } catch { // nothing, or no pipe
    }
  }
  return undefined;
}

function startChild(onTask: (task: Promise<void>) => void): NodeChild {
  const child = new (node<{ ChildProcess: new () => NodeChild }>(
    "node:child_process",
  ).ChildProcess)();
  const { promise, resolve } = Promise.withResolvers<void>();
  child.once("exit", resolve);
  child.once("error", resolve);
  child.spawn({
    file: PROGRAM,
    args: [PROGRAM],
    envPairs: [],
    stdio: ["pipe", "ignore", "ignore"],
  });
  onTask(promise);
  return child;
}

/** Opens a file as a number: only `node:fs` gives one. */
function openNumber(path: string, flags: string | number): number {
  return node<NodeFs>("node:fs").openSync(path, flags);
}

function closeNumber(fd: number): void {
  node<NodeFs>("node:fs").closeSync(fd);
}

/** A module of Node, loaded on first use: that takes some 25 ms in all. */
function node<T>(name: string): T {
  const { process } = globalThis as unknown as {
    process: { getBuiltinModule(name: string): T };
  };
  return process.getBuiltinModule(name);
}
