import type { Connection, Listener } from "../duplex.ts";

/**
 * What `sendDescriptor` takes: a number, an open file, a connection or
 * listener of this package, or what has a number, such as `SharedMemory`.
 */
export type Sendable =
  | number
  | Deno.FsFile
  | Connection
  | Listener
  | { readonly fd: number };
