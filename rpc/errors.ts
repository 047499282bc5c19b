/**
 * Why a call failed:
 *
 * - `"method-not-found"`: the peer lists no such method.
 * - `"invalid-params"`: the arguments did not pass the method's schema.
 * - `"handler-error"`: the handler threw; {@linkcode RpcError.remote} has its
 *   name and code.
 * - `"internal"`: the answer could not be sent, such as a result that has no
 *   encoding.
 * - `"cancelled"`: the handler was cancelled before it was done.
 * - `"deadline-exceeded"`: the deadline of the call passed at the peer.
 * - `"overloaded"`: a limit of the receiver was reached.
 * - `"unavailable"`: the peer is draining and takes no new calls.
 * - `"malformed"`: the peer broke the protocol; the connection was ended.
 */
export type RpcErrorCode =
  | "method-not-found"
  | "invalid-params"
  | "handler-error"
  | "internal"
  | "cancelled"
  | "deadline-exceeded"
  | "overloaded"
  | "unavailable"
  | "malformed";

/** What the peer told about the error that was thrown there. */
export interface RemoteErrorInfo {
  /** The `name` of the thrown error, such as `"NotFound"`. */
  readonly name: string;
  /** The `code` of the thrown error, such as `"ENOENT"` or `-32001`. */
  readonly code?: string | number;
  /** Its stack, where the peer was told to expose stacks. */
  readonly stack?: string;
}

/** Options of the {@linkcode RpcError} constructor. */
export interface RpcErrorOptions extends ErrorOptions {
  /**
   * Why the call failed.
   *
   * @default {"handler-error"}
   */
  code?: RpcErrorCode;
  /** Anything the wire can carry, for the caller to read. */
  data?: unknown;
  /** Name and code of the original error. */
  remote?: RemoteErrorInfo;
}

/**
 * A call that failed at the peer. A handler may throw one itself, to choose
 * the `code` and to send `data`.
 *
 * @example What a handler threw reaches the caller
 * ```ts
 * import { RpcError } from "@sluice/ipc/rpc";
 *
 * const error = new RpcError("No such user", { data: { id: 7 } });
 * if (error.code !== "handler-error") throw error;
 * ```
 */
export class RpcError extends Error {
  /** The name of the class. */
  override readonly name = "RpcError";
  /** Why the call failed. */
  readonly code: RpcErrorCode;
  /** What the thrower attached. */
  readonly data: unknown;
  /** Name, code and stack of the error that the peer's handler threw. */
  readonly remote: RemoteErrorInfo | undefined;

  /**
   * Creates the error.
   *
   * @param message What failed.
   * @param options The {@linkcode RpcErrorCode}, data, cause and origin.
   */
  constructor(message: string, options: RpcErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = options.code ?? "handler-error";
    this.data = options.data;
    this.remote = options.remote;
  }
}

/** The codes, for checks at run time. */
export const RPC_ERROR_CODES: readonly RpcErrorCode[] = [
  "method-not-found",
  "invalid-params",
  "handler-error",
  "internal",
  "cancelled",
  "deadline-exceeded",
  "overloaded",
  "unavailable",
  "malformed",
];
