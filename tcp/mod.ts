/**
 * TCP and TLS: {@linkcode listenTcp}, {@linkcode connectTcp},
 * {@linkcode listenTls} and {@linkcode connectTls}, with small messages sent at
 * once (`noDelay`), timeouts on every wait, and socket options by name.
 *
 * ```ts
 * import { connectTcp, listenTcp } from "@sluice/ipc/tcp";
 * import { assertEquals } from "@std/assert";
 *
 * await using listener = await listenTcp(); // a free port of 127.0.0.1
 * const [client, server] = await Promise.all([
 *   connectTcp(listener),
 *   listener.accept(),
 * ]);
 * const writer = client.writable.getWriter();
 * await writer.write(new TextEncoder().encode("hello"));
 * await writer.close();
 * assertEquals(await new Response(server.readable as BodyInit).text(), "hello");
 * await Promise.all([client.close(), server.close()]);
 * ```
 *
 * @module
 */

export * from "./connect.ts";
export * from "./listen.ts";
export * from "./options.ts";
export * from "./tls.ts";
export * from "./tls_details.ts";

export * from "../_transport/create_pool.ts";
export type { ByteStreamOptions } from "../_transport/options.ts";
export * from "../_transport/pool.ts";
export type { RetryOptions } from "../_transport/retry.ts";
export * from "../_transport/send_file.ts";
export * from "../_transport/serve_connections.ts";
export * from "../_transport/splice.ts";
export * from "../duplex.ts";
