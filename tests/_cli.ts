// Runs the command line as a person does: in a terminal, or in a shell's pipe.

import { fileURLToPath } from "node:url";
import { assert } from "@std/assert";

/** The script of the command line. */
export const CLI = fileURLToPath(new URL("../cli.ts", import.meta.url));

/** What a run of the command line gave. */
export interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs to the end, with `input` on standard input. */
export async function sluice(args: string[], input = ""): Promise<Run> {
  const child = spawn(args);
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  return await finish(child);
}

/** Starts it with all streams piped. */
export function spawn(args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", CLI, ...args],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Waits for the end of a started one. */
export async function finish(child: Deno.ChildProcess): Promise<Run> {
  const [status, stdout, stderr] = await Promise.all([
    child.status,
    readText(child.stdout),
    readText(child.stderr),
  ]);
  return { code: status.code, stdout, stderr };
}

/** All that is left of a stream, from which some may have been read. */
async function readText(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Reads standard error until `pattern` matches; gives the match. */
export async function awaitNote(
  child: Deno.ChildProcess,
  pattern: RegExp,
): Promise<RegExpExecArray> {
  const reader = child.stderr.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const match = pattern.exec(text);
    if (match !== null) {
      reader.releaseLock();
      return match;
    }
    const { value, done } = await reader.read();
    assert(!done, `ended without ${pattern}: ${text}`);
    text += decoder.decode(value, { stream: true });
  }
}

/** A terminal of tmux in which one command runs; killed with the scope. */
export interface TmuxTerminal extends AsyncDisposable {
  /** Presses keys, by tmux's names, such as `C-c` and `Enter`. */
  press(...keys: string[]): Promise<void>;
  /** Waits until the screen shows `pattern`; gives the screen. */
  shows(pattern: RegExp): Promise<string>;
}

/** Opens a terminal and runs a shell command in it; the screen stays after. */
export async function openTmux(
  command: string,
  env: Record<string, string> = {},
): Promise<TmuxTerminal> {
  const socket = `sluice-${crypto.randomUUID()}`;
  const tmux = async (...args: string[]) => {
    const { stdout, stderr, success } = await new Deno.Command("tmux", {
      args: ["-L", socket, "-f", "/dev/null", ...args],
      env,
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  };
  // deno-fmt-ignore
  await tmux(
    "new-session", "-d", "-x", "120", "-y", "40",
    `unset NO_COLOR; ${command}; echo "exit code: $?"; exec cat`,
  );
  return {
    press: async (...keys) => void await tmux("send-keys", "--", ...keys),
    async shows(pattern) {
      let screen = "";
      for (const end = Date.now() + 15_000; Date.now() < end;) {
        screen = await tmux("capture-pane", "-p", "-e");
        if (pattern.test(screen)) return screen;
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
      throw new Error(`The screen never showed ${pattern}:\n${screen}`);
    },
    [Symbol.asyncDispose]: async () => void await tmux("kill-server"),
  };
}
