// Where a command writes, and what ends it. Colours only on a terminal.

const encoder = new TextEncoder();

/** The colours that are used, by what they mean. */
const COLOURS = { dim: 2, red: 31, green: 32, yellow: 33, cyan: 36, bold: 1 };

/** The output of this process, and the signals to it. */
export interface Terminal {
  /** Aborted by Ctrl-C, SIGTERM and SIGHUP; a second one ends the process at once. */
  readonly signal: AbortSignal;
  /** Writes a line to standard output. */
  print(line: string): void;
  /** Writes bytes to standard output, as they are, without blocking. */
  write(bytes: Uint8Array): Promise<void>;
  /** Writes a line to standard error. */
  note(line: string): void;
  /** Shows how far long work is, on a terminal's standard error only. */
  progress(text: string): void;
  /** `text` in a colour where standard output is a terminal. */
  paint(colour: keyof typeof COLOURS, text: string): string;
}

/** Thrown where nobody reads standard output any more, as after `| head -1`. */
export class OutputClosedError extends Error {
  override readonly name = "OutputClosedError";
}

/** What ends a command, and 128 plus the signal's number, as shells have it. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

function signals(): (keyof typeof EXIT_CODES)[] {
  return Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
}

/**
 * Whether `nohup` started this. Once any signal has a listener, Deno ends at a
 * SIGHUP that was ignored before: it needs a listener that does nothing.
 */
function isHangUpIgnored(): boolean {
  const path = "/proc/self/status";
  if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") {
    return false; // asking would stop a person for little
  }
  try {
    const status = Deno.readTextFileSync(path);
    const ignored = /^SigIgn:\s*([0-9a-f]+)$/m.exec(status);
    return ignored !== null && (BigInt(`0x${ignored[1]}`) & 1n) === 1n;
  } catch { // no /proc
    return false;
  }
}

/** The real terminal. Disposing takes the signal handlers away. */
export function openTerminal(): Terminal & Disposable {
  const stop = new AbortController();
  const onSignal = (code: number) => () => {
    if (stop.signal.aborted) Deno.exit(code);
    stop.abort(new InterruptedError(code));
  };
  const ignored = isHangUpIgnored();
  const handlers = signals().map((name) =>
    [
      name,
      name === "SIGHUP" && ignored ? () => {} : onSignal(EXIT_CODES[name]),
    ] as const
  );
  for (const [name, handler] of handlers) Deno.addSignalListener(name, handler);
  const coloured = Deno.stdout.isTerminal() && !Deno.noColor;
  let shown = false;
  const clear = () => {
    if (shown) writeAll(Deno.stderr, "\r\x1b[K");
    shown = false;
  };
  return {
    signal: stop.signal,
    print(line) {
      clear();
      writeAll(Deno.stdout, `${line}\n`);
    },
    async write(bytes) {
      clear();
      try {
        for (let at = 0; at < bytes.length;) {
          at += await Deno.stdout.write(bytes.subarray(at));
        }
      } catch (error) {
        throw outputError(error);
      }
    },
    note(line) {
      clear();
      writeAll(Deno.stderr, `${line}\n`);
    },
    progress(text) {
      if (!Deno.stderr.isTerminal()) return;
      // A line that wraps could not be taken back.
      const { columns } = Deno.consoleSize();
      writeAll(Deno.stderr, `\r\x1b[K${text.slice(0, columns - 1)}`);
      shown = text !== "";
    },
    paint: (colour, text) =>
      coloured ? `\x1b[${COLOURS[colour]}m${text}\x1b[0m` : text,
    [Symbol.dispose]() {
      clear();
      for (const [name, handler] of handlers) {
        Deno.removeSignalListener(name, handler);
      }
    },
  };
}

/** Why a command ended early: a signal, with the exit code that shells give. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
  readonly exitCode: number;

  constructor(exitCode: number) {
    super("Interrupted");
    this.exitCode = exitCode;
  }
}

function writeAll(
  to: { writeSync(bytes: Uint8Array): number },
  text: string,
): void {
  let bytes = encoder.encode(text);
  try {
    while (bytes.length > 0) bytes = bytes.subarray(to.writeSync(bytes));
  } catch (error) {
    throw outputError(error);
  }
}

function outputError(error: unknown): unknown {
  if (error instanceof Deno.errors.BrokenPipe) {
    return new OutputClosedError("Nobody reads the output", { cause: error });
  }
  const why = error instanceof Error ? error.message : String(error);
  return new Error(`Cannot write the output: ${why}`, { cause: error });
}

/** Keeps control characters of a peer from acting on the terminal. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(2, "0");
    return `\\x${code}`;
  });
}
