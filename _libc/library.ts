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

/** Whether the C library can be called without asking the user. */
export function hasLibc(): boolean {
  const path = grantedPath(); // each time: a permission can be revoked
  return path !== undefined && (found ??= open([path])) !== undefined;
}

/**
 * The C library, for `feature`, a phrase that fits "Cannot …".
 *
 * @throws {Deno.errors.NotSupported} On a platform that has none.
 * @throws {Deno.errors.NotCapable} Without `--allow-ffi`.
 */
export function libc(feature: string): Libc {
  return found ??= open(candidates(feature)) ?? denied(feature);
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

type Definition = Deno.ForeignFunction & { name?: string };

/**
 * Binds each function when it is first called, and closes the library again, so
 * that no test of a user's is blamed for one left open. The runtime itself keeps
 * libc loaded, and each function owns what its calls need: the pointers stay
 * good. A call takes 0.2 µs; through a `Deno.UnsafeFnPointer` it would take 1 µs
 * more, and could not be made where only the library's path is allowed.
 */
function open(paths: readonly string[]): Libc | undefined {
  const path = firstThatOpens(paths);
  if (path === undefined) return undefined;
  const functions = {};
  for (const name of Object.keys(symbols) as (keyof typeof symbols)[]) {
    const definition: Definition = symbols[name];
    Object.defineProperty(functions, name, {
      configurable: true,
      get() {
        const value = definition.nonblocking
          ? bindNonblocking(path, name, definition)
          : bind(path, name, definition);
        Object.defineProperty(functions, name, { value });
        return value;
      },
    });
  }
  return functions as Libc;
}

function bind(path: string, name: string, definition: Definition): unknown {
  const library = Deno.dlopen(path, { [name]: definition });
  const bound = library.symbols[name];
  library.close();
  return bound;
}

/**
 * What runs on a thread of the pool asks for its library, so it goes by a
 * pointer. Where only the library's path is allowed that can't be called, and
 * the library stays open.
 */
function bindNonblocking(
  path: string,
  name: string,
  definition: Definition,
): unknown {
  if (path.startsWith("/")) {
    return Deno.dlopen(path, { [name]: definition }).symbols[name];
  }
  const dlsym = bind(path, "dlsym", DLSYM) as (
    handle: Deno.PointerValue,
    name: Uint8Array,
  ) => Deno.PointerObject<Definition> | null;
  // RTLD_DEFAULT is 0 on Linux, -2 on macOS.
  const everywhere = Deno.build.os === "darwin"
    ? Deno.UnsafePointer.create(2n ** 64n - 2n)
    : null;
  const pointer = dlsym(everywhere, cString(definition.name ?? name));
  if (pointer === null) return null;
  const bound = new Deno.UnsafeFnPointer(pointer, definition);
  return bound.call.bind(bound);
}

// void *dlsym(void *handle, const char *symbol)
const DLSYM = {
  parameters: ["pointer", "buffer"],
  result: "pointer",
} as const satisfies Deno.ForeignFunction;

function firstThatOpens(paths: readonly string[]): string | undefined {
  for (const path of paths) {
    try {
      Deno.dlopen(path, {}).close();
      return path;
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) return undefined;
    }
  }
  return undefined;
}

/** A NUL-terminated copy of `text` for a `const char *`. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`) as Uint8Array<ArrayBuffer>;
}
