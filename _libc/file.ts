// What the system says of an open file, and its descriptor.

import { F_GETFL, O_ACCMODE, O_PATH, O_WRONLY, S_IFMT } from "./constants.ts";
import { openDescriptors } from "./descriptor.ts";
import { cString, libc } from "./library.ts";

/** A part of `struct stat`. */
export interface FileStatus {
  device: bigint;
  inode: bigint;
  /** The type bits of the mode. */
  type: number;
}

/** fstat(2), or `undefined` where it fails. */
export function fileStatus(fd: number): FileStatus | undefined {
  const buffer = new Uint8Array(256); // 144 bytes on x86-64
  if (libc("look at a descriptor").fstat?.(fd, buffer) !== 0) return undefined;
  const view = new DataView(buffer.buffer);
  if (Deno.build.os === "darwin") {
    // i32 dev, u16 mode, u16 nlink, u64 ino
    return {
      device: BigInt(view.getInt32(0, true)),
      inode: view.getBigUint64(8, true),
      type: view.getUint16(4, true) & S_IFMT,
    };
  }
  // u64 dev, u64 ino, then u64 nlink before the mode on x86-64 only
  const mode = view.getUint32(Deno.build.arch === "x86_64" ? 24 : 16, true);
  return {
    device: view.getBigUint64(0, true),
    inode: view.getBigUint64(8, true),
    type: mode & S_IFMT,
  };
}

/** Whether the descriptor is of the file that the runtime tells of. */
export function isFile(fd: number, info: Deno.FileInfo): boolean {
  const status = fileStatus(fd);
  return status !== undefined && info.ino !== null &&
    status.inode === BigInt(info.ino) && status.device === BigInt(info.dev);
}

/** The descriptors of a file that the runtime opened. */
export function findFiles(info: Deno.FileInfo): number[] {
  return openDescriptors().filter((fd) => isFile(fd, info));
}

/** Whether a descriptor can be read from. */
export function isReadable(fd: number): boolean {
  const flags = libc("look at a descriptor").fcntl?.(fd, F_GETFL, 0n) ?? -1;
  return flags >= 0 && (flags & O_PATH) === 0 &&
    (flags & O_ACCMODE) !== O_WRONLY;
}

/**
 * What a descriptor is, such as `"pipe:[4711]"`: of this process, or of another
 * one. Empty where it can't be told, and elsewhere than on Linux.
 */
export function fileOf(fd: number, pid: number | "self" = "self"): string {
  const name = new Uint8Array(256);
  const length = Number(
    libc("look at a descriptor").readlink!(
      cString(`/proc/${pid}/fd/${fd}`),
      name,
      BigInt(name.length),
    ),
  );
  return new TextDecoder().decode(name.subarray(0, Math.max(0, length)));
}
