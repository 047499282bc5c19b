/**
 * Shared memory between processes: segments and single-producer rings.
 *
 * @module
 */

export * from "./shared_memory.ts";
export * from "./connect.ts";
export * from "./listen.ts";
export type { WaitOptions } from "../duplex.ts";
export * from "./ring.ts";
export * from "./ring_reader.ts";
export * from "./ring_writer.ts";
