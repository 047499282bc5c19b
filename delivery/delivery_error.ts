/**
 * Why a message has no acknowledgement:
 *
 * - `"timeout"`: its `timeout` was over. If it was accepted before, it is still
 *   sent: a message that has its place in the order can't be taken back.
 * - `"aborted"`: its `signal` fired; otherwise as `"timeout"`.
 * - `"closed"`: the channel was closed on this side, or in order by the peer.
 * - `"lost"`: the connection is gone, and there is no other.
 * - `"session-lost"`: the peer no longer knows the session: it restarted, or
 *   waited longer than its `sessionTimeout`.
 */
export type DeliveryErrorCode =
  | "timeout"
  | "aborted"
  | "closed"
  | "lost"
  | "session-lost";

/**
 * Thrown for a message whose delivery was not confirmed. It tells whether the
 * peer may have it all the same.
 *
 * @example Sending again only where that is safe
 * ```ts
 * import { DeliveryError } from "@sluice/ipc/delivery";
 * import { assert } from "@std/assert";
 *
 * const error = new DeliveryError("Cannot deliver message 7: no room", {
 *   code: "timeout",
 *   maybeDelivered: false,
 * });
 * assert(!error.maybeDelivered); // never left: it may be sent again
 * ```
 */
export class DeliveryError extends Error {
  /** The name of the class. */
  override readonly name = "DeliveryError";
  /** Why there is no acknowledgement. */
  readonly code: DeliveryErrorCode;
  /**
   * Whether the peer may have received the message. `false` means that it never
   * left this process.
   */
  readonly maybeDelivered: boolean;

  /**
   * Creates the error.
   *
   * @param message What failed first, then why.
   * @param options The {@linkcode DeliveryErrorCode}, whether the message may
   * have been delivered, and the cause.
   */
  constructor(
    message: string,
    options: ErrorOptions & {
      code: DeliveryErrorCode;
      maybeDelivered: boolean;
    },
  ) {
    super(message, options);
    this.code = options.code;
    this.maybeDelivered = options.maybeDelivered;
  }
}

/**
 * What a peer did against the rules of delivery:
 *
 * - `"malformed"`: its bytes are no frames of this protocol, or damaged.
 * - `"gap"`: a message is missing in its numbers.
 * - `"window"`: it sent more than its credit allows.
 * - `"desynchronised"`: it claims what can't be, such as an acknowledgement of a
 *   message that was never sent.
 * - `"version"`: it speaks another protocol or version.
 * - `"refused"`: it refused this side: too many sessions, or not allowed.
 */
export type ProtocolErrorCode =
  | "malformed"
  | "gap"
  | "window"
  | "desynchronised"
  | "version"
  | "refused";

/**
 * Thrown, or reported, for a peer that breaks the rules of delivery. It ends
 * that one connection.
 *
 * @example Telling a rule that was broken
 * ```ts
 * import { ProtocolError } from "@sluice/ipc/delivery";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new ProtocolError("Cannot receive: no credit", {
 *   code: "window",
 * });
 * assertEquals(error.code, "window");
 * ```
 */
export class ProtocolError extends Error {
  /** The name of the class. */
  override readonly name = "ProtocolError";
  /** Which rule was broken. */
  readonly code: ProtocolErrorCode;

  /**
   * Creates the error.
   *
   * @param message What failed first, then why.
   * @param options The {@linkcode ProtocolErrorCode} and the cause.
   */
  constructor(
    message: string,
    options: ErrorOptions & { code: ProtocolErrorCode },
  ) {
    super(message, options);
    this.code = options.code;
  }
}
