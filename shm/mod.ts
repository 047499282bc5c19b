/**
 * Shared memory between processes, the fastest way there is:
 *
 * - {@linkcode SharedMemory}: named and anonymous segments.
 * - {@linkcode listenShm} and {@linkcode connectShm}: connections, one word apart
 *   from Unix sockets.
 * - {@linkcode Ring} (one producer, one consumer), {@linkcode SharedQueue} (many
 *   producers) and {@linkcode Broadcast} (many receivers) carry records.
 * - {@linkcode struct} gives memory the layout of C; {@linkcode SeqLock} reads
 *   and writes one as a whole.
 * - {@linkcode SharedMutex}, {@linkcode SharedSemaphore} and
 *   {@linkcode SharedEvent} know when their owner died.
 *
 * All of it needs `--allow-ffi`. `docs/shm.md` says what is safe against a
 * hostile peer and what needs trust, `docs/shm-layout.md` where each byte is.
 *
 * @example A typed struct in a named segment
 * ```ts
 * import { SharedMemory, struct } from "@sluice/ipc/shm";
 * import { assertEquals } from "@std/assert";
 *
 * const Stats = struct({ requests: "atomic_u64", name: "char[16]" });
 * using memory = SharedMemory.create(`stats-${crypto.randomUUID()}`, {
 *   size: Stats.size,
 * });
 * const stats = Stats.view(memory);
 * stats.requests.add(1n);
 * assertEquals(stats.requests.load(), 1n);
 * ```
 *
 * @module
 */

export * from "./atomic.ts";
export * from "./broadcast.ts";
export * from "./connect.ts";
export * from "./event.ts";
export * from "./listen.ts";
export * from "./lock_guard.ts";
export * from "./mutex.ts";
export * from "./queue.ts";
export * from "./queue_consumer.ts";
export * from "./queue_producer.ts";
export * from "./ring.ts";
export * from "./ring_reader.ts";
export * from "./ring_writer.ts";
export * from "./semaphore.ts";
export * from "./seqlock.ts";
export * from "./shared_memory.ts";
export * from "./struct.ts";

export type { ByteStreamOptions } from "../_transport/options.ts";
export type { RetryOptions } from "../_transport/retry.ts";
export * from "../duplex.ts";
export type { ConnectUnixOptions } from "../socket/connect.ts";
export type { ListenUnixOptions } from "../socket/listen.ts";
export * from "../socket/peer.ts";
