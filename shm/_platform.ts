// Where connections over shared memory work.

/** Throws elsewhere, naming what to use instead. `what` reads "listen on x". */
export function checkRuns(what: string): void {
  if (Deno.build.os === "linux") return;
  throw new Deno.errors.NotSupported(
    `Cannot ${what}: shared memory connections are not available on ` +
      `${Deno.build.os}, use ` +
      `${Deno.build.os === "windows" ? "tcp:127.0.0.1" : "unix:"} instead`,
  );
}
