/**
 * Processes, pipelines and FIFOs.
 *
 * @module
 */

export * from "./fifo.ts";
export * from "./open_fifo.ts";
