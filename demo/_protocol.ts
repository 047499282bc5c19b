// What the two processes of the demo say to each other.

import { type Channel, channel } from "../framing/mod.ts";
import type { Duplex } from "../duplex.ts";

/** What the worker is asked; bare bytes are payload of the last asked `mode`. */
export type Request =
  | { kind: "file"; path: string; data: Uint8Array }
  | { kind: "mode"; mode: "echo" | "count" }
  | { kind: "total" }
  | Uint8Array;

/** What the worker found in a file. */
export interface Answer {
  path: string;
  /** Hexadecimal. */
  sha256: string;
  lines: number;
}

/** The largest file that the demo sends, in bytes; frames may be a bit more. */
export const MAX_FILE_SIZE = 64 << 20;

/** The client's side of the conversation. */
export function openChannel<In>(duplex: Duplex): Channel<In, Request> {
  return channel<In, Request>(duplex, { maxFrameLength: MAX_FILE_SIZE + 4096 });
}

/** Hashes and counts: done on both sides, and compared. */
export async function answerOf(
  path: string,
  data: Uint8Array,
): Promise<Answer> {
  const hash = await crypto.subtle.digest("SHA-256", data as BufferSource);
  let lines = 0;
  for (let at = data.indexOf(10); at >= 0; at = data.indexOf(10, at + 1)) {
    lines++;
  }
  return { path, sha256: new Uint8Array(hash).toHex(), lines };
}
