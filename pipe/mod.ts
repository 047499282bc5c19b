/**
 * Processes, pipelines and FIFOs.
 * Processes, pipelines and stdio.
 *
 * @module
 */

export * from "./buffered_writer.ts";
export * from "./capacity.ts";
export * from "./connect_fifo.ts";
export * from "./fifo.ts";
export * from "./fifo_pair.ts";
export * from "./listen_fifo.ts";
export * from "./open_fifo.ts";
export type { ByteStreamOptions } from "../_transport/options.ts";
export type { RetryOptions } from "../_transport/retry.ts";
export * from "./errors.ts";
export * from "./exec.ts";
export * from "./options.ts";
export * from "./pipeline.ts";
export * from "./stdio.ts";
export type { ByteStreamOptions } from "../_transport/options.ts";
