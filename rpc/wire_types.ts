import type { RpcErrorCode } from "./errors.ts";

/** An error as a plain object, the way it travels. */
export interface WireErrorObject {
  /** Why the call failed. */
  code: RpcErrorCode;
  /** The text of the thrown error. */
  message: string;
  /** The name of the thrown error. */
  name?: string;
  /** The thrown error's own `code`. */
  origin?: string | number;
  /** What the thrower attached. */
  data?: unknown;
  /** The cause: another such object, or `{ value }` for what is no error. */
  cause?: unknown;
  /** The stack, where it is exposed. */
  stack?: string;
}
