// How the two sides of a `fifo:` address find each other; docs/fifo.md shows it
// to programs in other languages.
//
//   <path>               the listener's FIFO: clients write requests to it
//   <path>.<token>.up    made by the client: what it will write
//   <path>.<token>.down  made by the client: what it will read
//
// A request is "\n<token>\n", the token 16 hexadecimal digits: in one write, so
// that requests never mix. The listener opens both, removes their names, and
// writes one byte, the version, which is the answer.

import { namedError } from "../_libc/errno.ts";
import { isPipe, openEnd, writeNow } from "../_libc/fifo.ts";
import { closeDescriptor } from "../_libc/pipe.ts";
import type { PipePair } from "./_fifo_connection.ts";
import { removeQuietly } from "./_fifo_file.ts";
import type { ReadEnd } from "./_read_end.ts";

/** The byte that answers a request. */
export const VERSION = 1;

const TOKEN = /^[0-9a-f]{16}$/;
/** More than a request takes; what is longer without an end is dropped. */
const MAX_REQUEST = 64;
/** How old a pair is that nobody can be making any more, in ms. */
const MIN_AGE = 10_000;

/** The two names of one connection. */
export function pairPaths(
  path: string,
  token: string,
): { up: string; down: string } {
  return { up: `${path}.${token}.up`, down: `${path}.${token}.down` };
}

/** A token that nobody can guess. */
export function createToken(): string {
  return crypto.getRandomValues(new Uint8Array(8)).toHex();
}

/** The bytes of a request. */
export function encodeRequest(token: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`\n${token}\n`) as Uint8Array<ArrayBuffer>;
}

/** Reads requests one by one. What is none is passed over. */
export class RequestReader {
  #source: ReadEnd;
  #scratch = new Uint8Array(4096);
  #text = "";

  constructor(source: ReadEnd) {
    this.#source = source;
  }

  /** The token of the next request; rejects when the end is closed. */
  async next(): Promise<string> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        if (TOKEN.test(line)) return line;
        continue;
      }
      if (this.#text.length > MAX_REQUEST) this.#text = "!"; // no token any more
      const count = await this.#source.read(this.#scratch);
      if (count === null) throw new Error("The FIFO of requests has ended");
      for (const byte of this.#scratch.subarray(0, count)) {
        this.#text += String.fromCharCode(byte);
      }
    }
  }
}

/** Opens what the request names; `undefined` where the client is gone. */
export function answer(
  path: string,
  token: string,
  what: string,
): PipePair | undefined {
  const { up, down } = pairPaths(path, token);
  const readFd = openPipe(up, "read", what);
  if (readFd === undefined) return undefined;
  const writeFd = openPipe(down, "write", what);
  removeQuietly(up);
  if (writeFd === undefined) {
    closeDescriptor(readFd);
    removeQuietly(down); // nobody reads it: the client was killed
    return undefined;
  }
  removeQuietly(down);
  if (writeNow(writeFd, new Uint8Array([VERSION])) === 1) {
    return { readFd, writeFd };
  }
  closeDescriptor(readFd);
  closeDescriptor(writeFd);
  return undefined;
}

/** A client may put anything at the path: it is opened only if it is a pipe. */
function openPipe(
  path: string,
  end: "read" | "write",
  what: string,
): number | undefined {
  const info = lookAt(path);
  if (!info?.isFifo) return undefined;
  const fd = openEnd(path, end, { follow: false });
  if (typeof fd === "string") {
    if (fd === "EMFILE" || fd === "ENFILE") throw namedError(what, "open", fd);
    return undefined;
  }
  if (isPipe(fd)) return fd;
  closeDescriptor(fd);
  return undefined;
}

function lookAt(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch { // gone, or nothing that this process may see
    return undefined;
  }
}

/** Removes pairs of clients that were killed before the listener saw them. */
export function removeStalePairs(path: string): void {
  for (const end of pairEnds(path)) removeQuietly(end);
}

/**
 * The same while clients connect: one that lives reads its `down` from the first
 * moment on, and has made both ends just now until then.
 */
export function removeDeadPairs(path: string): void {
  const now = Date.now();
  for (const end of pairEnds(path)) {
    const made = lookAt(end)?.mtime?.getTime() ?? now;
    if (now - made < MIN_AGE) continue;
    const down = end.replace(/\.up$/, ".down");
    const fd = openEnd(down, "write", { follow: false });
    if (typeof fd === "number") closeDescriptor(fd);
    else if (fd === "ENXIO" || fd === "ENOENT") removeQuietly(end);
  }
}

/** The ends of pairs beside a listener's FIFO, `up` after its `down`. */
function pairEnds(path: string): string[] {
  const slash = path.lastIndexOf("/");
  const directory = path.slice(0, slash + 1);
  const prefix = `${path.slice(slash + 1)}.`;
  const ends: string[] = [];
  for (const { name } of Deno.readDirSync(directory || ".")) {
    if (!name.startsWith(prefix)) continue;
    const [token, end, more] = name.slice(prefix.length).split(".");
    if (!TOKEN.test(token) || more !== undefined) continue;
    if (end !== "up" && end !== "down") continue;
    if (lookAt(directory + name)?.isFifo) ends.push(directory + name);
  }
  return ends.sort();
}
