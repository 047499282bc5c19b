// Who is at the other end of a Unix socket.

import { SO_PEERCRED, SOL_SOCKET } from "./constants.ts";
import { unwrap } from "./errno.ts";
import { libc } from "./library.ts";

/** What the kernel says of the peer. */
export interface Credentials {
  pid: number;
  uid: number;
  gid: number;
}

/** `SO_PEERCRED` on Linux; `getpeereid` and `LOCAL_PEERPID` on macOS. */
export function readCredentials(fd: number): Credentials {
  const what = "Cannot read peer credentials";
  const lib = libc("read peer credentials");
  if (Deno.build.os === "darwin") {
    const ids = new Uint32Array(2);
    const bytes = new Uint8Array(ids.buffer);
    unwrap(
      lib.getpeereid?.(fd, bytes.subarray(0, 4), bytes.subarray(4)) ?? -1,
      what,
      "getpeereid",
    );
    const pid = new Int32Array(1);
    const length = new Uint32Array([4]);
    // SOL_LOCAL 0, LOCAL_PEERPID 2 (xnu/bsd/sys/un.h)
    lib.getsockopt?.(
      fd,
      0,
      2,
      new Uint8Array(pid.buffer),
      new Uint8Array(length.buffer),
    );
    return { pid: pid[0], uid: ids[0], gid: ids[1] };
  }
  // struct ucred { pid_t pid; uid_t uid; gid_t gid; }
  const cred = new Int32Array(3);
  const length = new Uint32Array([12]);
  unwrap(
    lib.getsockopt?.(
      fd,
      SOL_SOCKET,
      SO_PEERCRED,
      new Uint8Array(cred.buffer),
      new Uint8Array(length.buffer),
    ) ?? -1,
    what,
    "getsockopt(SO_PEERCRED)",
  );
  return { pid: cred[0], uid: cred[1] >>> 0, gid: cred[2] >>> 0 };
}

/** The effective user id of this process, with no need of `--allow-sys`. */
export function effectiveUser(): number {
  return libc("read the user id").geteuid?.() ?? -1;
}
