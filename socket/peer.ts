import type { Connection } from "../duplex.ts";
import { descriptorOf } from "../_libc/descriptor.ts";
import { readCredentials } from "../_libc/peer.ts";
import { libc } from "../_libc/library.ts";

/** Who is at the other end of a Unix socket, as the kernel says. */
export interface PeerCredentials {
  /** The process that connected or, on the client's side, that listens. */
  readonly pid: number;
  /** Its effective user id then. */
  readonly uid: number;
  /** Its effective group id then. */
  readonly gid: number;
}

/**
 * The credentials of the peer of a Unix connection, accepted or connected. They
 * are those of the moment it connected (or began to listen), and no peer can
 * forge them. A pid may belong to another process by now.
 *
 * Requires `--allow-ffi`, also when the connection was made. Reads
 * `SO_PEERCRED` on Linux (unix(7)), `getpeereid` and `LOCAL_PEERPID` on macOS.
 *
 * @param connection What {@linkcode connectUnix} or a listener of
 * {@linkcode listenUnix} gave, or their counterparts of shared memory.
 * @returns The peer's process, user and group.
 * @throws {TypeError} If it is no Unix connection.
 * @throws {Deno.errors.NotCapable} Without `--allow-ffi`.
 * @throws {Deno.errors.BadResource} If the connection is closed.
 * @throws {Deno.errors.NotSupported} If its descriptor is not known.
 *
 * @example Who is there
 * ```ts
 * import { connectUnix, listenUnix, peerCredentials } from "@sluice/ipc/socket";
 * import { assertEquals } from "@std/assert";
 *
 * const path = `${await Deno.makeTempDir()}/a.sock`;
 * await using listener = await listenUnix({ path });
 * await using client = await connectUnix({ path });
 * await using server = await listener.accept();
 * assertEquals(peerCredentials(server).pid, Deno.pid);
 * ```
 */
export function peerCredentials(connection: Connection): PeerCredentials {
  // Shared memory connections have a Unix socket as their rendezvous.
  if (!/^(unix|shm):/.test(connection.remote)) {
    throw new TypeError(
      `Cannot read peer credentials: ${connection.remote} is no Unix socket`,
    );
  }
  libc("read peer credentials");
  const descriptor = descriptorOf(connection);
  if (descriptor === undefined) {
    throw new Deno.errors.NotSupported(
      `Cannot read peer credentials of ${connection.remote}: its descriptor ` +
        `is not known, open the connection with this package and --allow-ffi`,
    );
  }
  return readCredentials(descriptor.fd);
}

/**
 * Who may connect: the user that runs this process, lists of user and group
 * ids (either suffices), or a predicate.
 */
export type AllowPeer =
  | "same-user"
  | { uids?: readonly number[]; gids?: readonly number[] }
  | ((peer: PeerCredentials) => boolean);

/**
 * Why a peer was turned away: `"user"` (not the one that runs the listener),
 * `"list"` (neither its user nor its group is listed), `"predicate"` (the
 * function said no), or `"unknown"` (its credentials could not be read).
 */
export type PeerDeniedCode = "user" | "list" | "predicate" | "unknown";

/**
 * A peer that the `allow` option of a listener turned away. It never reaches
 * `accept`; it goes to the listener's `onDenied`, for the log.
 *
 * @example For the log
 * ```ts
 * import { PeerDeniedError } from "@sluice/ipc/socket";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new PeerDeniedError("Cannot accept peer: uid 1001", {
 *   code: "user",
 *   peer: { pid: 4, uid: 1001, gid: 1001 },
 * });
 * assertEquals(error.peer?.uid, 1001);
 * ```
 */
export class PeerDeniedError extends Error {
  /** The name of the class. */
  override readonly name = "PeerDeniedError";
  /** Which rule said no. */
  readonly code: PeerDeniedCode;
  /** Who it was, where that could be read. */
  readonly peer: PeerCredentials | undefined;

  /**
   * Creates the error.
   *
   * @param message What failed first, then why.
   * @param options The rule, the peer and the cause.
   */
  constructor(
    message: string,
    options: ErrorOptions & { code: PeerDeniedCode; peer?: PeerCredentials },
  ) {
    super(message, options);
    this.code = options.code;
    this.peer = options.peer;
  }
}
