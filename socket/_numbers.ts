// From what a user holds to a descriptor's number.

import type { Connection } from "../duplex.ts";
import { checkInteger, describe } from "../_async/check.ts";
import { SEEK_CUR } from "../_libc/constants.ts";
import type { Descriptor } from "../_libc/descriptor.ts";
import { findFiles } from "../_libc/file.ts";
import { libc } from "../_libc/library.ts";
import { ByteConnection } from "../_transport/connection.ts";
import { AcceptListener } from "../_transport/listener.ts";
import { rawDescriptor } from "../_transport/raw.ts";
import type { Sendable } from "./sendable.ts";

/** The socket of a Unix connection, for messages around its streams. */
export function unixDescriptor(
  connection: Connection,
  what: string,
): Descriptor {
  checkLinux(what);
  libc(what.replace("Cannot ", ""));
  const { local, remote } = connection;
  if (
    !(connection instanceof ByteConnection) || !/^unix:/.test(remote) &&
      !/^unix:/.test(local)
  ) {
    throw new TypeError(`${what}: ${remote} is no Unix socket`);
  }
  const descriptor = rawDescriptor(connection);
  if (descriptor === undefined) {
    throw new Deno.errors.NotSupported(
      `${what}: its own descriptor is not known, open the connection with ` +
        `this package and --allow-ffi`,
    );
  }
  return descriptor;
}

/** Throws elsewhere than on Linux, whose structures are written here. */
export function checkLinux(what: string): void {
  if (Deno.build.os === "linux") return;
  throw new Deno.errors.NotSupported(
    `${what}: not available on ${Deno.build.os}`,
  );
}

/** The number behind what {@linkcode Sendable} allows. */
export function numberOf(entry: Sendable, what: string): number {
  if (typeof entry === "number") {
    return checkInteger("descriptor", entry, 0, 2 ** 31 - 1);
  }
  if (entry instanceof Deno.FsFile) return fileNumber(entry, what);
  if (entry instanceof AcceptListener) {
    return known(entry.descriptor(), what, entry.address);
  }
  if (entry instanceof ByteConnection) {
    return known(rawDescriptor(entry)?.fd, what, entry.remote);
  }
  if (typeof entry === "object" && entry !== null && "fd" in entry) {
    return checkInteger("descriptor.fd", entry.fd, 0, 2 ** 31 - 1);
  }
  throw new TypeError(
    `${what}: expected a descriptor, an open file, a connection or a ` +
      `listener, received ${describe(entry)}`,
  );
}

function known(fd: number | undefined, what: string, name: string): number {
  if (fd !== undefined) return fd;
  throw new Deno.errors.NotSupported(
    `${what}: the descriptor of ${name} is not known, or its socket carries ` +
      `other bytes`,
  );
}

/**
 * The runtime shows no number, but says what file it is; of several of the same
 * file, ours is the one whose position moves along.
 */
function fileNumber(file: Deno.FsFile, what: string): number {
  const found = findFiles(file.statSync());
  if (found.length === 1) return found[0];
  const lib = libc(what.replace("Cannot ", ""));
  let candidates = found;
  try {
    const start = file.seekSync(0, Deno.SeekMode.Current);
    for (const shift of [0, 1]) {
      const at = BigInt(file.seekSync(start + shift, Deno.SeekMode.Start));
      candidates = candidates.filter((fd) =>
        lib.lseek!(fd, 0n, SEEK_CUR) === at
      );
    }
    file.seekSync(start, Deno.SeekMode.Start);
  } catch { // no positions: it can't be told apart
    candidates = [];
  }
  // Several that move along are copies of one another: any will do.
  return known(candidates[0], what, "an open file");
}
