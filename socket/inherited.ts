import type { Listener } from "../duplex.ts";
import { F_SETFD, FD_CLOEXEC } from "../_libc/constants.ts";
import { unwrap } from "../_libc/errno.ts";
import { libc } from "../_libc/library.ts";
import {
  adoptListener,
  type AdoptListenerOptions,
  checkListening,
} from "./_adopted.ts";
import { checkLinux } from "./_numbers.ts";

/** The first descriptor that is passed: SD_LISTEN_FDS_START. */
const FIRST = 3;
/** More than any unit passes, and less than would take long to go through. */
const MAX_COUNT = 1024;

/** A listener that was open before this process began. */
export interface InheritedListener extends Listener {
  /** Its name, as `FileDescriptorName=` or `LISTEN_FDNAMES` tells it. */
  readonly name: string;
}

/** Options of {@linkcode inheritedListeners}. */
export type InheritedListenersOptions = AdoptListenerOptions;

/**
 * The listeners that whoever started this process opened for it (socket
 * activation, sd_listen_fds(3)): by systemd's `.socket` units, by
 * `systemd-socket-activate`, or by any program that sets `LISTEN_FDS` and
 * `LISTEN_PID` and passes listening sockets from descriptor 3 on. Connections
 * that came before this process began wait in them.
 *
 * The variables are removed, so that children of this process don't take the
 * listeners for theirs, and a second call gives none. Closing a listener leaves
 * the address to whoever made it; a Unix socket's path is not removed.
 *
 * Requires `--allow-ffi` and `--allow-env=LISTEN_FDS,LISTEN_PID,LISTEN_FDNAMES`.
 * Linux only.
 *
 * @param options How their connections behave. `allow` is for Unix sockets, and
 * an error where one of the listeners is none.
 * @returns The listeners in the order of their descriptors: none if the process
 * was started otherwise.
 * @throws {Deno.errors.InvalidData} If the variables are malformed, or a
 * descriptor is no listening stream socket. None is taken then.
 * @throws {Deno.errors.NotCapable} Without the permissions, if there are any.
 * @throws {Deno.errors.NotSupported} Elsewhere than on Linux.
 *
 * @example A server that systemd starts with the first connection
 * ```ts
 * import {
 *   inheritedListeners,
 *   listenUnix,
 *   serveConnections,
 * } from "@sluice/ipc/socket";
 *
 * const path = `${await Deno.makeTempDir()}/a.sock`;
 * const [listener = await listenUnix({ path })] = inheritedListeners();
 * const served = serveConnections(
 *   listener,
 *   (connection) => connection.readable.pipeTo(connection.writable),
 * );
 * await listener.close();
 * await served;
 * ```
 */
export function inheritedListeners(
  options: InheritedListenersOptions = {},
): InheritedListener[] {
  const what = "Cannot take inherited listeners";
  checkLinux(what);
  const pid = Deno.env.get("LISTEN_PID");
  const count = Deno.env.get("LISTEN_FDS");
  const names = Deno.env.get("LISTEN_FDNAMES")?.split(":") ?? [];
  // They may be meant for a parent, and passed on by accident.
  if (pid === undefined || count === undefined || Number(pid) !== Deno.pid) {
    return [];
  }
  if (!/^\d{1,4}$/.test(count) || Number(count) > MAX_COUNT) {
    throw new Deno.errors.InvalidData(
      `${what}: LISTEN_FDS is ${JSON.stringify(count)}, expected 0 to ` +
        `${MAX_COUNT}`,
    );
  }
  const lib = libc("take inherited listeners");
  const descriptors = Array.from(
    { length: Number(count) },
    (_, i) => FIRST + i,
  );
  for (const fd of descriptors) checkListening(fd, what);
  const listeners = descriptors.map((fd, index) => {
    unwrap(lib.fcntl!(fd, F_SETFD, BigInt(FD_CLOEXEC)), what, "fcntl(F_SETFD)");
    const name = names[index] || "unknown"; // as systemd has it
    return Object.assign(adoptListener(fd, options), { name });
  });
  for (const name of ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]) {
    Deno.env.delete(name);
  }
  return listeners;
}
