// A listener whose connections are sessions of bytes.

import type { Connection, Listener } from "../duplex.ts";
import { bytes } from "../framing/mod.ts";
import type { ReliableListenerOptions } from "./listener_types.ts";
import type { Session } from "./_session.ts";
import { SessionConnection } from "./_session_connection.ts";
import { SessionTable } from "./_session_table.ts";

/** The {@linkcode Listener} over a table of sessions. */
export class ReliableByteListener implements Listener {
  readonly address: string;
  #table: SessionTable<Uint8Array, Uint8Array>;

  constructor(
    listener: Listener,
    options: ReliableListenerOptions<Uint8Array, Uint8Array>,
  ) {
    this.address = listener.address;
    this.#table = new SessionTable(listener.address, {
      ...options,
      codec: bytes,
    });
    this.#table.listen(listener);
  }

  #wrap(session: unknown): Connection {
    return new SessionConnection(
      session as Session<Uint8Array, Uint8Array>,
      `reliable:${this.address}`,
      "reliable:client",
    );
  }

  async accept(options?: { signal?: AbortSignal }): Promise<Connection> {
    return this.#wrap(await this.#table.accept(options));
  }

  close(): Promise<void> {
    return this.#table.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Connection> {
    for await (const session of this.#table) {
      yield this.#wrap(session);
    }
  }
}
