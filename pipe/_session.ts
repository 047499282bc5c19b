// Starts a program as the leader of a session without a fork(2) of this process.
//
// The runtime's own `detached` calls setsid(2) between fork and exec, so that it
// copies the page tables of all that this program holds (bench/pipe_start.ts: 4 ms
// for each 100 MB). Without it the runtime takes posix_spawn(3), and
// setsid(1) makes the session and becomes the program, with the same pid.

/** Where util-linux and BusyBox have it. */
const PATHS = ["/usr/bin/setsid", "/bin/setsid"];
/** The machine of an ELF file that runs here: EM_X86_64 and EM_AARCH64. */
const MACHINE = Deno.build.arch === "aarch64" ? 183 : 62;
/** What execve(2) looks at, in bytes: enough for a `#!` line. */
const HEAD = 256;

let setsid: string | null | undefined;

/**
 * The command that becomes `command` in a session of its own. `undefined` where
 * it can't be told beforehand that the program will start: who starts it
 * without has to see the error, which setsid(1) would keep to itself.
 */
export function sessionCommand(
  command: readonly string[],
  env: Record<string, string> | undefined,
  clearEnv: boolean | undefined,
): readonly string[] | undefined {
  if (Deno.build.os !== "linux" || !mayLook()) return undefined;
  // The search is in the PATH that both this program and setsid(1) see.
  if (clearEnv || env?.PATH !== undefined) return undefined;
  setsid ??= PATHS.find((path) => isProgram(path)) ?? null;
  const [program] = command;
  if (setsid === null || program.startsWith("-")) return undefined;
  const path = program.includes("/") ? program : find(program);
  // A relative path is looked up from the child's directory, not from here.
  if (!path?.startsWith("/") || !starts(path)) return undefined;
  return [setsid, ...command];
}

/**
 * Whether any program may run, and files be looked at, without a question: where
 * `--allow-run` lists programs, setsid(1) would run others for the user.
 */
function mayLook(): boolean {
  return (["run", "read"] as const).every((name) =>
    Deno.permissions.querySync({ name }).state === "granted"
  ) &&
    Deno.permissions.querySync({ name: "env", variable: "PATH" }).state ===
      "granted";
}

function find(program: string): string | undefined {
  return Deno.env.get("PATH")?.split(":")
    .map((directory) => `${directory}/${program}`)
    .find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    const { isFile, mode } = Deno.statSync(path);
    return isFile && ((mode ?? 0) & 0o111) !== 0;
  } catch {
    return false;
  }
}

/** Whether execve(2) will take it. */
function starts(path: string, asInterpreter = false): boolean {
  const head = new Uint8Array(HEAD);
  try {
    if (!isProgram(path)) return false;
    using file = Deno.openSync(path);
    const length = file.readSync(head) ?? 0;
    const text = new TextDecoder().decode(head.subarray(0, length));
    if (text.startsWith("\x7fELF")) return head[18] === MACHINE;
    const interpreter = /^#! *([^ \t\n]+)/.exec(text)?.[1];
    return interpreter !== undefined && !asInterpreter &&
      starts(interpreter, true);
  } catch {
    return false;
  }
}
