// One connection of a pool, and what is known of it.

import type { Connection } from "../duplex.ts";
import { yieldTurn } from "../_async/turn.ts";
import type { Descriptor } from "../_libc/descriptor.ts";
import { hasInput } from "../_libc/socket.ts";
import { ByteConnection } from "./connection.ts";
import { rawDescriptor } from "./raw.ts";

/** Turns of the event loop in which a read brings what has arrived. */
const TURNS = 2;

export class PoolEntry<C extends Connection> {
  readonly connection: C;
  /** When it is too old to be leased again. */
  readonly expires: number;
  /** Since when nobody uses it, once that is looked at. */
  idleSince: number | undefined;
  /** It ended, broke, or was freed. */
  broken = false;

  #watch: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** What `writable` takes while all that was written has gone out. */
  #room: number;
  /** Where to ask for bytes that have come; `null` where nobody can be asked. */
  #descriptor: Descriptor | null | undefined;

  constructor(connection: C, lifetime: number, onBroken: () => void) {
    this.connection = connection;
    this.expires = performance.now() + lifetime * (1 - Math.random() / 10);
    this.#room = connection instanceof ByteConnection ? 0 : roomOf(connection);
    const end = () => {
      this.broken = true;
      onBroken();
    };
    connection.closed.then(end, end);
  }

  /** Whether it is too old. Asking for the time costs. */
  get isExpired(): boolean {
    return this.expires !== Infinity && performance.now() >= this.expires;
  }

  /** Whether a user left it so that another can go on with it. */
  get reusable(): boolean {
    const { readable, writable } = this.connection;
    return !this.broken && !readable.locked && !writable.locked;
  }

  /** Whether all that its last user wrote has gone out. */
  get isSent(): boolean {
    const { connection } = this;
    return connection instanceof ByteConnection
      ? connection.outputIsSent
      : roomOf(connection) >= this.#room;
  }

  /**
   * Whether nothing has come that was not read, of which the next user would
   * read somebody else's answer; `undefined` where only `settle` tells.
   */
  get isSilent(): boolean | undefined {
    const { connection } = this;
    if (this.broken) return false;
    if (!(connection instanceof ByteConnection)) return undefined;
    // A read that is under way may have taken bytes that nobody sees yet.
    if (!connection.inputIsUntouched) return undefined;
    return this.#kernelIsSilent;
  }

  /** `undefined` where the kernel's bytes are not the connection's, as in TLS. */
  get #kernelIsSilent(): boolean | undefined {
    this.#descriptor ??= rawDescriptor(this.connection) ?? null;
    if (this.#descriptor === null) return undefined;
    try {
      return !hasInput(this.#descriptor.fd);
    } catch { // closed
      return false;
    }
  }

  /** As `isSilent`, by a read while the event loop brings what is here. */
  async settle(): Promise<boolean> {
    const silent = this.isSilent;
    if (silent !== undefined) return silent;
    this.watch(() => {});
    for (let turn = 0; turn < TURNS && !this.broken; turn++) await yieldTurn();
    this.unwatch();
    return this.reusable && this.#kernelIsSilent !== false;
  }

  /**
   * Reads while nobody uses it: what comes, an end or bytes that nobody asked
   * for, means that it can't be leased again. A read that is given up leaves its
   * bytes to the next one.
   */
  watch(onSpoiled: () => void): void {
    if (this.#watch !== undefined || !this.reusable) return;
    const reader = this.#watch = this.connection.readable.getReader();
    const spoil = () => {
      if (this.#watch !== reader) return; // given up
      this.broken = true;
      onSpoiled();
    };
    reader.read().then(spoil, spoil);
  }

  unwatch(): void {
    const reader = this.#watch;
    this.#watch = undefined;
    reader?.releaseLock();
  }
}

/** How much a writer may write; nothing where another has the lock. It is slow. */
function roomOf({ writable }: Connection): number {
  if (writable.locked) return -Infinity;
  const writer = writable.getWriter();
  const room = writer.desiredSize ?? -Infinity; // `null` once it broke
  writer.releaseLock();
  return room;
}
