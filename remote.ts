import type { Duplex, Listener } from "./duplex.ts";
import {
  connect,
  type ConnectOptions,
  listen,
  type ListenOptions,
  schemes,
} from "./address.ts";
import {
  type Client,
  client as clientOf,
  type ClientOptions,
  type Connector,
  type Context,
  type Handlers,
  type ReconnectingClient,
  reconnectingClient as reconnectingClientOf,
  type ReconnectingClientOptions,
  serve as serveOn,
  type ServeOptions,
  type Server,
} from "./rpc/mod.ts";
import { peerCredentials } from "./socket/peer.ts";

/** Options of {@linkcode serve} for an address. */
export interface ServeAddressOptions extends ServeOptions {
  /** How to listen: backlog, permissions, a certificate for `tls:`. */
  listen?: ListenOptions;
}

/** Options of {@linkcode client} for an address. */
export interface ClientAddressOptions extends ClientOptions {
  /** How to connect: `signal`, `timeout`, `retry` while there is no server. */
  connect?: ConnectOptions;
}

/** Options of {@linkcode reconnectingClient} for an address. */
export interface ReconnectingClientAddressOptions<T = unknown>
  extends ReconnectingClientOptions<T> {
  /** How to connect; when it is tried again, `reconnect` tells. */
  connect?: Omit<ConnectOptions, "retry" | "signal" | "timeout">;
}

/** What {@linkcode serve} returns for an address: it always has one. */
export interface AddressServer extends Server {
  /** Where peers connect to, such as `"tcp:127.0.0.1:40123"`. */
  readonly address: string;
}

/**
 * Serves handlers at an address of any transport that accepts connections. A
 * {@linkcode Listener} or {@linkcode Duplex} is served as `serve` of
 * `@sluice/ipc/rpc` does: then the server is there at once, without a promise.
 *
 * With `stdio:`, the one peer is the program that started this one, as
 * `client("exec:deno run worker.ts")` does, and the server is closed with it.
 *
 * Handlers know who calls: over `unix:` and `shm:` their context's
 * `peer.credentials` are what the kernel tells, unless `credentials` is set.
 *
 * Requires the permissions of the transport.
 *
 * @example Change `unix:` to `shm:`, and the calls go through shared memory
 * ```ts
 * import { client, serve } from "@sluice/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const handlers = {
 *   add: (a: number, b: number) => a + b,
 *   async *count(to: number) {
 *     for (let n = 1; n <= to; n++) yield n;
 *   },
 * };
 *
 * const address = `unix:${await Deno.makeTempDir()}/calculator.sock`;
 * await using _server = await serve(address, handlers);
 * await using calculator = await client<typeof handlers>(address);
 *
 * assertEquals(await calculator.add(1, 2), 3);
 * assertEquals(await Array.fromAsync(calculator.count(3)), [1, 2, 3]);
 * ```
 *
 * @typeParam T The type of the handlers, for `client<typeof handlers>`.
 * @param address Such as `"unix:/run/a.sock"` or `"tcp:127.0.0.1:0"`.
 * @param handlers What peers may call.
 * @param options {@linkcode ServeAddressOptions}
 * @returns The server, once it listens. Disposing of it closes it.
 * @throws {TypeError} If the address has no known scheme or can't be listened
 * on, or a handler is no function or has a reserved name.
 * @throws {RangeError} If an option is out of its bounds.
 * @throws What {@linkcode listen} throws.
 */
export function serve<T extends Handlers<T>>(
  address: string | URL,
  handlers: T & ThisType<Context>,
  options?: ServeAddressOptions,
): Promise<AddressServer>;
/**
 * Serves handlers to every connection of a listener, or over one duplex.
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
  options?: ServeOptions,
): Server;
export function serve<T extends Handlers<T>>(
  target: string | URL | Listener | Duplex,
  handlers: T & ThisType<Context>,
  options: ServeAddressOptions = {},
): Server | Promise<AddressServer> {
  const { listen: listenOptions, ...rest } = options;
  const known = { credentials: peerCredentials, ...rest };
  return isAddress(target)
    ? serveAt(target, handlers, listenOptions, known)
    : serveOn(target, handlers, known);
}

async function serveAt<T extends Handlers<T>>(
  address: string | URL,
  handlers: T,
  listenOptions: ListenOptions | undefined,
  options: ServeOptions,
): Promise<AddressServer> {
  checkPlaces(options, "listen");
  options.signal?.throwIfAborted();
  if (String(address) === "stdio:") { // the program that started this one
    const { idleTimeout, closeTimeout, highWaterMark, timeouts } =
      listenOptions ?? {};
    const parent = await connect(address, {
      idleTimeout,
      closeTimeout,
      highWaterMark,
      timeouts,
    });
    return serveOn(parent, handlers, options) as AddressServer;
  }
  const listener = await listen(address, listenOptions);
  try {
    return serveOn(listener, handlers, options) as AddressServer;
  } catch (error) {
    await listener.close();
    throw error;
  }
}

/**
 * Connects to an address of any transport and gives a typed client of the
 * handlers there. Over a {@linkcode Duplex} it is `client` of
 * `@sluice/ipc/rpc`, which needs no promise.
 *
 * Requires the permissions of the transport.
 *
 * @example A server that may not be up yet
 * ```ts
 * import { client, serve } from "@sluice/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const handlers = { greet: (name: string) => `Hello ${name}` };
 *
 * const address = `unix:${await Deno.makeTempDir()}/greeter.sock`;
 * const connecting = client<typeof handlers>(address, {
 *   connect: { retry: true, timeout: 5_000 },
 * });
 * await using _server = await serve(address, handlers);
 * await using greeter = await connecting;
 * assertEquals(await greeter.greet("Ada"), "Hello Ada");
 * ```
 *
 * @typeParam T The type of the handlers: `typeof handlers`.
 * @param address Such as `"unix:/run/a.sock"` or `"tcp:localhost:9000"`.
 * @param options {@linkcode ClientAddressOptions}
 * @returns The typed proxy. Disposing of it closes the connection.
 * @throws {TypeError} If the address has no known scheme, or an option or a
 * handler is of the wrong type.
 * @throws {RangeError} If an option is out of its bounds.
 * @throws What {@linkcode connect} throws.
 */
export function client<T>(
  address: string | URL,
  options?: ClientAddressOptions,
): Promise<Client<T>>;
/**
 * A typed client of the handlers at the other side of a duplex.
 *
 * @typeParam T The type of the handlers: `typeof handlers`.
 * @param duplex The connection; the client owns it.
 * @param options {@linkcode ClientOptions}
 * @returns The typed proxy. Disposing of it closes the connection.
 * @throws {TypeError} If an option or a handler is of the wrong type.
 * @throws {RangeError} If an option is out of its bounds.
 */
export function client<T>(duplex: Duplex, options?: ClientOptions): Client<T>;
export function client<T>(
  target: string | URL | Duplex,
  options: ClientAddressOptions = {},
): Client<T> | Promise<Client<T>> {
  const { connect: connectOptions, ...rest } = options;
  const known = { credentials: peerCredentials, ...rest };
  return isAddress(target)
    ? clientAt<T>(target, connectOptions, known)
    : clientOf<T>(target, known);
}

async function clientAt<T>(
  address: string | URL,
  connectOptions: ConnectOptions | undefined,
  options: ClientOptions,
): Promise<Client<T>> {
  checkPlaces(options, "connect");
  const connection = await connect(address, connectOptions);
  try {
    return clientOf<T>(connection, options);
  } catch (error) {
    connection.abort();
    throw error;
  }
}

/**
 * A typed client of the handlers at an address, which connects again by itself
 * whenever its connection is lost. It is ready at once, without a promise: see
 * `reconnectingClient` of `@sluice/ipc/rpc` for what becomes of calls.
 *
 * Requires the permissions of the transport.
 *
 * @example A server that restarts
 * ```ts
 * import { reconnectingClient, serve } from "@sluice/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const handlers = { add: (a: number, b: number) => a + b };
 * const address = `unix:${await Deno.makeTempDir()}/a.sock`;
 * await using api = reconnectingClient<typeof handlers>(address, {
 *   timeout: 5_000, // of each call, the wait for a connection included
 *   idempotent: ["add"], // may run twice: it is sent again
 * });
 * for (let start = 0; start < 2; start++) {
 *   await using _server = await serve(address, handlers);
 *   assertEquals(await api.add(start, 2), start + 2);
 * }
 * ```
 *
 * @typeParam T The type of the handlers: `typeof handlers`.
 * @param target An address such as `"unix:/run/a.sock"`, or what opens a
 * connection.
 * @param options {@linkcode ReconnectingClientAddressOptions}
 * @returns The typed proxy. Disposing of it closes the connection for good.
 * @throws {TypeError} If an option is of the wrong type.
 * @throws {RangeError} If an option is out of its bounds.
 */
export function reconnectingClient<T>(
  target: string | URL | Connector,
  options: ReconnectingClientAddressOptions<T> = {},
): ReconnectingClient<T> {
  const { connect: connectOptions, ...rest } = options;
  const known = { credentials: peerCredentials, ...rest };
  if (!isAddress(target)) return reconnectingClientOf<T>(target, known);
  checkPlaces(known, "connect");
  return reconnectingClientOf<T>(
    ({ signal }) =>
      connect(target, { timeout: Infinity, ...connectOptions, signal }),
    known,
  );
}

/** Throws for an option of a transport that would be passed over in silence. */
function checkPlaces(options: object, place: "connect" | "listen"): void {
  const own = place === "listen" ? "allow" : "retry";
  for (const name of [own, ...schemes()]) {
    if (name in options) {
      throw new TypeError(
        `Invalid options: ${name} goes into ${place}: { ${name}: ... }`,
      );
    }
  }
}

function isAddress(target: unknown): target is string | URL {
  return typeof target === "string" || target instanceof URL;
}
