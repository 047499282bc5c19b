// Which descriptors are behind an object that this module gave out.

import { closeDescriptor, openChildPipe } from "../_libc/pipe.ts";
import { type CheckedOptions, isPlace } from "./_check.ts";
import type { StageRun } from "./_stage_run.ts";

/** Descriptors for calls made now. */
export interface Ends extends Disposable {
  /** The last one is that of the writing end. */
  readonly numbers: readonly number[];
}

/** A child, and which of its streams are pipes from and to this program. */
export interface ChildPipes {
  pid: number;
  /** The pid may be another's by now. */
  ended: boolean;
  streams: readonly (0 | 1)[];
}

/** What {@linkcode Ends} are made from. */
export interface EndsOwner {
  /** The numbers of descriptors that the owner keeps open. */
  own?(): number[];
  child?(): ChildPipes | undefined;
}

const owners = new WeakMap<object, EndsOwner>();

/** Remembers what is behind `owner`. */
export function setEnds(owner: object, ends: EndsOwner): void {
  owners.set(owner, ends);
}

/**
 * The descriptors behind `owner`, where it is one of this module's. Those of a
 * child are opened for this: the runtime keeps its own to itself.
 *
 * @throws {Deno.errors.BadResource} If a child has ended, or closed the pipe.
 */
export function endsOf(owner: object, what: string): Ends | undefined {
  const ends = owners.get(owner);
  if (ends?.own) return { numbers: ends.own(), [Symbol.dispose]() {} };
  const child = ends?.child?.();
  if (child === undefined) return undefined;
  using opened = new DisposableStack();
  const numbers = child.streams.map((stream) => {
    const fd = child.ended ? undefined : openChildPipe(child.pid, stream);
    if (fd === undefined) {
      throw new Deno.errors.BadResource(
        `${what}: process ${child.pid} has ended, or closed its ` +
          (stream === 0 ? "stdin" : "stdout"),
      );
    }
    return opened.adopt(fd, closeDescriptor);
  });
  const kept = opened.move();
  return { numbers, [Symbol.dispose]: () => kept.dispose() };
}

/** The pipes between this program and a command that is alone. */
export function pipesOfOne(
  stages: readonly StageRun[],
  { stdin, stdout }: CheckedOptions,
): ChildPipes | undefined {
  const { pid, end } = stages[0];
  if (pid === undefined || stages.length > 1) return undefined;
  const streams: (0 | 1)[] = [];
  if (stdout === "piped") streams.push(1);
  if (isPlace(stdin) ? stdin.from === "piped" : stdin !== undefined) {
    streams.push(0);
  }
  if (streams.length === 0) return undefined;
  return { pid, ended: end !== undefined, streams };
}
