// The head of every small structure: magic, version written last, parameters.

import type { SharedMemory } from "./shared_memory.ts";
import { locate, showMagic } from "./_ring_layout.ts";

const VERSION = 1;

/** A structure's words, its head checked. */
export interface Block {
  /** From the structure's first byte on. */
  start: number;
  words: Int32Array<ArrayBuffer>;
}

/** Zeroes a structure and writes its head: magic, version, one parameter. */
export function formatBlock(
  memory: SharedMemory,
  offset: number,
  length: number,
  magic: number,
  parameter: number,
  name: string,
): Block {
  const what = `Cannot create ${name}`;
  const start = locate(memory, offset, length, what);
  const words = new Int32Array(memory.buffer, start, length >> 2);
  if (Atomics.load(words, 1) !== 0) {
    throw new Deno.errors.AlreadyExists(
      `${what}: something is at offset ${offset} already`,
    );
  }
  words.fill(0);
  words[0] = magic;
  words[2] = parameter;
  return { start, words };
}

/** The end of a format: from here on others may open it. */
export function finishBlock(words: Int32Array): void {
  Atomics.store(words, 1, VERSION);
}

/** Checks a head; `lengthOf` tells the structure's bytes from the parameter. */
export function openBlock(
  memory: SharedMemory,
  offset: number,
  magic: number,
  headLength: number,
  lengthOf: (parameter: number) => number | undefined,
  name: string,
): Block & { parameter: number } {
  const what = `Cannot open ${name}`;
  const start = locate(memory, offset, headLength, what);
  const head = new Int32Array(memory.buffer, start, headLength >> 2);
  const version = Atomics.load(head, 1);
  const seen = head[0];
  const parameter = head[2];
  if (version === 0) {
    throw new Deno.errors.NotFound(`${what}: none at offset ${offset} yet`);
  }
  if (seen !== magic || version !== VERSION) {
    throw new Deno.errors.InvalidData(
      `${what}: expected magic ${showMagic(magic)} and version ${VERSION}, ` +
        `received ${showMagic(seen)} and ${version}`,
    );
  }
  const length = lengthOf(parameter);
  if (length === undefined || offset + length > memory.size) {
    throw new Deno.errors.InvalidData(
      `${what}: its parameter ${parameter} does not fit into the ` +
        `${memory.size} bytes of the segment`,
    );
  }
  const words = new Int32Array(memory.buffer, start, length >> 2);
  return { start, words, parameter };
}
