/**
 * Processes and named pipes: pipelines that the kernel connects ({@linkcode pipeline}), one
 * program ({@linkcode spawn}), and a program as a connection
 * ({@linkcode connectExec}, and {@linkcode openStdio} for its other end); FIFOs
 * ({@linkcode mkfifo}, {@linkcode openFifo}), and connections over pairs of them
 * ({@linkcode listenFifo}, {@linkcode connectFifo}).
 *
 * Nothing hangs whatever the sizes and the order of reading, each stage's status
 * is known, and no process, zombie or descriptor is left.
 *
 * ```ts
 * import { pipeline } from "@sluice/ipc/pipe";
 * import { assertEquals } from "@std/assert";
 *
 * const first = await pipeline(["yes"], ["head", "-1"]).text();
 * assertEquals(first, "y\n");
 *
 * for await (const line of pipeline(["seq", "3"], ["sort", "-r"]).lines()) {
 *   console.log(line);
 * }
 * ```
 *
 * @module
 */

export * from "./buffered_writer.ts";
export * from "./capacity.ts";
export * from "./connect_fifo.ts";
export * from "./errors.ts";
export * from "./exec.ts";
export * from "./fifo.ts";
export * from "./fifo_pair.ts";
export * from "./fifo_types.ts";
export * from "./listen_fifo.ts";
export * from "./open_fifo.ts";
export * from "./options.ts";
export * from "./pipeline.ts";
export * from "./stdio.ts";

export type { ByteStreamOptions } from "../_transport/options.ts";
export type { RetryOptions } from "../_transport/retry.ts";
export * from "../duplex.ts";
