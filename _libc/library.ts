// The only place that opens the C library: on first use, so that importing needs
// no permission.

import { symbols } from "./symbols.ts";

/** The functions of the C library; one that the platform lacks is `null`. */
export type Libc = Deno.DynamicLibrary<typeof symbols>["symbols"];

/** How libraries of this processor are named. */
const ARCH = Deno.build.arch === "aarch64" ? "aarch64" : "x86_64";

/** Where the C library lies: the bare name first, as it asks for no path. */
const CANDIDATES: Record<string, readonly string[]> = {
  linux: [
    "libc.so.6",
    `/lib/${ARCH}-linux-gnu/libc.so.6`,
    `/usr/lib/${ARCH}-linux-gnu/libc.so.6`,
    "/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
    `/lib/ld-musl-${ARCH}.so.1`,
  ],
  darwin: ["libSystem.B.dylib", "/usr/lib/libSystem.B.dylib"],
};

let found: Libc | undefined;
let fast: Libc | undefined;

/** Whether the C library can be called without asking the user. */
export function hasLibc(): boolean {
  const path = grantedPath(); // each time: a permission can be revoked
  return path !== undefined && (found ??= open([path])) !== undefined;
}

/**
 * The C library, for `feature`, a phrase that fits "Cannot …". A call costs
 * about 1 µs more than through {@linkcode fastLibc}, but nothing stays open.
 *
 * @throws {Deno.errors.NotSupported} On a platform that has none.
 * @throws {Deno.errors.NotCapable} Without `--allow-ffi`.
 */
export function libc(feature: string): Libc {
  return found ??= open(candidates(feature)) ?? denied(feature);
}

/**
 * The same for hot paths: a `Deno.DynamicLibrary`, which stays open for the life
 * of the process, so that the resource sanitizer names the first test to use it.
 */
export function fastLibc(feature: string): Libc {
  return fast ??= openTable(candidates(feature)) ?? denied(feature);
}

/** A function pointer can't be called where only a path is allowed. */
function open(paths: readonly string[]): Libc | undefined {
  const narrow = paths.length === 1 && paths[0].startsWith("/");
  return narrow ? fast ??= openTable(paths) : lookUp(paths);
}

function openTable(paths: readonly string[]): Libc | undefined {
  return firstOf(paths, (path) => Deno.dlopen(path, symbols).symbols);
}

function denied(feature: string): never {
  throw new Deno.errors.NotCapable(
    `Cannot ${feature}: requires ffi access, run again with --allow-ffi`,
  );
}

function candidates(feature: string): readonly string[] {
  const paths = CANDIDATES[Deno.build.os];
  if (paths === undefined) {
    throw new Deno.errors.NotSupported(
      `Cannot ${feature}: not available on ${Deno.build.os}`,
    );
  }
  const granted = grantedPath();
  return granted === undefined ? paths : [granted];
}

/** The path to open that the permissions allow, if any. */
function grantedPath(): string | undefined {
  const paths = CANDIDATES[Deno.build.os] ?? [];
  if (Deno.permissions.querySync({ name: "ffi" }).state === "granted") {
    return paths[0];
  }
  // A bare name never matches --allow-ffi=<path> (denoland/deno#29246).
  return paths.find((path) =>
    path.startsWith("/") &&
    Deno.permissions.querySync({ name: "ffi", path }).state === "granted"
  );
}

function firstOf<T>(
  paths: readonly string[],
  open: (path: string) => T,
): T | undefined {
  for (const path of paths) {
    try {
      return open(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) return undefined;
    }
  }
  return undefined;
}

type Definition = Deno.ForeignFunction & { name?: string };

/**
 * Finds functions by dlsym(3) when they are first called. The library that gave
 * `dlsym` is closed again: the runtime itself keeps libc loaded, so the pointers
 * stay good, and no test of a user's is blamed for a library left open.
 */
function lookUp(paths: readonly string[]): Libc | undefined {
  const dlsym = firstOf(paths, (path) => {
    using library = openDlsym(path);
    // RTLD_DEFAULT is 0 on Linux, -2 on macOS.
    const everywhere = Deno.build.os === "darwin"
      ? Deno.UnsafePointer.create(2n ** 64n - 2n)
      : null;
    const pointer = library.find(everywhere, cString("dlsym"));
    if (pointer === null) throw new Error("Cannot find dlsym");
    const call = new Deno.UnsafeFnPointer(
      pointer as Deno.PointerObject<typeof DLSYM>,
      DLSYM,
    );
    return (name: string) => call.call(everywhere, cString(name));
  });
  if (dlsym === undefined) return undefined;
  const functions = {};
  for (const name of Object.keys(symbols) as (keyof typeof symbols)[]) {
    const definition: Definition = symbols[name];
    Object.defineProperty(functions, name, {
      configurable: true,
      get() {
        const pointer = dlsym(definition.name ?? name) as
          | Deno.PointerObject<Definition>
          | null;
        const bound = pointer &&
          new Deno.UnsafeFnPointer(pointer, definition);
        const value = bound && bound.call.bind(bound);
        Object.defineProperty(functions, name, { value });
        return value;
      },
    });
  }
  return functions as Libc;
}

// void *dlsym(void *handle, const char *symbol)
const DLSYM = {
  parameters: ["pointer", "buffer"],
  result: "pointer",
} as const satisfies Deno.ForeignFunction;

function openDlsym(path: string) {
  const library = Deno.dlopen(path, { dlsym: DLSYM });
  return {
    find: library.symbols.dlsym,
    [Symbol.dispose]: () => library.close(),
  };
}

/** A NUL-terminated copy of `text` for a `const char *`. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`) as Uint8Array<ArrayBuffer>;
}
