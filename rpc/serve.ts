import type { Connection, Duplex, Listener, WaitOptions } from "../duplex.ts";
import type { Context } from "./context.ts";
import type { Handlers } from "./types.ts";
import type { Session } from "./session.ts";
import type { SessionOptions } from "./session_options.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { checkDuplex, checkInteger } from "../_async/check.ts";
import { sleep } from "../_async/wait.ts";
import { checkOptions } from "./_options.ts";
import { createMethodTable } from "./_methods.ts";
import { RpcError } from "./errors.ts";
import { RpcSession } from "./_session.ts";

/** Options of {@linkcode serve}. */
export interface ServeOptions extends SessionOptions {
  /**
   * Connections at the same time. One more is closed at once.
   *
   * @default {10000}
   */
  maxConnections?: number;
  /** Told of each connection, to call the peer or to count it. */
  onSession?: (session: Session) => void;
  /** Closes the server, as {@linkcode Server.close} does without waiting. */
  signal?: AbortSignal;
}

/** What {@linkcode serve} returns. */
export interface Server extends AsyncDisposable {
  /** Where peers connect to; `undefined` for a server of one duplex. */
  readonly address: string | undefined;
  /** The connections that are open. */
  readonly sessions: ReadonlySet<Session>;
  /**
   * Resolves when it takes no more connections and the last one has ended.
   * Rejects with what broke the listener.
   */
  readonly closed: Promise<void>;
  /**
   * Stops listening, lets running calls end, those on their way too, then
   * closes. See {@linkcode Session.drain}.
   */
  drain(options?: WaitOptions): Promise<void>;
  /** Stops listening, tells running calls to stop, and closes. */
  close(): Promise<void>;
}

/**
 * Serves handlers to every connection of a listener, or over one duplex. Needs
 * no permission of its own.
 *
 * Own enumerable functions of `handlers` can be called, and those of the plain
 * objects in it as `"fs.read"`; nothing else can, and nothing inherited. A
 * handler's `this` is its {@linkcode Context}. A result may be a promise, an
 * async iterable or a `ReadableStream`.
 *
 * @example One duplex
 * ```ts
 * import { client, type Context, serve } from "@sluice/ipc/rpc";
 *
 * const handlers = {
 *   async *count(this: Context, to: number) {
 *     for (let n = 1; n <= to && !this.signal.aborted; n++) yield n;
 *   },
 * };
 *
 * const [near, far] = [new TransformStream(), new TransformStream()];
 * await using _server = serve(
 *   { readable: far.readable, writable: near.writable },
 *   handlers,
 * );
 * await using api = client<typeof handlers>({
 *   readable: near.readable,
 *   writable: far.writable,
 * });
 * let sum = 0;
 * for await (const n of api.count(3)) sum += n;
 * if (sum !== 6) throw new Error("Unexpected sum");
 * ```
 *
 * @typeParam T The type of the handlers, for `client<typeof handlers>`.
 * @param target A listener, or a duplex; the server owns it.
 * @param handlers What peers may call.
 * @param options {@linkcode ServeOptions}
 * @returns The server. Disposing of it closes it.
 * @throws {TypeError} If a handler is no function or has a reserved name.
 * @throws {RangeError} If an option is out of its bounds.
 */
export function serve<T extends Handlers<T>>(
  target: Listener | Duplex,
  handlers: T & ThisType<Context>,
  options: ServeOptions = {},
): Server {
  return new RpcServer(target, handlers, options);
}

/** The wait after a failed accept, in milliseconds, and how many may follow. */
const ACCEPT_PAUSE = 50;
const MAX_ACCEPT_FAILURES = 100;

class RpcServer implements Server {
  readonly address: string | undefined;
  readonly sessions: Set<Session> = new Set();
  readonly closed: Promise<void>;

  #listener: Listener | undefined;
  #open: (duplex: Duplex) => RpcSession;
  #done = Promise.withResolvers<void>();
  #onError: (error: unknown) => void;
  #listening = false;
  #failed = false;
  #error: unknown;

  constructor(
    target: Listener | Duplex,
    handlers: object,
    options: ServeOptions,
  ) {
    const methods = createMethodTable(handlers);
    const checked = checkOptions(options);
    if (!isListener(target)) checkDuplex(target);
    const { maxConnections = 10_000, onSession, signal } = options;
    if (maxConnections !== Infinity) {
      checkInteger("maxConnections", maxConnections, 1);
    }
    this.closed = this.#done.promise;
    this.closed.catch(() => {}); // nobody has to listen
    this.#onError = checked.onError;
    this.#open = (duplex) => {
      const session = new RpcSession(duplex, methods, checked);
      this.sessions.add(session);
      const leave = () => {
        this.sessions.delete(session);
        this.#settle();
      };
      session.closed.then(leave, leave);
      try {
        onSession?.(session);
      } catch (error) {
        this.#onError(error);
        session.abort();
      }
      return session;
    };
    if (isListener(target)) {
      this.#listener = target;
      this.address = target.address;
      this.#listening = true;
      this.#accept(target, maxConnections);
    } else {
      this.address = (target as Partial<Connection>).local;
      this.#open(target);
    }
    if (signal === undefined) return;
    const stop = () => this.close().catch(this.#onError);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    const letGo = () => signal.removeEventListener("abort", stop);
    this.closed.then(letGo, letGo);
  }

  async #accept(listener: Listener, maxConnections: number): Promise<void> {
    let failures = 0;
    while (this.#listening) {
      try {
        const connection = await listener.accept();
        failures = 0;
        if (this.sessions.size >= maxConnections) {
          connection.abort();
          this.#onError(
            new RpcError(
              `Cannot serve ${connection.remote}: ${this.sessions.size} ` +
                `connections are open, maxConnections is ${maxConnections}`,
              { code: "overloaded" },
            ),
          );
        } else this.#open(connection);
      } catch (error) {
        if (error instanceof ConnectionClosedError) break;
        // Such as a lack of descriptors, which may pass.
        this.#onError(error);
        if (++failures < MAX_ACCEPT_FAILURES) await sleep(ACCEPT_PAUSE);
        else {
          this.#failed = true;
          this.#error = error;
          break;
        }
      }
    }
    this.#listening = false;
    this.#settle();
  }

  #settle(): void {
    if (this.#listening || this.sessions.size > 0) return;
    if (this.#failed) this.#done.reject(this.#error);
    else this.#done.resolve();
  }

  async drain(options: WaitOptions = {}): Promise<void> {
    await this.#listener?.close();
    const drained = await Promise.allSettled(
      [...this.sessions].map((session) => session.drain(options)),
    );
    await this.closed;
    for (const result of drained) {
      if (result.status === "rejected") throw result.reason;
    }
  }

  async close(): Promise<void> {
    await this.#listener?.close();
    await Promise.all([...this.sessions].map((session) => session.close()));
    await this.closed.catch(() => {}); // it is for who awaits `closed`
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What a log shows of it. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Server at ${
      this.address ?? "a duplex"
    } (sessions: ${this.sessions.size})`;
  }
}

function isListener(target: Listener | Duplex): target is Listener {
  return typeof (target as Partial<Listener> | undefined)?.accept ===
    "function";
}
