import type { Connection, WaitOptions } from "../duplex.ts";

/** Options of {@linkcode createPool}. */
export interface PoolOptions<C extends Connection = Connection> {
  /**
   * How many connections to keep open, also when nobody asks for one. They are
   * opened in the background.
   *
   * @default {0}
   */
  min?: number;
  /**
   * The most connections: idle, leased, and on their way.
   *
   * @default {10}
   */
  max?: number;
  /**
   * How long a connection above `min` may lie idle, in milliseconds. Choose less
   * than the server's own idle timeout.
   *
   * @default {30000}
   */
  idleTimeout?: number;
  /**
   * How old a connection may get, in milliseconds; older ones are not leased
   * again. Each draws up to a tenth less, so that not all end at once.
   *
   * @default {Infinity}
   */
  lifetime?: number;
  /**
   * Asks whether a connection that lay idle is still good, each time before it
   * is leased. `false`, an error, or no answer within `checkTimeout` discards it
   * and the next is tried. Even without it, one that the peer closed while it
   * lay idle, or sent bytes on, is never leased.
   */
  check?: (
    connection: C,
    options: { signal: AbortSignal },
  ) => boolean | Promise<boolean>;
  /**
   * How long `check` may take, in milliseconds.
   *
   * @default {1000}
   */
  checkTimeout?: number;
  /**
   * How long `connect` may take, in milliseconds. Its place in the pool is free
   * again then, even if it goes on.
   *
   * @default {10000}
   */
  connectTimeout?: number;
  /**
   * How long `acquire` waits for a connection, in milliseconds.
   *
   * @default {10000}
   */
  acquireTimeout?: number;
  /**
   * How long a lease may last, in milliseconds. Then its connection is aborted
   * and its place is free.
   *
   * @default {Infinity}
   */
  leaseTimeout?: number;
  /**
   * How many callers may wait for a connection at once.
   *
   * @default {1000}
   */
  maxWaiters?: number;
}

/** A connection of a pool, for one user at a time. */
export interface Lease<C extends Connection = Connection>
  extends AsyncDisposable {
  /** The connection. Use it only while you hold the lease. */
  readonly connection: C;
  /**
   * Gives the connection back, for others to lease. Leave it between two
   * messages: all of the answer read, and no reader or writer locked. One that is
   * broken, locked, still sends what was written, or has bytes to read is never
   * leased again; but bytes that have not arrived yet nobody can see. Disposing
   * the lease does the same. A second call does nothing.
   */
  release(): void;
  /**
   * Frees the connection instead, such as after an error in the middle of an
   * exchange. After `release` it does nothing.
   */
  discard(reason?: unknown): void;
}

/** What a pool holds and what it did, at one moment. */
export interface PoolCounters {
  /** Connections that lie ready, or are being checked. */
  readonly idle: number;
  /** Connections in use. */
  readonly leased: number;
  /** Connections on their way. */
  readonly connecting: number;
  /** Callers that wait. */
  readonly waiting: number;
  /** Connections opened so far. */
  readonly opened: number;
  /** Tries to connect that failed so far. */
  readonly failed: number;
  /** Leases given so far. */
  readonly acquired: number;
  /** Connections closed for their age or for lying idle so far. */
  readonly expired: number;
  /** Connections that were broken, or in no state to go back in, so far. */
  readonly discarded: number;
  /** Leases that were never given back so far. */
  readonly lost: number;
  /** Callers that waited for too long so far. */
  readonly timedOut: number;
}

/** Connections that are used again, one user at a time. */
export interface Pool<C extends Connection = Connection>
  extends AsyncDisposable {
  /**
   * Leases a connection: one that lies idle, else a new one, else the next to be
   * given back. Who asked first is served first.
   *
   * @param options `timeout` (the pool's `acquireTimeout` by default) and
   * `signal` end the wait.
   * @returns The lease. Dispose it: one that is forgotten is taken back only
   * when the garbage collector finds it, or at `leaseTimeout`.
   * @throws {DOMException} `TimeoutError`, if none is free in time.
   * @throws {Deno.errors.Busy} If `maxWaiters` callers wait already.
   * @throws {ConnectionClosedError} If the pool is closed.
   * @throws What `connect` throws.
   */
  acquire(options?: WaitOptions): Promise<Lease<C>>;
  /**
   * Leases a connection for as long as `work` takes. It goes back in when `work`
   * returns, and is discarded when it throws, as nobody knows how far the
   * exchange came.
   *
   * @param work Gets the connection, for itself.
   * @param options As {@linkcode Pool.acquire} takes them.
   * @returns What `work` returns.
   */
  use<T>(
    work: (connection: C) => T | Promise<T>,
    options?: WaitOptions,
  ): Promise<T>;
  /** What it holds and what it did. */
  counters(): PoolCounters;
  /**
   * Gives out no more leases, closes what is idle, and waits until all leases
   * are back. Disposing the pool does the same.
   *
   * @param options After `timeout` (10 seconds by default), or when `signal`
   * fires, the connections that are still leased are aborted.
   * @returns Resolves when no connection is left. Calling it again gives the
   * same promise, and may shorten the wait.
   */
  drain(options?: WaitOptions): Promise<void>;
}
