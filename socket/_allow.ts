// The `allow` option: from a rule and a peer to a verdict.

import { checkInteger, describe } from "../_async/check.ts";
import { effectiveUser, readCredentials } from "../_libc/peer.ts";
import {
  type AllowPeer,
  type PeerCredentials,
  type PeerDeniedCode,
  PeerDeniedError,
} from "./peer.ts";

/** Throws where the rule is none. */
export function checkAllow(allow: AllowPeer): void {
  if (allow === "same-user" || typeof allow === "function") return;
  if (typeof allow !== "object" || allow === null) {
    throw new TypeError(
      `Invalid allow: expected "same-user", { uids, gids } or a function, ` +
        `received ${describe(allow)}`,
    );
  }
  for (const id of [...allow.uids ?? [], ...allow.gids ?? []]) {
    checkInteger("allow", id, 0, 2 ** 32 - 1);
  }
}

/** Why the peer may not connect, or `undefined` where it may. */
export function denial(
  allow: AllowPeer,
  fd: number | undefined,
  address: string,
): PeerDeniedError | undefined {
  let peer: PeerCredentials;
  try {
    if (fd === undefined) throw new Error("Cannot find its descriptor");
    peer = readCredentials(fd);
  } catch (cause) {
    return new PeerDeniedError(
      `Cannot accept a peer on ${address}: its credentials can't be read`,
      { code: "unknown", cause },
    );
  }
  let code: PeerDeniedCode | undefined;
  let cause: unknown;
  try {
    code = refuse(allow, peer);
  } catch (error) {
    code = "predicate";
    cause = error;
  }
  if (code === undefined) return undefined;
  return new PeerDeniedError(
    `Cannot accept the peer on ${address}: process ${peer.pid} of user ` +
      `${peer.uid} and group ${peer.gid} is not allowed`,
    { code, peer, cause },
  );
}

function refuse(
  allow: AllowPeer,
  peer: PeerCredentials,
): PeerDeniedCode | undefined {
  if (allow === "same-user") {
    return peer.uid === effectiveUser() ? undefined : "user";
  }
  if (typeof allow === "function") {
    return allow(peer) === true ? undefined : "predicate";
  }
  return allow.uids?.includes(peer.uid) || allow.gids?.includes(peer.gid)
    ? undefined
    : "list";
}
