// The only place that opens the C library. It is opened on first use, so that
// importing needs no permission.

import { symbols } from "./symbols.ts";

/** The functions of the C library; one that the platform lacks is `null`. */
export type Libc = Deno.DynamicLibrary<typeof symbols>["symbols"];

/** Where the C library lies: the bare name first, as it asks for no path. */
const CANDIDATES: Record<string, readonly string[]> = {
  linux: [
    "libc.so.6",
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/aarch64-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
  ],
  darwin: ["libSystem.B.dylib", "/usr/lib/libSystem.B.dylib"],
};

let opened: Libc | undefined;

/** Whether the C library can be called without asking the user. */
export function hasLibc(): boolean {
  if (opened !== undefined) return true;
  return grantedPath() !== undefined && tryOpen() !== undefined;
}

/**
 * The C library, for `feature`, a phrase that fits "Cannot …".
 *
 * @throws {Deno.errors.NotSupported} On a platform that has none.
 * @throws {Deno.errors.NotCapable} Without `--allow-ffi`.
 */
export function libc(feature: string): Libc {
  if (opened !== undefined) return opened;
  if (!(Deno.build.os in CANDIDATES)) {
    throw new Deno.errors.NotSupported(
      `Cannot ${feature}: not available on ${Deno.build.os}`,
    );
  }
  const library = tryOpen();
  if (library === undefined) {
    throw new Deno.errors.NotCapable(
      `Cannot ${feature}: requires ffi access, run again with --allow-ffi`,
    );
  }
  return library;
}

/** The first path that the permissions allow, if any. */
function grantedPath(): string | undefined {
  if (Deno.permissions.querySync({ name: "ffi" }).state === "granted") {
    return CANDIDATES[Deno.build.os]?.[0];
  }
  // A bare name never matches --allow-ffi=<path> (denoland/deno#29246).
  return CANDIDATES[Deno.build.os]?.find((path) =>
    path.startsWith("/") &&
    Deno.permissions.querySync({ name: "ffi", path }).state === "granted"
  );
}

function tryOpen(): Libc | undefined {
  const granted = grantedPath();
  const paths = granted === undefined
    ? CANDIDATES[Deno.build.os] ?? []
    : [granted, ...CANDIDATES[Deno.build.os]];
  for (const path of paths) {
    try {
      return opened = Deno.dlopen(path, symbols).symbols;
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable && granted === undefined) {
        return undefined;
      }
    }
  }
  return undefined;
}

/** A NUL-terminated copy of `text` for a `const char *`. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`) as Uint8Array<ArrayBuffer>;
}
