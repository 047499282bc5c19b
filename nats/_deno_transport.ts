// The socket under the official NATS client, on Deno.connect. The client's own
// one for Node leaves errors of sockets that it gave up without a listener,
// which ends the process.

import type {
  ConnectionOptions,
  Server,
  Transport,
} from "@nats-io/nats-core/internal";

/** What the client has to know of `@nats-io/nats-core/internal`. */
export interface NatsTools {
  /** The first line of the server, as far as it came; empty until it is whole. */
  extractProtocolMessage(bytes: Uint8Array): string;
}

const READ_SIZE = 64 * 1024;
/** The server's first line is a few hundred bytes long. */
const MAX_INFO_SIZE = 64 * 1024;

/** See the head of this file. One is made for each try to connect. */
export class DenoTransport implements Transport {
  readonly lang = "sluice";
  readonly version = "0.1.0";
  closeError?: Error;

  #tools: NatsTools;
  #conn: Deno.TcpConn | Deno.TlsConn | undefined;
  #first: Uint8Array<ArrayBufferLike> = new Uint8Array(0);
  #frames: Uint8Array[] = [];
  #writing = false;
  #encrypted = false;
  #done = false;
  #closed = Promise.withResolvers<void | Error>();

  constructor(tools: NatsTools) {
    this.#tools = tools;
  }

  get isClosed(): boolean {
    return this.#done;
  }

  isEncrypted(): boolean {
    return this.#encrypted;
  }

  async connect(server: Server, options: ConnectionOptions): Promise<void> {
    const { hostname, port } = server;
    const conn = await Deno.connect({ hostname, port });
    this.#conn = conn;
    if (this.#done) return this.discard();
    conn.setNoDelay(true);
    const info = await this.#readInfo(conn);
    if (info.tls_required || options.tls) {
      if (!info.tls_required && !info.tls_available) {
        throw new Error("the server offers no TLS");
      }
      const ca = (options.tls as { ca?: string } | undefined)?.ca;
      this.#conn = await Deno.startTls(conn, {
        hostname: server.tlsName || hostname,
        caCerts: ca === undefined ? [] : [ca],
      });
      this.#encrypted = true;
    }
    if (this.#done) this.discard();
  }

  /** Reads the server's first line, which the client wants to see as well. */
  async #readInfo(
    conn: Deno.Conn,
  ): Promise<{ tls_required?: boolean; tls_available?: boolean }> {
    const buffer = new Uint8Array(MAX_INFO_SIZE);
    let length = 0;
    for (;;) {
      const count = await conn.read(buffer.subarray(length));
      if (count === null) throw new Error("the server closed the connection");
      length += count;
      this.#first = buffer.slice(0, length);
      const line = this.#tools.extractProtocolMessage(this.#first);
      if (line === "" && length < MAX_INFO_SIZE) continue;
      const info = /^INFO\s+([^\r\n]+)\r\n/i.exec(line);
      if (info === null) throw new Error("what answers is no NATS server");
      return JSON.parse(info[1]);
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    if (this.#first.length > 0) yield this.#first;
    try {
      while (!this.#done) {
        const buffer = new Uint8Array(READ_SIZE);
        const count = await this.#conn!.read(buffer);
        if (count === null) break;
        yield buffer.subarray(0, count);
      }
      this.#end();
    } catch (error) {
      this.#end(error as Error);
    }
  }

  send(frame: Uint8Array): void {
    if (this.#done || this.#conn === undefined) return;
    this.#frames.push(frame);
    if (!this.#writing) this.#write(this.#conn);
  }

  async #write(conn: Deno.Conn): Promise<void> {
    this.#writing = true;
    try {
      while (this.#frames.length > 0) {
        let frame = this.#frames.shift()!;
        while (frame.length > 0) {
          frame = frame.subarray(await conn.write(frame));
        }
      }
    } catch { // reading ends as well, and tells
    }
    this.#writing = false;
    this.#flushed?.();
  }

  #flushed: (() => void) | undefined;

  async close(error?: Error): Promise<void> {
    if (error === undefined && this.#writing && !this.#done) {
      await new Promise<void>((resolve) => this.#flushed = resolve);
    }
    this.#end(error);
  }

  disconnect(): void {
    this.close();
  }

  closed(): Promise<void | Error> {
    return this.#closed.promise;
  }

  discard(): void {
    this.#done = true;
    this.#frames.length = 0;
    try {
      this.#conn?.close();
    } catch { // closed before
    }
  }

  #end(error?: Error): void {
    if (this.#done) return;
    this.closeError = error;
    this.discard();
    this.#closed.resolve(error);
  }
}
