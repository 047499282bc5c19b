import type { Duplex } from "../duplex.ts";
import { checkDuplex } from "../_async/check.ts";
import type { Context } from "./context.ts";
import type { Client, Session } from "./session.ts";
import type { SessionOptions } from "./session_options.ts";
import { checkOptions } from "./_options.ts";
import { createMethodTable } from "./_methods.ts";
import { RpcSession } from "./_session.ts";

/** Options of {@linkcode client} and {@linkcode createSession}. */
export interface ClientOptions extends SessionOptions {
  /** What the peer may call on this side of the same connection. */
  handlers?: object & ThisType<Context>;
}

/**
 * A typed client of the handlers at the other side of a duplex. It is ready at
 * once, and needs no permission.
 *
 * Each method returns a promise. Where the handler returns an async iterable,
 * the call itself can be iterated: `for await (const n of api.count(3))`.
 *
 * @example A call
 * ```ts
 * import { client, serve } from "@sluice/ipc/rpc";
 *
 * const handlers = { add: (a: number, b: number) => a + b };
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
 * if (await api.add(1, 2) !== 3) throw new Error("Unexpected sum");
 * ```
 *
 * @typeParam T The type of the handlers: `typeof handlers`.
 * @param duplex The connection; the client owns it.
 * @param options {@linkcode ClientOptions}
 * @returns The typed proxy. Disposing of it closes the connection.
 * @throws {TypeError} If an option or a handler is of the wrong type.
 * @throws {RangeError} If an option is out of its bounds.
 */
export function client<T>(
  duplex: Duplex,
  options: ClientOptions = {},
): Client<T> {
  return createSession(duplex, options).client<T>();
}

/**
 * Calls both ways over one connection, with neither side being the server.
 * {@linkcode client} is this with a proxy, and `serve` is this for each
 * connection of a listener.
 *
 * @example Both sides call
 * ```ts
 * import { createSession } from "@sluice/ipc/rpc";
 *
 * const handlers = { double: (n: number) => 2 * n };
 * const [near, far] = [new TransformStream(), new TransformStream()];
 * await using left = createSession(
 *   { readable: near.readable, writable: far.writable },
 *   { handlers },
 * );
 * await using right = createSession(
 *   { readable: far.readable, writable: near.writable },
 *   { handlers },
 * );
 * const four = await left.client<typeof handlers>().double(2);
 * const six = await right.client<typeof handlers>().double(3);
 * if (four + six !== 10) throw new Error("Unexpected sum");
 * ```
 *
 * @param duplex The connection; the session owns it.
 * @param options {@linkcode ClientOptions}
 * @returns The session.
 * @throws {TypeError} If an option or a handler is of the wrong type.
 * @throws {RangeError} If an option is out of its bounds.
 */
export function createSession(
  duplex: Duplex,
  options: ClientOptions = {},
): Session {
  checkDuplex(duplex);
  return new RpcSession(
    duplex,
    createMethodTable(options.handlers ?? {}),
    checkOptions(options),
  );
}
