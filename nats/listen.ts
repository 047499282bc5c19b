import type { Connection, Listener } from "../duplex.ts";
import { checkInteger } from "../_async/check.ts";
import { AcceptListener } from "../_transport/listener.ts";
import { ByteConnection } from "../_transport/connection.ts";
import {
  connectToServer,
  createInbox,
  endConnection,
  flush,
  flushBriefly,
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
  checkSubject,
  type NatsOptions,
} from "./options.ts";

/** Options of {@linkcode listenNats}. */
export interface ListenNatsOptions extends NatsOptions {
  /**
   * The queue group. Programs that listen on one subject in one group share
   * its connections: each goes to one of them.
   *
   * @default {"sluice"}
   */
  queue?: string;
  /**
   * How many clients may wait to be accepted; further ones are turned away.
   * Each may send up to `window` bytes meanwhile.
   *
   * @default {64}
   */
  backlog?: number;
}

/**
 * Listens on a subject of a NATS server. Any number of programs, on any machine
 * that reaches the server, may listen on the same subject: each connection goes
 * to one of them.
 *
 * Who may connect is decided by the NATS server's own permissions. After a lost
 * connection to the server the listener comes back by itself; the connections
 * that it had accepted are lost.
 *
 * Requires `--allow-net` for the server. Loads the official NATS client,
 * `@nats-io/nats-core`, on first use.
 *
 * @param options The subject, the server, the queue group.
 * @returns The listener; closing it leaves accepted connections open.
 * @throws {Deno.errors.ConnectionRefused} If the server is not there.
 * @throws {Deno.errors.PermissionDenied} If the server refuses this program.
 * @throws {TypeError} If the subject or the queue group is malformed.
 * @throws {RangeError} If an option is out of range.
 *
 * @example One of many workers
 * ```ts no-assert ignore
 * import { listenNats } from "@sluice/ipc/nats";
 *
 * await using listener = await listenNats({ subject: "math" });
 * for await (const connection of listener) await connection.close();
 * ```
 */
export async function listenNats(
  options: ListenNatsOptions,
): Promise<Listener> {
  const { queue = "sluice", backlog = 64 } = options;
  const checked = { ...options, ...checkNatsOptions(options) };
  checkSubject("queue", queue);
  checkInteger("backlog", backlog, 1, 65_535);
  const nats = await connectToServer(checked, {
    reconnect: true,
    timeout: 10_000,
  });
  const address = `nats:${nats.getServer()}/${checked.subject}`;
  const acceptor = new NatsAcceptor(nats, checked, {
    address,
    queue,
    backlog,
  });
  await nats.flush(); // the server knows of the subscription
  return new AcceptListener(address, acceptor);
}

interface AcceptorOptions {
  address: string;
  queue: string;
  backlog: number;
}

/** Takes hellos from the subject, and gives each accepted one an inbox. */
class NatsAcceptor {
  #nats: NatsConnection;
  #options: CheckedNatsOptions;
  #own: AcceptorOptions;
  /** Answered, and not accepted yet. */
  #waiting: Connection[] = [];
  #arrived: (() => void) | undefined;
  #links = new Set<NatsLink>();
  #subscription: { unsubscribe(): void };
  #stopped = false;

  constructor(
    nats: NatsConnection,
    options: CheckedNatsOptions,
    own: AcceptorOptions,
  ) {
    this.#nats = nats;
    this.#options = options;
    this.#own = own;
    this.#subscription = nats.subscribe(options.subject, {
      queue: own.queue,
      callback: (error, message) => {
        if (error === null) this.#hear(message.data, message.reply);
      },
    });
    this.#watch();
  }

  /** A hello; what is none is dropped: anyone may publish to a subject. */
  #hear(data: Uint8Array, inbox: string | undefined): void {
    const hello = decodeMessage(data);
    if (hello?.kind !== KIND.hello || !inbox) return;
    const window = decodeGreeting(hello.payload);
    if (window === undefined || window === 0) return;
    if (this.#waiting.length >= this.#own.backlog) {
      this.#nats.publish(inbox, encodeMessage(KIND.abort, 0));
      return;
    }
    this.#waiting.push(this.#welcome(inbox, window));
    this.#arrived?.();
  }

  async accept(): Promise<Connection> {
    while (this.#waiting.length === 0) {
      if (this.#stopped) throw new Deno.errors.BadResource("Not listening");
      await new Promise<void>((resolve) => this.#arrived = resolve);
    }
    return this.#waiting.shift()!;
  }

  #welcome(peer: string, window: number): Connection {
    const nats = this.#nats;
    const inbox = createInbox();
    const link = new NatsLink({
      publish: (bytes, probe) =>
        nats.publish(peer, bytes, probe ? { reply: inbox } : undefined),
      flush: () => flush(nats),
      release: () => {
        subscription.unsubscribe();
        this.#links.delete(link);
        return this.#settle();
      },
      window: Math.min(this.#options.window, window),
      maxPayload: nats.info?.max_payload ?? 1 << 20,
      heartbeatInterval: this.#options.heartbeatInterval,
    });
    this.#links.add(link);
    const subscription = nats.subscribe(inbox, {
      callback: (error, message) => {
        if (error !== null) link.fail(error.message);
        else if (message.headers?.code === 503) link.fail("the peer is gone");
        else link.take(message.data);
      },
    });
    nats.publish(
      peer,
      encodeMessage(KIND.welcome, 0, encodeGreeting(this.#options.window)),
      { reply: inbox },
    );
    const server = nats.getServer();
    return new ByteConnection(link, {
      ...this.#options,
      local: this.#own.address,
      remote: `nats:${server}/${peer}`,
    });
  }

  /** Messages are lost with the connection to the server. */
  async #watch(): Promise<void> {
    for await (const status of this.#nats.status()) {
      if (status.type === "disconnect") {
        this.#failAll("the connection to the NATS server was lost");
      }
    }
    this.#failAll("the connection to the NATS server was closed");
  }

  #failAll(why: string): void {
    for (const link of this.#links) link.fail(why);
  }

  async close(): Promise<void> {
    this.#stopped = true;
    this.#arrived?.();
    if (!this.#nats.isClosed()) this.#subscription.unsubscribe();
    for (const connection of this.#waiting.splice(0)) connection.abort();
    await this.#settle();
    await flushBriefly(this.#nats); // the server may be away
  }

  /** The last accepted connection of a closed listener takes all with it. */
  async #settle(): Promise<void> {
    if (this.#stopped && this.#links.size === 0) {
      await endConnection(this.#nats);
    }
  }
}
