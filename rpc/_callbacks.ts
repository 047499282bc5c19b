// Functions as arguments: those this side passed, and those it got.

import { held } from "./_held.ts";
import { checkRef, type Link, violation } from "./_link.ts";
import { RpcError } from "./errors.ts";
import type { Handler } from "./_methods.ts";

/** A function of the peer's. */
export interface RemoteCallback {
  readonly call: (...params: unknown[]) => Promise<unknown>;
  /** Releases it unless the handler retained it: its call is over. */
  settle(): number | undefined;
}

/** All live callbacks of a session. */
export class Callbacks {
  #link: Link;
  /** Functions that the peer may call. */
  #own = new Map<number, Handler>();
  #nextId = 1;
  /** Handles of the peer's functions that are not released. */
  #remote = 0;
  #lastRemote = 0;
  #closed = false;

  constructor(link: Link) {
    this.#link = link;
  }

  get size(): number {
    return this.#own.size + this.#remote;
  }

  /** Makes a function callable for the peer. */
  pass(callback: Handler): number {
    const { maxCallbacks } = this.#link.options;
    if (this.#own.size >= maxCallbacks) {
      throw new RpcError(
        `Cannot pass callback: ${this.#own.size} are alive, ` +
          `maxCallbacks is ${maxCallbacks}`,
        { code: "overloaded" },
      );
    }
    const id = this.#nextId++;
    this.#own.set(id, callback);
    return id;
  }

  /** Takes back what was passed to a call that was not sent. */
  withdraw(id: number): void {
    this.#own.delete(id);
  }

  /** A function for the peer's handle; `undefined` where there are too many. */
  hold(ref: unknown): RemoteCallback | undefined {
    const id = checkRef(ref);
    if (id <= this.#lastRemote) {
      throw violation(`Cannot take callback: id ${id} was used before`);
    }
    this.#lastRemote = id;
    if (this.#remote >= this.#link.options.maxCallbacks) {
      this.#link.postExtension("$release", [id]);
      return undefined;
    }
    this.#remote++;
    let retained = false;
    let released = false;
    const call = (...params: unknown[]): Promise<unknown> =>
      released
        ? Promise.reject(
          new RpcError(
            "Cannot call callback: it was released when its call ended; " +
              "keep it with retain()",
            { code: "unavailable" },
          ),
        )
        : this.#link.session.call("$callback", { params: [id, ...params] });
    const release = (): number | undefined => {
      if (released) return undefined;
      released = true;
      if (!this.#closed) this.#remote--;
      return id;
    };
    held.set(call, {
      retain: () => retained = true,
      release: () => {
        if (release() !== undefined) {
          this.#link.postExtension("$release", [id]);
        }
      },
    });
    return { call, settle: () => retained ? undefined : release() };
  }

  /** The function that `$callback [id, ...params]` calls. */
  find(ref: unknown): Handler {
    const id = checkRef(ref);
    if (id >= this.#nextId) {
      throw violation(`Cannot call callback: id ${id} was never passed`);
    }
    const callback = this.#own.get(id);
    if (callback === undefined) {
      throw new RpcError(`Cannot call callback: id ${id} was released`, {
        code: "unavailable",
      });
    }
    return callback;
  }

  /** `$release [id, ...]` */
  onRelease(refs: unknown[]): void {
    for (const ref of refs) this.#own.delete(checkRef(ref));
  }

  /** The connection ended. */
  close(): void {
    this.#closed = true;
    this.#own.clear();
    this.#remote = 0;
  }
}
