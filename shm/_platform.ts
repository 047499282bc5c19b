// Where shared memory works, and with which permissions.

import { libc } from "../_libc/library.ts";

/**
 * The C library for `feature`, a phrase that fits "Cannot …". The runtime gives
 * out no memory under `--allow-ffi=<path>`, so it must be granted as a whole.
 */
export function requireFfi(feature: string): void {
  libc(feature);
  if (Deno.permissions.querySync({ name: "ffi" }).state === "granted") return;
  throw new Deno.errors.NotCapable(
    `Cannot ${feature}: requires ffi access without a path, ` +
      "run again with --allow-ffi",
  );
}

/** Throws elsewhere, naming what to use instead. `what` reads "listen on x". */
export function checkRuns(what: string): void {
  if (Deno.build.os === "linux") return;
  throw new Deno.errors.NotSupported(
    `Cannot ${what}: shared memory connections are not available on ` +
      `${Deno.build.os}, use ` +
      `${Deno.build.os === "windows" ? "tcp:127.0.0.1" : "unix:"} instead`,
  );
}
