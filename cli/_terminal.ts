// Where a command writes, and what ends it. Colours only on a terminal.

const encoder = new TextEncoder();

/** The colours that are used, by what they mean. */
const COLOURS = { dim: 2, red: 31, green: 32, yellow: 33, cyan: 36, bold: 1 };

/** The output of this process, and the signals to it. */
export interface Terminal {
  /** Aborted by Ctrl-C and SIGTERM; a second one ends the process at once. */
  readonly signal: AbortSignal;
  /** Writes a line to standard output. */
  print(line: string): void;
  /** Writes bytes to standard output, as they are. */
  write(bytes: Uint8Array): void;
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

/** The real terminal. Disposing takes the signal handlers away. */
export function openTerminal(): Terminal & Disposable {
  const stop = new AbortController();
  const onSignal = (name: Deno.Signal) => () => {
    const code = name === "SIGINT" ? 130 : 143;
    if (stop.signal.aborted) Deno.exit(code);
    stop.abort(new InterruptedError(code));
  };
  const handlers: [Deno.Signal, () => void][] = Deno.build.os === "windows"
    ? [["SIGINT", onSignal("SIGINT")]]
    : [["SIGINT", onSignal("SIGINT")], ["SIGTERM", onSignal("SIGTERM")]];
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
    write(bytes) {
      clear();
      writeAll(Deno.stdout, bytes);
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
  data: string | Uint8Array,
): void {
  let bytes = typeof data === "string" ? encoder.encode(data) : data;
  try {
    while (bytes.length > 0) bytes = bytes.subarray(to.writeSync(bytes));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) {
      throw new OutputClosedError("Nobody reads the output", { cause: error });
    }
    throw error;
  }
}

/** Keeps control characters of a peer from acting on the terminal. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(2, "0");
    return `\\x${code}`;
  });
}
