// Finds the descriptor behind a `Deno.Conn`, which the runtime does not show,
// and checks before every use that it is still the same socket.

import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  F_DUPFD_CLOEXEC,
  F_GETFD,
  LOCK_EX,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  POLLNVAL,
  SO_ACCEPTCONN,
  SO_COOKIE,
  SOL_SOCKET,
} from "./constants.ts";
import { unwrap } from "./errno.ts";
import { cString, libc } from "./library.ts";

/** A descriptor that the runtime owns and closes. */
export class Descriptor {
  readonly #fd: number;
  readonly #cookie: bigint;

  constructor(fd: number) {
    this.#fd = fd;
    this.#cookie = socketCookie(fd);
  }

  /**
   * The number, for a call made now.
   *
   * @throws {Deno.errors.BadResource} If the socket was closed; the number may
   * be another file's by now.
   */
  get fd(): number {
    if (socketCookie(this.#fd) !== this.#cookie) {
      throw new Deno.errors.BadResource(
        "Cannot use the descriptor: the connection is closed",
      );
    }
    return this.#fd;
  }
}

const descriptors = new WeakMap<object, Descriptor>();

/** Remembers the descriptor of a connection or listener. */
export function setDescriptor(owner: object, fd: number | undefined): void {
  if (fd !== undefined) descriptors.set(owner, new Descriptor(fd));
}

/** The descriptor of a connection or listener, where it is known. */
export function descriptorOf(owner: object): Descriptor | undefined {
  return descriptors.get(owner);
}

/** The numbers of this process' open descriptors, in no order. */
export function openDescriptors(): number[] {
  return Deno.build.os === "linux" ? listProc() : probeNumbers();
}

function listProc(): number[] {
  const lib = libc("list descriptors");
  if (lib.open === null || lib.getdents64 === null || lib.close === null) {
    return probeNumbers();
  }
  const directory = unwrap(
    lib.open(cString("/proc/self/fd"), O_DIRECTORY | O_CLOEXEC, 0),
    "Cannot list descriptors",
    "open(/proc/self/fd)",
  );
  const numbers: number[] = [];
  const buffer = new Uint8Array(32 * 1024);
  const view = new DataView(buffer.buffer);
  try {
    for (;;) {
      const length = Number(
        lib.getdents64(directory, buffer, BigInt(buffer.length)),
      );
      if (length <= 0) return numbers;
      // struct linux_dirent64: u64 ino, i64 off, u16 reclen, u8 type, name
      for (let at = 0; at < length; at += view.getUint16(at + 16, true)) {
        let number = 0;
        let index = at + 19;
        for (; buffer[index] !== 0; index++) {
          number = number * 10 + buffer[index] - 48;
        }
        if (number >= 0 && number !== directory) numbers.push(number);
      }
    }
  } finally {
    lib.close(directory);
  }
}

/** Without `/proc`: every number up to the lowest free one, and some more. */
function probeNumbers(): number[] {
  const lib = libc("list descriptors");
  if (lib.fcntl === null || lib.close === null) return [];
  const free = lib.fcntl(0, F_DUPFD_CLOEXEC, 0n);
  if (free >= 0) lib.close(free);
  const numbers: number[] = [];
  for (let fd = 0; fd < free + 256; fd++) {
    if (lib.fcntl(fd, F_GETFD, 0n) >= 0) numbers.push(fd);
  }
  return numbers;
}

/** A number that no other socket of this boot has, or 0 for no socket. */
function socketCookie(fd: number): bigint {
  return integerOption(fd, SOL_SOCKET, SO_COOKIE, 8) ?? 0n;
}

/** What calls fill, again and again: four new arrays cost more than a call. */
const option = new BigInt64Array(1);
const optionBytes = new Uint8Array(option.buffer);
const length = new Uint32Array(1);
const lengthBytes = new Uint8Array(length.buffer);
const address = new Uint8Array(128);
const decoder = new TextDecoder();

/** An integer socket option of 4 or 8 bytes, or `undefined` if refused. */
export function integerOption(
  fd: number,
  level: number,
  name: number,
  size: 4 | 8 = 4,
): bigint | undefined {
  const lib = libc("read a socket option");
  option[0] = 0n;
  length[0] = size;
  const result = lib.getsockopt?.(fd, level, name, optionBytes, lengthBytes);
  return result === 0 ? option[0] : undefined;
}

/** A socket's name, as `getsockname` and `getpeername` tell it. */
export type SocketName =
  | { family: "unix"; path: string }
  | { family: "inet"; hostname: string; port: number };

/** The name of one end of a socket, or `undefined` where it has none. */
export function socketName(
  fd: number,
  end: "local" | "peer",
): SocketName | undefined {
  const lib = libc("read a socket's name");
  const call = end === "local" ? lib.getsockname : lib.getpeername;
  length[0] = address.length;
  if (call?.(fd, address, lengthBytes) !== 0) return;
  return parseName(address.subarray(0, Math.min(length[0], address.length)));
}

function parseName(address: Uint8Array): SocketName | undefined {
  // BSD has a length byte first, then one byte of family.
  const family = Deno.build.os === "darwin"
    ? address[1]
    : address[0] | address[1] << 8;
  if (family === AF_UNIX) {
    const raw = address.subarray(2);
    // An abstract name starts with NUL and has no terminator.
    const end = raw[0] === 0 ? raw.length : raw.indexOf(0);
    const path = raw.subarray(0, end < 0 ? raw.length : end);
    return { family: "unix", path: decoder.decode(path) };
  }
  const port = address[2] << 8 | address[3];
  if (family === AF_INET) {
    return { family: "inet", hostname: address.slice(4, 8).join("."), port };
  }
  if (family !== AF_INET6) return;
  const raw = address.slice(8, 24);
  return { family: "inet", hostname: formatIpv6(raw), port };
}

function formatIpv6(raw: Uint8Array): string {
  const words: string[] = [];
  for (let at = 0; at < 16; at += 2) {
    words.push((raw[at] << 8 | raw[at + 1]).toString(16));
  }
  return words.join(":");
}

/** Whether two spellings name one IP address, as `::1` and `0:0:0:0:0:0:0:1`. */
function sameHost(a: string, b: string): boolean {
  return a === b || expandIpv6(a) === expandIpv6(b);
}

function expandIpv6(host: string): string {
  const text = host.replace(/%.*$/, "").toLowerCase();
  if (!text.includes(":")) return text;
  const [head, tail] = text.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array(Math.max(0, zeros)).fill("0"), ...right]
    .map((word) => parseInt(word, 16).toString(16)).join(":");
}

/** Whether a descriptor is a socket that accepts connections. */
export function isListening(fd: number): boolean {
  return integerOption(fd, SOL_SOCKET, SO_ACCEPTCONN) === 1n;
}

/** The descriptor of a TCP connection, by its two ends, which are unique. */
export function findInet(
  local: Deno.NetAddr,
  remote: Deno.NetAddr,
): number | undefined {
  return findNewest((fd) => {
    const here = socketName(fd, "local");
    if (here?.family !== "inet" || here.port !== local.port) return false;
    const there = socketName(fd, "peer");
    return there?.family === "inet" && there.port === remote.port &&
      sameHost(here.hostname, local.hostname) &&
      sameHost(there.hostname, remote.hostname);
  });
}

/** The newest is nearly always just below the lowest free number. */
function findNewest(isIt: (fd: number) => boolean): number | undefined {
  const free = lowestFree();
  for (let fd = free - 1; fd >= 0 && fd > free - 32; fd--) {
    if (isIt(fd)) return fd;
  }
  return openDescriptors().find(isIt);
}

/**
 * The descriptor of the TCP listener at an address, or `undefined` where there
 * are several (`SO_REUSEPORT`).
 */
export function findInetListener(addr: Deno.NetAddr): number | undefined {
  const found = openDescriptors().filter((fd) => {
    const name = socketName(fd, "local");
    return name?.family === "inet" && name.port === addr.port &&
      sameHost(name.hostname, addr.hostname) && isListening(fd);
  });
  return found.length === 1 ? found[0] : undefined;
}

/** The descriptor of the listener bound at `path`. */
export function findUnixListener(path: string): number | undefined {
  return openDescriptors().find((fd) => {
    const name = socketName(fd, "local");
    return name?.family === "unix" && name.path === path && isListening(fd);
  });
}

const OWN_FILE = cString("/proc/self/comm");
/** How many numbers, from the lowest free one on, may hold a new descriptor. */
const WINDOW = 16;
const ALL = 2 ** WINDOW - 1;

/**
 * The descriptor that `open` made before it gave its promise: the one connected
 * Unix socket that is new. `undefined` where another thread made one meanwhile.
 */
export function watchUnixConnect<T>(
  open: () => Promise<T>,
): { opened: Promise<T>; fd: number | undefined } {
  return oneAtATime(() => watchConnect(open));
}

/**
 * Runs it while no other worker of this process runs such a thing: a number that
 * one frees may be given to another's new socket, and hide it. Each opening of a
 * file of the process holds a lock of its own.
 */
export function oneAtATime<T>(run: () => T): T {
  if (Deno.build.os !== "linux") return run();
  const lib = libc("find a descriptor");
  const file = lib.open?.(OWN_FILE, O_RDONLY | O_CLOEXEC, 0) ?? -1;
  if (file < 0) return run();
  try {
    lib.flock?.(file, LOCK_EX);
    return run();
  } finally {
    lib.close?.(file);
  }
}

function watchConnect<T>(
  open: () => Promise<T>,
): { opened: Promise<T>; fd: number | undefined } {
  // The kernel gives out the lowest free number.
  const first = lowestFree();
  const before = whichAreOpen(first);
  const opened = open();
  let made = ~before & whichAreOpen(first);
  let fd: number | undefined;
  for (let at = first; made !== 0; at++, made >>>= 1) {
    if ((made & 1) === 0) continue;
    // An accepted socket's peer has no name, as a rule.
    const peer = socketName(at, "peer");
    if (peer?.family !== "unix" || peer.path === "") continue;
    if (fd !== undefined) return { opened, fd: undefined };
    fd = at;
  }
  return { opened, fd };
}

function lowestFree(): number {
  const lib = libc("find a descriptor");
  const free = lib.fcntl?.(0, F_DUPFD_CLOEXEC, 0n) ?? -1;
  if (free >= 0) lib.close?.(free);
  return free;
}

/** One bit for each of the numbers from `first` on that is open. */
function whichAreOpen(first: number): number {
  const lib = libc("find a descriptor");
  // struct pollfd { int fd; short events; short revents; }
  const entries = new Int32Array(2 * WINDOW);
  for (let index = 0; index < WINDOW; index++) {
    entries[2 * index] = first + index;
  }
  const buffer = new Uint8Array(entries.buffer);
  let tries = 0; // a signal may interrupt it
  while ((lib.poll?.(buffer, BigInt(WINDOW), 0) ?? -1) < 0) {
    if (++tries === 3) return ALL; // then nothing is known to be new
  }
  const revents = new Int16Array(entries.buffer);
  let open = 0;
  for (let index = 0; index < WINDOW; index++) {
    if ((revents[4 * index + 3] & POLLNVAL) === 0) open |= 1 << index;
  }
  return open;
}

/** So many cookies are remembered before those of closed sockets are dropped. */
const REMEMBERED = 1024;

/**
 * Tells accepted sockets of one listener apart: `claim` gives the descriptor
 * that was accepted since the last call. It works because a listener accepts
 * one at a time and every accepted socket carries the listener's bound path.
 */
export class AcceptedDescriptors {
  readonly #path: string;
  /** By cookie, as a second descriptor of an older socket may be open too. */
  #claimed = new Set<bigint>();
  #limit = REMEMBERED;
  /** Numbers of claimed sockets, where there are no cookies (macOS). */
  readonly #numbers = new Set<number>();

  constructor(boundPath: string) {
    this.#path = boundPath;
    if (!boundPath.startsWith("\0")) return;
    // A listener before may have had the same name; its connections live on.
    for (const fd of openDescriptors()) this.#take(fd);
  }

  /** The descriptor of the connection that was accepted last. */
  claim(): number | undefined {
    return findNewest((fd) => this.#take(fd));
  }

  /** The connection was closed: its number may be another's from now on. */
  release(fd: number | undefined): void {
    if (fd !== undefined) this.#numbers.delete(fd);
  }

  #take(fd: number): boolean {
    const name = socketName(fd, "local");
    if (name?.family !== "unix" || name.path !== this.#path) return false;
    if (isListening(fd)) return false;
    const cookie = socketCookie(fd);
    if (cookie === 0n) {
      if (this.#numbers.has(fd)) return false;
      this.#numbers.add(fd);
      return true;
    }
    if (this.#claimed.has(cookie)) return false;
    if (this.#claimed.size === this.#limit) this.#forgetClosed();
    this.#claimed.add(cookie);
    return true;
  }

  #forgetClosed(): void {
    const open = new Set(openDescriptors().map(socketCookie));
    this.#claimed = this.#claimed.intersection(open);
    this.#limit = 2 * this.#claimed.size + REMEMBERED;
  }
}
