/**
 * Inter-process communication for Deno: one program, every mechanism. Change
 * one word of an address and the same code runs on another.
 *
 * {@linkcode connect} and {@linkcode listen} take an address of any transport:
 *
 * | address | mechanism |
 * | --- | --- |
 * | `unix:/run/a.sock`, `unix:@name` | a Unix socket, by path or abstract name |
 * | `shm:/run/a.sock` | shared memory; the socket is its rendezvous |
 * | `fifo:/run/a` | a pair of FIFOs for each connection |
 * | `tcp:localhost:9000` | TCP |
 * | `tls:example.com:9443` | TLS over TCP |
 * | `nats:host:4222/subject` | a NATS server, for many machines |
 * | `exec:python3 worker.py` | a program's stdin and stdout |
 * | `stdio:` | this program's own stdin and stdout |
 *
 * @example Two ends, one word apart
 * ```ts
 * import { connect, listen } from "@sluice/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const directory = await Deno.makeTempDir();
 * for (const address of [`unix:${directory}/a.sock`, "tcp:127.0.0.1:0"]) {
 *   await using listener = await listen(address);
 *   await using client = await connect(listener.address);
 *   await using server = await listener.accept();
 *
 *   const writer = client.writable.getWriter();
 *   await writer.write(new TextEncoder().encode("hello"));
 *   await writer.close();
 *   assertEquals(await new Response(server.readable as BodyInit).text(), "hello");
 * }
 * ```
 *
 * @module
 */

export * from "./address.ts";
export * from "./choose.ts";
export * from "./duplex.ts";
export * from "./measure.ts";
export * from "./shm/mod.ts";
export * from "./delivery/mod.ts";
export * from "./framing/mod.ts";
export * from "./nats/mod.ts";
export * from "./observe/mod.ts";
export * from "./pipe/mod.ts";
export * from "./socket/mod.ts";
export * from "./tcp/mod.ts";
export * from "./rpc/mod.ts";
// These win over those of rpc: they take an address as well.
export { client, reconnectingClient, serve } from "./remote.ts";
export type {
  AddressServer,
  ClientAddressOptions,
  ReconnectingClientAddressOptions,
  ServeAddressOptions,
} from "./remote.ts";
