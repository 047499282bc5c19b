// TLS whose client has to show a certificate. The runtime's own listener can't
// ask for one; the engine of node:tls can. It is loaded when it is asked for and
// gets its ciphertext from here, as on a socket of its own it reads without end.

import { Duplex } from "node:stream";
import { createSecureContext, createServer, type TLSSocket } from "node:tls";
import { yieldTurn } from "../_async/turn.ts";
import type { ByteIo } from "../_transport/connection.ts";

/** What a ciphertext read takes, in bytes. */
const READ_SIZE = 64 * 1024;

/** What it takes to serve. */
export interface MutualTlsParts {
  cert: string;
  key: string;
  clientCaCerts: readonly string[];
  alpnProtocols?: string[];
}

/** Throws for what is no certificate or key, before the first client comes. */
export function checkCertificates(
  { cert, key, clientCaCerts }: MutualTlsParts,
): void {
  for (const [name, text] of Object.entries({ cert, clientCaCerts })) {
    for (const pem of [text].flat()) {
      if (pem.includes("-----BEGIN CERTIFICATE-----")) continue;
      throw new Deno.errors.InvalidData(`${name} holds no PEM certificate`);
    }
  }
  try {
    createSecureContext({ cert, key, ca: [...clientCaCerts] });
  } catch (cause) {
    throw new Deno.errors.InvalidData((cause as Error).message, { cause });
  }
}

/** The server's end of one connection, with what `tcpConnection` asks of it. */
export class MutualTlsConn implements ByteIo {
  readonly localAddr: Deno.Addr;
  readonly remoteAddr: Deno.Addr;
  #conn: Deno.TcpConn;
  #tls: TLSSocket | undefined;
  #secure = Promise.withResolvers<TLSSocket>();
  /** Plaintext that nobody has read yet: at most what one read has brought. */
  #plain: Uint8Array[] = [];
  #ended = false;
  #error: unknown;
  /** Who waits for plaintext, for ciphertext to be wanted, for the engine. */
  #readers: (() => void)[] = [];
  #wanted: (() => void) | undefined;
  #failWrite: ((error: unknown) => void) | undefined;

  constructor(conn: Deno.TcpConn, parts: MutualTlsParts) {
    this.#conn = conn;
    this.localAddr = conn.localAddr;
    this.remoteAddr = conn.remoteAddr;
    this.#secure.promise.catch(() => {}); // also where nobody shakes hands
    // A server that listens nowhere: it also judges the client's certificate.
    const server = createServer({
      cert: parts.cert,
      key: parts.key,
      ca: [...parts.clientCaCerts],
      requestCert: true,
      rejectUnauthorized: true,
      ALPNProtocols: parts.alpnProtocols,
      ...{ allowHalfOpen: true },
    });
    server.on("tlsClientError", (cause: Error & { code?: string }) => {
      const { hostname, port } = conn.remoteAddr;
      const why = cause.code === "ECONNRESET" // also what the server refused
        ? "it hung up, or its certificate is not signed by clientCaCerts"
        : cause.message;
      this.#fail(
        new Deno.errors.InvalidData(
          `Cannot accept a TLS connection of ${hostname}:${port}: ${why}`,
          { cause },
        ),
      );
    });
    server.on("secureConnection", (tls: TLSSocket) => this.#start(tls));
    server.emit("connection", this.#createCiphertext());
  }

  #start(tls: TLSSocket): void {
    if (!tls.authorized) { // the server has refused it; never rely on one check
      tls.destroy();
      return this.#fail(new Error("The client's certificate is not valid"));
    }
    this.#tls = tls;
    tls.on("data", (chunk: Uint8Array) => {
      this.#plain.push(chunk);
      this.#wakeReaders();
    });
    tls.on("end", () => {
      this.#ended = true;
      this.#wakeReaders();
    });
    tls.on("error", (error) => this.#fail(error));
    tls.on("close", () => this.#fail(new Error("TLS engine closed")));
    this.#secure.resolve(tls);
  }

  /** The engine's lower side: reads and writes of the TCP connection. */
  #createCiphertext(): Duplex {
    const conn = this.#conn;
    const settle = (work: Promise<unknown>, done: (error?: Error) => void) => {
      work.then(() => done(), done);
    };
    const writeAll = async (chunk: Uint8Array) => {
      let at = 0;
      while (at < chunk.length) at += await conn.write(chunk.subarray(at));
    };
    const ciphertext: Duplex = new Duplex({
      allowHalfOpen: true,
      read: () => {
        this.#readCiphertext().then(
          (chunk) => ciphertext.push(chunk),
          (error) => ciphertext.destroy(error),
        );
      },
      write: (chunk, _encoding, done) => settle(writeAll(chunk), done),
      final: (done) => settle(conn.closeWrite(), done),
    });
    return ciphertext;
  }

  /** Waits until the plaintext of the last read has been taken. */
  async #readCiphertext(): Promise<Uint8Array | null> {
    while (this.#plain.length > 0) {
      await new Promise<void>((resolve) => this.#wanted = resolve);
    }
    const buffer = new Uint8Array(READ_SIZE);
    const count = await this.#conn.read(buffer);
    if (count !== null) return buffer.subarray(0, count);
    // The engine takes this for an end, which anyone on the way can forge.
    await yieldTurn(); // it may still be at the last bytes
    if (this.#tls !== undefined && !this.#ended) {
      throw new Deno.errors.UnexpectedEof(
        "the peer closed it without a TLS close_notify",
      );
    }
    return null;
  }

  /** Resolves when the client's certificate has been verified. */
  handshake(): Promise<TLSSocket> {
    return this.#secure.promise;
  }

  setNoDelay(value: boolean): void {
    this.#conn.setNoDelay(value);
  }

  setKeepAlive(value: boolean): void {
    this.#conn.setKeepAlive(value);
  }

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      const chunk = this.#plain[0];
      if (chunk !== undefined) {
        const count = Math.min(chunk.length, into.length);
        into.set(chunk.subarray(0, count));
        if (count < chunk.length) this.#plain[0] = chunk.subarray(count);
        else this.#plain.shift();
        if (this.#plain.length === 0) this.#wanted?.();
        return count;
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#readers.push(resolve));
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error);
      this.#failWrite = reject; // a destroyed engine forgets its callbacks
      this.#tls?.write(
        bytes,
        (error) => error ? reject(error) : resolve(bytes.length),
      );
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return resolve();
      this.#failWrite = reject;
      this.#tls?.end(resolve);
    });
  }

  close(): void {
    this.#fail(new Error("Connection closed"));
    this.#tls?.destroy();
    try {
      this.#conn.close();
    } catch { // closed by what failed
    }
  }

  #fail(error: unknown): void {
    this.#error ??= error;
    this.#secure.reject(error);
    this.#failWrite?.(error);
    this.#wanted?.();
    this.#wakeReaders();
  }

  #wakeReaders(): void {
    for (const wake of this.#readers.splice(0)) wake();
  }
}
