import type { Connection, WaitOptions } from "../duplex.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { deadline } from "../_async/wait.ts";
import { ByteConnection } from "../_transport/connection.ts";
import { retrying, type RetryOptions } from "../_transport/retry.ts";
import {
  connectToServer,
  createInbox,
  endConnection,
  flush,
  type NatsConnection,
} from "./_client.ts";
import { NatsLink } from "./_link.ts";
import {
  decodeGreeting,
  decodeMessage,
  encodeGreeting,
  encodeMessage,
  KIND,
} from "./_wire.ts";
import {
  type CheckedNatsOptions,
  checkNatsOptions,
  type NatsOptions,
} from "./options.ts";

/** Options of {@linkcode connectNats}. */
export interface ConnectNatsOptions extends NatsOptions, WaitOptions {
  /**
   * The longest time for all tries together, in milliseconds.
   *
   * @default {10000}
   */
  timeout?: number;
  /**
   * Whether to try again while no server or listener is there yet: `true` for
   * the defaults of {@linkcode RetryOptions}.
   *
   * @default {false}
   */
  retry?: RetryOptions | boolean;
}

/**
 * Connects to one of the programs that {@linkcode listenNats} on a subject,
 * through a NATS server. The connection is a byte stream to that one program,
 * as if there were nothing in between, and breaks when either goes away.
 *
 * Requires `--allow-net` for the server. Loads the official NATS client,
 * `@nats-io/nats-core`, on first use.
 *
 * @param options The subject, the server, and what bounds the wait.
 * @returns The open connection.
 * @throws {Deno.errors.ConnectionRefused} If the server is not there, or nobody
 * listens on the subject.
 * @throws {Deno.errors.PermissionDenied} If the server refuses this program.
 * @throws {DOMException} `TimeoutError`, if it takes longer than `timeout`.
 * @throws {TypeError} If the subject is malformed.
 * @throws {RangeError} If an option is out of range.
 *
 * @example A service on another machine
 * ```ts no-assert ignore
 * import { connectNats } from "@sluice/ipc/nats";
 *
 * await using connection = await connectNats({
 *   server: "nats.example.com:4222",
 *   subject: "math",
 * });
 * ```
 */
export async function connectNats(
  options: ConnectNatsOptions,
): Promise<Connection> {
  const { retry, signal, timeout = 10_000 } = options;
  const checked = { ...options, ...checkNatsOptions(options) };
  const what = `Cannot connect to nats:${
    checked.servers[0]
  }/${checked.subject}`;
  using end = deadline(what, { signal, timeout });
  return await retrying(
    () => attempt(checked, end.signal),
    (error) => error instanceof Deno.errors.ConnectionRefused,
    retry,
    end.signal,
  );
}

/** How many heartbeats a listener may take to answer before another is asked. */
const PATIENCE = 3;

async function attempt(
  options: ConnectNatsOptions & CheckedNatsOptions,
  signal: AbortSignal,
): Promise<Connection> {
  const nats = await connectToServer(options, { reconnect: false, signal });
  try {
    for (;;) {
      using patience = deadline("No answer", {
        signal,
        timeout: PATIENCE * options.heartbeatInterval,
      });
      try {
        return await greet(nats, options, patience.signal);
      } catch (error) {
        if (signal.aborted || error !== patience.signal.reason) throw error;
        // The question went to a listener that died with it: ask another.
      }
    }
  } catch (error) {
    await nats.close();
    throw error;
  }
}

/** Asks for a listener's connection, and builds this side of it. */
async function greet(
  nats: NatsConnection,
  options: ConnectNatsOptions & CheckedNatsOptions,
  signal: AbortSignal,
): Promise<Connection> {
  const { subject, window } = options;
  const remote = `nats:${nats.getServer()}/${subject}`;
  const inbox = createInbox();
  const welcome = Promise.withResolvers<void>();
  let link: NatsLink | undefined;
  const subscription = nats.subscribe(inbox, {
    callback: (error, message) => {
      if (error !== null) return link?.fail(error.message);
      if (message.headers?.code === 503) {
        // Nobody subscribes: to the subject, or no longer to the peer's inbox.
        link?.fail("the peer is gone");
        return welcome.reject(
          new Deno.errors.ConnectionRefused(
            `Cannot connect to ${remote}: nobody listens on the subject`,
          ),
        );
      }
      if (link !== undefined) return link.take(message.data);
      const first = decodeMessage(message.data);
      if (first?.kind === KIND.abort) {
        return welcome.reject(
          new Deno.errors.ConnectionRefused(
            `Cannot connect to ${remote}: the listener is busy, or closes`,
          ),
        );
      }
      const peerWindow = first?.kind === KIND.welcome && message.reply
        ? decodeGreeting(first.payload)
        : undefined;
      if (peerWindow === undefined) {
        return welcome.reject(
          new Deno.errors.InvalidData(
            `Cannot connect to ${remote}: what answered is no listener of ` +
              `this version`,
          ),
        );
      }
      const reply = message.reply!;
      link = new NatsLink({
        publish: (bytes, probe) =>
          nats.publish(reply, bytes, probe ? { reply: inbox } : undefined),
        flush: () => flush(nats),
        release: () => endConnection(nats),
        window: Math.min(window, peerWindow),
        maxPayload: nats.info?.max_payload ?? 1 << 20,
        heartbeatInterval: options.heartbeatInterval,
      });
      welcome.resolve();
    },
  });
  nats.closed().then(() => {
    link?.fail("the connection to the NATS server was lost");
    welcome.reject(
      new ConnectionClosedError(
        `Cannot connect to ${remote}: the NATS server went away`,
        { code: "lost" },
      ),
    );
  });
  const onAbort = () => welcome.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  nats.publish(subject, encodeMessage(KIND.hello, 0, encodeGreeting(window)), {
    reply: inbox,
  });
  try {
    await welcome.promise;
  } catch (error) {
    if (!nats.isClosed()) subscription.unsubscribe();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  return new ByteConnection(link!, {
    ...options,
    local: `nats:${nats.getServer()}/${inbox}`,
    remote,
  });
}
