import type { Connection, Listener, Timeouts, WaitOptions } from "./duplex.ts";
import { describe } from "./_async/check.ts";
import type { ByteStreamOptions } from "./_transport/options.ts";
import type { RetryOptions } from "./_transport/retry.ts";
import { connectNats, type ConnectNatsOptions } from "./nats/connect.ts";
import { listenNats, type ListenNatsOptions } from "./nats/listen.ts";
import { connectExec, type ConnectExecOptions } from "./pipe/exec.ts";
import { openStdio, type OpenStdioOptions } from "./pipe/stdio.ts";
import { connectUnix, type ConnectUnixOptions } from "./socket/connect.ts";
import { listenUnix, type ListenUnixOptions } from "./socket/listen.ts";
import type { AllowPeer, PeerDeniedError } from "./socket/peer.ts";
import { connectShm, type ConnectShmOptions } from "./shm/connect.ts";
import { listenShm, type ListenShmOptions } from "./shm/listen.ts";
import { connectFifo, type ConnectFifoOptions } from "./pipe/connect_fifo.ts";
import { listenFifo, type ListenFifoOptions } from "./pipe/listen_fifo.ts";
import { connectTcp, type ConnectTcpOptions } from "./tcp/connect.ts";
import { listenTcp } from "./tcp/listen.ts";
import type { ListenTcpOptions } from "./tcp/options.ts";
import {
  connectTls,
  type ConnectTlsOptions,
  listenTls,
  type ListenTlsOptions,
} from "./tcp/tls.ts";

/**
 * Options of {@linkcode connect}. What every transport understands stands at the
 * top; what only one does, under its scheme, so that an address can change and
 * the options stay.
 */
export interface ConnectOptions extends WaitOptions, ByteStreamOptions {
  /**
   * The longest time for all tries together, in milliseconds.
   *
   * @default {10000}
   */
  timeout?: number;
  /**
   * Whether to try again while the server is not there yet: `true` for the
   * defaults of {@linkcode RetryOptions}.
   *
   * @default {false}
   */
  retry?: RetryOptions | boolean;
  /**
   * `connect`, `idle` and `close` in one object, in the place of `timeout`,
   * `idleTimeout` and `closeTimeout`, that `channel` takes as well.
   */
  timeouts?: Timeouts;
  /** For `unix:` addresses only. */
  unix?: Omit<ConnectUnixOptions, "path">;
  /** For `shm:` addresses only. */
  shm?: Omit<ConnectShmOptions, "path">;
  /** For `fifo:` addresses only. */
  fifo?: Omit<ConnectFifoOptions, "path">;
  /** For `tcp:` addresses only. */
  tcp?: Omit<ConnectTcpOptions, "hostname" | "port">;
  /** For `tls:` addresses only. */
  tls?: Omit<ConnectTlsOptions, "hostname" | "port">;
  /** For `nats:` addresses only. */
  nats?: Omit<ConnectNatsOptions, "server" | "subject">;
  /** For `exec:` addresses only. */
  exec?: Omit<ConnectExecOptions, "command">;
  /** For the `stdio:` address only. */
  stdio?: OpenStdioOptions;
}

/** Options of {@linkcode listen}, arranged as {@linkcode ConnectOptions} are. */
export interface ListenOptions extends ByteStreamOptions {
  /** `idle` and `close` in one object, in the place of `idleTimeout` and `closeTimeout`. */
  timeouts?: Timeouts;
  /**
   * Who may connect, for `unix:` and `shm:` addresses: the others know nobody's
   * user, and refuse the option instead of letting everybody in. It needs
   * `--allow-ffi`.
   */
  allow?: AllowPeer;
  /** Told of each peer that `allow` turned away. What it throws is dropped. */
  onDenied?: (error: PeerDeniedError) => void;
  /** For `unix:` addresses only. */
  unix?: Omit<ListenUnixOptions, "path">;
  /** For `shm:` addresses only. */
  shm?: Omit<ListenShmOptions, "path">;
  /** For `fifo:` addresses only. */
  fifo?: Omit<ListenFifoOptions, "path">;
  /** For `tcp:` addresses only. */
  tcp?: Omit<ListenTcpOptions, "hostname" | "port">;
  /** For `tls:` addresses: certificate and key have to be here. */
  tls?: Omit<ListenTlsOptions, "hostname" | "port">;
  /** For `nats:` addresses only. */
  nats?: Omit<ListenNatsOptions, "server" | "subject">;
}

/** What one scheme of an address means. */
interface Transport {
  connect(rest: string, options: ConnectOptions): Promise<Connection>;
  listen?(rest: string, options: ListenOptions): Promise<Listener>;
}

/** The address table: a new transport is a line here. */
const TRANSPORTS = new Map<string, Transport>([
  ["unix", {
    connect: (path, { unix, ...common }) =>
      connectUnix({ ...common, ...unix, path }),
    listen: (path, { unix, ...common }) =>
      listenUnix({ ...common, ...unix, path }),
  }],
  ["shm", {
    connect: (path, { shm, ...common }) =>
      connectShm({ ...common, ...shm, path }),
    listen: (path, { shm, ...common }) =>
      listenShm({ ...common, ...shm, path }),
  }],
  ["fifo", {
    connect: (path, { fifo, ...common }) =>
      connectFifo({ ...common, ...fifo, path }),
    listen: (path, { fifo, ...common }) =>
      listenFifo({ ...common, ...fifo, path }),
  }],
  ["tcp", {
    connect: (rest, { tcp, ...common }) =>
      connectTcp({ ...common, ...tcp, ...parseHost("tcp", rest) }),
    listen: (rest, { tcp, ...common }) =>
      listenTcp({ ...common, ...tcp, ...parseHost("tcp", rest) }),
  }],
  ["tls", {
    connect: (rest, { tls, ...common }) =>
      connectTls({ ...common, ...tls, ...parseHost("tls", rest) }),
    listen: (rest, { tls, ...common }) => {
      if (tls === undefined) {
        throw new TypeError(
          `Cannot listen on tls:${rest}: the options of listen lack ` +
            `tls: { cert, key }`,
        );
      }
      return listenTls({ ...common, ...tls, ...parseHost("tls", rest) });
    },
  }],
  ["nats", {
    connect: (rest, { nats, tls: _, ...common }) =>
      connectNats({ ...common, ...nats, ...parseSubject(rest) }),
    listen: (rest, { nats, tls: _, ...common }) =>
      listenNats({ ...common, ...nats, ...parseSubject(rest) }),
  }],
  ["exec", {
    connect: (command, { exec, ...common }) =>
      connectExec({ ...common, ...exec, command }),
  }],
  ["stdio", {
    connect: (rest, { stdio, ...common }) => {
      if (rest !== "") {
        throw new TypeError(
          `Cannot use address ${describe(`stdio:${rest}`)}: nothing may ` +
            `follow stdio:`,
        );
      }
      return Promise.resolve(openStdio({ ...common, ...stdio }));
    },
  }],
]);

/** The schemes where the kernel tells who connects. */
const CREDENTIAL_SCHEMES = new Set(["unix", "shm"]);

/** The schemes whose address may have a host after `//`. */
const HOST_SCHEMES = new Set(["tcp", "tls", "nats"]);

/**
 * The schemes that {@linkcode connect} knows, such as `"unix"`.
 *
 * @param options `listen: true` leaves only those that {@linkcode listen} takes.
 * @returns The schemes, without the colon.
 *
 * @example What there is
 * ```ts
 * import { schemes } from "@sluice/ipc";
 * import { assert } from "@std/assert";
 *
 * assert(schemes({ listen: true }).includes("unix"));
 * ```
 */
export function schemes(options: { listen?: boolean } = {}): string[] {
  return [...TRANSPORTS].filter(([, transport]) =>
    !options.listen || transport.listen !== undefined
  ).map(([scheme]) => scheme);
}

/**
 * Connects to an address of any transport.
 *
 * Requires the permissions of the transport.
 *
 * @param address Such as `"unix:/run/a.sock"` or `"tcp:localhost:9000"`.
 * @param options What bounds the wait, and options by transport.
 * @returns The open connection.
 * @throws {TypeError} If the address has no known scheme, or is malformed.
 * @throws {DOMException} `TimeoutError`, if it takes longer than `timeout`.
 * @throws What the transport's own function throws.
 *
 * @example A server that may not be up yet
 * ```ts
 * import { connect, listen } from "@sluice/ipc";
 *
 * const address = `unix:${await Deno.makeTempDir()}/a.sock`;
 * const connecting = connect(address, { retry: true, timeout: 5_000 });
 * await using listener = await listen(address);
 * await using accepted = await listener.accept();
 * await using connection = await connecting;
 * ```
 */
export async function connect(
  address: string | URL,
  options: ConnectOptions = {},
): Promise<Connection> {
  const { transport, rest } = resolve("connect to", address);
  const { timeouts = {}, ...others } = options;
  return await transport.connect(rest, {
    ...others,
    timeout: timeouts.connect ?? others.timeout,
    idleTimeout: timeouts.idle ?? others.idleTimeout,
    closeTimeout: timeouts.close ?? others.closeTimeout,
  });
}

/**
 * Listens on an address of any transport that accepts connections.
 *
 * Requires the permissions of the transport.
 *
 * @param address Such as `"unix:/run/a.sock"` or `"tcp:127.0.0.1:0"`.
 * @param options Options by transport.
 * @returns The listener.
 * @throws {TypeError} If the address has no known scheme, is malformed, its
 * transport can't be listened on, or does not know whom to `allow`.
 * @throws What the transport's own function throws.
 *
 * @example A free port
 * ```ts
 * import { listen } from "@sluice/ipc";
 * import { assertMatch } from "@std/assert";
 *
 * await using listener = await listen("tcp:127.0.0.1:0");
 * assertMatch(listener.address, /^tcp:127\.0\.0\.1:\d+$/);
 * ```
 */
export async function listen(
  address: string | URL,
  options: ListenOptions = {},
): Promise<Listener> {
  const { scheme, transport, rest } = resolve("listen on", address);
  if (transport.listen === undefined) {
    throw new TypeError(
      `Cannot listen on ${describe(String(address))}: ${scheme}: addresses ` +
        `can only be connected to`,
    );
  }
  const { timeouts = {}, ...others } = options;
  if (others.allow !== undefined && !CREDENTIAL_SCHEMES.has(scheme)) {
    throw new TypeError(
      `Cannot listen on ${
        describe(String(address))
      }: allow needs to know the ` +
        `peer's user, which only unix: and shm: tell`,
    );
  }
  return await transport.listen(rest, {
    ...others,
    idleTimeout: timeouts.idle ?? others.idleTimeout,
    closeTimeout: timeouts.close ?? others.closeTimeout,
  });
}

function resolve(
  verb: string,
  address: string | URL,
): { scheme: string; transport: Transport; rest: string } {
  const what = `Cannot ${verb} ${describe(String(address))}`;
  const text = address instanceof URL ? unescapeUrl(what, address) : address;
  if (typeof text !== "string") {
    throw new TypeError(`${what}: expected a string or a URL`);
  }
  const colon = text.indexOf(":");
  const scheme = text.slice(0, Math.max(0, colon));
  const transport = TRANSPORTS.get(scheme);
  if (transport === undefined) {
    const known = schemes().map((name) => `${name}:`).join(", ");
    const meant = guess(text);
    throw new TypeError(
      `${what}: expected one of ${known}` +
        (meant === undefined ? "" : `, such as ${describe(meant)}`),
    );
  }
  // unix:///path and tcp://host:port are other spellings of the same.
  const rest = text.slice(colon + 1).replace(/^\/\/(?=\/|[^/]*:\d+\/?$)/, "");
  if (rest === "" && scheme !== "stdio") {
    throw new TypeError(`${what}: nothing follows ${scheme}:`);
  }
  if (/^\/\/[^/]/.test(rest) && !HOST_SCHEMES.has(scheme)) {
    throw new TypeError(
      `${what}: a host stands after //, write ${scheme}:/path or ` +
        `${scheme}:///path`,
    );
  }
  return { scheme, transport, rest };
}

/** What somebody meant who wrote a path, a host and port, or another scheme. */
function guess(text: string): string | undefined {
  const [, scheme, rest] = /^(\w+):(.+)$/.exec(text.trim()) ?? [];
  if (TRANSPORTS.has(scheme?.toLowerCase())) {
    return `${scheme.toLowerCase()}:${rest}`;
  }
  if (/^\.{0,2}\//.test(text)) return `unix:${text}`;
  if (/^(\[[^\]]+\]|[^\s:/]+):\d{1,5}$/.test(text)) return `tcp:${text}`;
  const url = /^(https?|wss?|file):\/\/([^/:]*)(:\d+)?(\/.*)?$/.exec(text);
  if (url === null) return undefined;
  if (url[1] === "file") return `unix:${url[4] ?? ""}`;
  return url[3] && `tcp:${url[2]}${url[3]}`;
}

/** A URL escapes what a path may hold. */
function unescapeUrl(what: string, url: URL): string {
  if (url.search !== "" || url.hash !== "") {
    throw new TypeError(`${what}: escape # and ? in a URL as %23 and %3F`);
  }
  try {
    return decodeURIComponent(url.href);
  } catch (cause) {
    throw new TypeError(`${what}: it is not valid UTF-8 when unescaped`, {
      cause,
    });
  }
}

function parseHost(
  scheme: string,
  rest: string,
): { hostname: string; port: number } {
  const match = /^(\[[^\]]+\]|[^:]+):(\d{1,5})\/?$/.exec(rest);
  if (match === null) {
    throw new TypeError(
      `Cannot use address ${describe(`${scheme}:${rest}`)}: expected ` +
        `${scheme}:host:port, an IPv6 host in brackets`,
    );
  }
  return { hostname: match[1], port: Number(match[2]) };
}

function parseSubject(rest: string): { server: string; subject: string } {
  const match = /^(?:\/\/)?((?:\[[^\]@]+\]|[^:/@]+)(?::\d{1,5})?)\/([^/]+)$/
    .exec(rest);
  if (match === null) {
    throw new TypeError(
      `Cannot use address ${describe(`nats:${rest}`)}: expected ` +
        `nats:host:port/subject; a login goes into options.nats`,
    );
  }
  return { server: match[1], subject: match[2] };
}
