// The official NATS client, loaded when it is first needed: it is the only
// dependency that most users of this package never run.

import type { NatsConnection } from "@nats-io/nats-core";
import { within } from "../_async/wait.ts";
import type { WaitOptions } from "../duplex.ts";
import { DenoTransport } from "./_deno_transport.ts";
import type { CheckedNatsOptions, NatsOptions } from "./options.ts";

export type { NatsConnection };

/** How long a listener waits between two tries to come back, in ms. */
const RECONNECT_DELAY = 250;

/** How long what was published may take at the end, in ms. */
const DRAIN_TIMEOUT = 5_000;

/** A subject that nobody else uses, or guesses: 122 random bits. */
export function createInbox(): string {
  return `_INBOX.${crypto.randomUUID().replaceAll("-", "")}`;
}

/** Connects to the server. A listener comes back after a loss, a client ends. */
export async function connectToServer(
  options: NatsOptions & CheckedNatsOptions,
  { reconnect, ...wait }: { reconnect: boolean } & WaitOptions,
): Promise<NatsConnection> {
  const { authentication, servers, tls } = options;
  const what = `Cannot connect to NATS at ${servers.join(", ")}`;
  const core = await import("@nats-io/nats-core/internal");
  core.setTransportFactory({ factory: () => new DenoTransport(core) });
  const login = authentication === undefined
    ? {}
    : "user" in authentication
    ? { user: authentication.user, pass: authentication.password }
    : "token" in authentication
    ? { token: authentication.token }
    : {
      authenticator: core.credsAuthenticator(
        new TextEncoder().encode(authentication.credentials),
      ),
    };
  const connecting = core.NatsConnectionImpl.connect({
    servers,
    reconnect,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_DELAY,
    // The wait below ends it: this is only for what it leaves behind.
    timeout: Math.min(wait.timeout ?? 20_000, 20_000),
    tls: tls === true ? {} : tls || undefined,
    ...login,
  });
  try {
    return await within(connecting, what, wait);
  } catch (error) {
    connecting.then((connection) => connection.close(), () => {});
    throw explain(error, what);
  }
}

/** The client's errors as those of the runtime, by what a user can do. */
function explain(error: unknown, what: string): unknown {
  if (!(error instanceof Error) || error instanceof DOMException) return error;
  const message = `${what}: ${error.message || error.name}`;
  const name = `${error.name} ${(error.cause as Error)?.name ?? ""}`;
  if (/Authorization|Authentication|Permission/i.test(name)) {
    return new Deno.errors.PermissionDenied(message, { cause: error });
  }
  if (error instanceof Deno.errors.NotCapable) return error;
  if (/Timeout/.test(name)) {
    return new Deno.errors.TimedOut(message, { cause: error });
  }
  return new Deno.errors.ConnectionRefused(
    error instanceof Deno.errors.ConnectionRefused
      ? `${what}: nothing listens there, is the NATS server running?`
      : message,
    { cause: error },
  );
}

const losses = new WeakMap<NatsConnection, AbortSignal>();

/** Aborts with the end of the client: one for all who wait, however many do. */
function lossOf(nats: NatsConnection): AbortSignal {
  let signal = losses.get(nats);
  if (signal === undefined) {
    const controller = new AbortController();
    losses.set(nats, signal = controller.signal);
    nats.closed().then(() =>
      controller.abort(
        new Deno.errors.ConnectionReset(
          "Cannot reach the peer over NATS: the connection to the NATS server was lost",
        ),
      )
    );
  }
  return signal;
}

/** Sends what was published; rejects where the server goes away meanwhile. */
export async function flush(nats: NatsConnection): Promise<void> {
  // The client forgets who waits for this when it loses the server.
  const signal = lossOf(nats);
  await within(nats.flush(), "Cannot reach the peer over NATS", { signal });
}

/** The same, as far as that goes in a few seconds. */
export async function flushBriefly(nats: NatsConnection): Promise<void> {
  const what = "Cannot reach NATS";
  await within(flush(nats), what, { timeout: DRAIN_TIMEOUT }).catch(() => {});
}

/** Sends what was published, then closes; at once where the server is away. */
export async function endConnection(nats: NatsConnection): Promise<void> {
  if (nats.isClosed()) return;
  try {
    // Here too the client forgets who waits.
    await within(
      Promise.race([nats.drain(), nats.closed()]),
      "Cannot close the connection to NATS",
      { timeout: DRAIN_TIMEOUT },
    );
  } catch {
    await nats.close();
  }
}
