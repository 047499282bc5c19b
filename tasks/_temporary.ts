// A temporary directory for all that a run of examples and tests puts into one.

/** Variables that lead programs to it; it goes with the scope. */
export interface Temporary extends AsyncDisposable {
  env: Record<string, string>;
}

/** Examples in docs make temporary directories and do not clean up. */
export async function temporary(): Promise<Temporary> {
  const path = await Deno.makeTempDir({ prefix: "sluice" });
  await Deno.chmod(path, 0o755); // tests of permissions become another user
  return {
    env: { TMPDIR: path, TEMP: path, TMUX_TMPDIR: path },
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}
