/**
 * Connections through a NATS server, for services that outgrow one machine:
 * {@linkcode listenNats} and {@linkcode connectNats}. Any number of programs may
 * listen on a subject; each connection goes to one of them (a queue group).
 *
 * The connection is a byte stream like any other: framing, channels and RPC run
 * over it unchanged. NATS itself promises neither delivery nor word of a peer's
 * death, so that the connection brings sequence numbers, a window of credit and
 * heartbeats: a lost message or peer breaks it, and nothing is lost in silence.
 *
 * ```ts ignore
 * import { connectNats, listenNats } from "@sluice/ipc/nats";
 *
 * await using listener = await listenNats({ subject: "greeter" });
 * await using client = await connectNats({ subject: "greeter" });
 * ```
 *
 * @module
 */

export * from "./connect.ts";
export * from "./listen.ts";
export type { NatsAuthentication, NatsOptions } from "./options.ts";

export type { ByteStreamOptions } from "../_transport/options.ts";
export type { RetryOptions } from "../_transport/retry.ts";
export * from "../duplex.ts";
