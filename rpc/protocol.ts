import type { Codec, FrameFormat } from "../framing/mod.ts";
import type { WireErrorObject } from "./wire_types.ts";

/** Identifies a call: ours are integers, other programs may send text. */
export type CallId = number | string;

/** What a {@linkcode Wire} tells about a message that came. */
export interface WireEvents {
  /** The peer calls. */
  request(id: CallId, method: string, params: unknown[]): void;
  /** The peer tells something and waits for no answer. */
  notification(method: string, params: unknown[]): void;
  /** The answer to a call of ours. */
  result(id: CallId, value: unknown): void;
  /** The failure of a call of ours, as the peer put it. */
  error(id: CallId, error: unknown): void;
  /** The answers of a batch are complete. */
  batch?(answers: unknown[]): void;
  /** The peer no longer wants the answer to its call. */
  cancel(id: CallId): void;
}

/**
 * How calls become messages. A wire belongs to one session and may hold state
 * of it, such as a batch that is being answered.
 */
export interface Wire {
  /**
   * Takes a message apart and calls one of `events`.
   *
   * @throws {RpcError} With code `"malformed"` where it has the wrong shape.
   */
  read(message: unknown, events: WireEvents): void;
  /** A call. */
  request(id: number, method: string, params: readonly unknown[]): unknown;
  /** A notification. */
  notification(method: string, params: readonly unknown[]): unknown;
  /** An answer, or `undefined` where it waits for others of its batch. */
  result(id: CallId, value: unknown): unknown;
  /** A failure, or `undefined` where it waits for others of its batch. */
  error(id: CallId, error: WireErrorObject): unknown;
  /** Tells the peer to cancel our call; `undefined` where it has no way. */
  cancel(id: number): unknown;
  /**
   * What to tell a peer whose message was malformed, if anything. `readable`
   * tells whether its bytes were a message at all.
   */
  malformed(error: WireErrorObject, readable: boolean): unknown;
}

/** Limits that a {@linkcode Wire} keeps. */
export interface WireLimits {
  /** The most messages in one batch. */
  maxBatchLength: number;
}

/**
 * What two programs agree on: the frame, the codec and the shape of a call.
 * {@linkcode messagePackRpc} and {@linkcode jsonRpc} make them.
 */
export interface Protocol {
  /** For error messages and logs. */
  readonly name: string;
  /** How messages are told apart in the stream of bytes. */
  readonly format: FrameFormat;
  /** How a message becomes bytes. */
  readonly codec: Codec<unknown>;
  /**
   * Whether streams, callbacks, metadata and deadlines travel, as
   * notifications with reserved names. Only Sluice understands them.
   */
  readonly extensions: boolean;
  /** The wire for one session. */
  createWire(limits: WireLimits): Wire;
}
