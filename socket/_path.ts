// Paths of Unix sockets: abstract names, lengths, addresses.

import { checkString } from "../_async/check.ts";

/** Bytes in `sun_path`, less the terminator: 107 on Linux, 103 elsewhere. */
export const MAX_PATH = Deno.build.os === "linux" ? 107 : 103;

/** Whether `path` names the abstract namespace: `@name`. */
export function isAbstract(path: string): boolean {
  return path.startsWith("@");
}

/** What the runtime takes: an abstract name starts with NUL there. */
export function systemPath(path: string): string {
  return isAbstract(path) ? `\0${path.slice(1)}` : path;
}

/** Checks a path before the system sees it. `what` reads "Cannot listen on". */
export function checkPath(
  what: string,
  path: string,
  address: string = unixAddress(path),
): void {
  if (Deno.build.os === "windows") {
    throw new Deno.errors.NotSupported(
      `${what} ${address}: Unix sockets are not available on windows, ` +
        `use tcp:127.0.0.1 instead`,
    );
  }
  checkString("path", path);
  if (isAbstract(path)) {
    if (Deno.build.os !== "linux") {
      throw new Deno.errors.NotSupported(
        `${what} ${address}: abstract names exist on linux only, ` +
          `use a path`,
      );
    }
    if (path === "@") {
      throw new TypeError(`${what} ${address}: the abstract name is empty`);
    }
  }
  checkLength(what, address, path);
}

/** Throws where `bound` is longer than the system's address holds. */
export function checkLength(
  what: string,
  address: string,
  bound: string,
): void {
  const length = new TextEncoder().encode(bound).length;
  if (length > MAX_PATH) {
    throw new RangeError(
      `${what} ${address}: it takes ${length} bytes, more than ` +
        `the ${MAX_PATH} of a socket address, use a shorter path`,
    );
  }
}

/** The address as users write it. */
export function unixAddress(path: string): string {
  return `unix:${path}`;
}
