/**
 * Messages that arrive, over connections that come and go.
 *
 * @module
 */
export * from "./credit_channel.ts";
export * from "./delivery_error.ts";
export * from "./exchange.ts";
export * from "./reconnecting_channel.ts";
export * from "./reliable_channel.ts";
export * from "./reliable_listener.ts";
export * from "./reliable_types.ts";
export * from "./session_store.ts";
export type { Window } from "./window.ts";
