/**
 * Unix sockets: {@linkcode listenUnix}, {@linkcode connectUnix}, the peer's
 * credentials ({@linkcode peerCredentials}) and who may connect at all.
 *
 * A socket's file has the right mode from the first moment its name exists, a
 * stale file is replaced, a live one is not, and closing a listener never
 * removes a newer one's file.
 *
 * ```ts
 * import { connectUnix, listenUnix } from "@sluice/ipc/socket";
 * import { assertEquals } from "@std/assert";
 *
 * const path = `${await Deno.makeTempDir()}/greeter.sock`;
 * await using listener = await listenUnix({ path });
 *
 * const [client, server] = await Promise.all([
 *   connectUnix({ path }),
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

export type { AdoptListenerOptions } from "./_adopted.ts";
export * from "./connect.ts";
export * from "./hand_over.ts";
export * from "./inherited.ts";
export * from "./listen.ts";
export * from "./peer.ts";
export * from "./receive_descriptor.ts";
export * from "./received_descriptor.ts";
export * from "./send_descriptor.ts";
export * from "./sendable.ts";

export * from "../_transport/create_pool.ts";
export type { ByteStreamOptions } from "../_transport/options.ts";
export * from "../_transport/pool.ts";
export type { RetryOptions } from "../_transport/retry.ts";
export * from "../_transport/send_file.ts";
export * from "../_transport/serve_connections.ts";
export * from "../_transport/splice.ts";
export * from "../duplex.ts";
