import type { WaitOptions } from "../duplex.ts";
import { deadline, within } from "../_async/wait.ts";
import type { Channel } from "../framing/mod.ts";
import { DeliveryError } from "./delivery_error.ts";

/** Answers that a channel still owes to exchanges whose time is over. */
const owed = new WeakMap<object, number>();
const MAX_OWED = 1000;

/**
 * Sends a message and waits for its answer: the next message, from a peer that
 * answers in order. Any number may be under way at once. One whose time is over
 * leaves its place in the order: the answer that comes late is dropped, and isn't
 * taken for that of the next.
 *
 * While there are exchanges, nobody else may receive. For answers in any order,
 * errors and cancellation, use `@sluice/ipc/rpc`.
 *
 * @example A question with a time limit
 * ```ts
 * import { channel, exchange } from "@sluice/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * // A peer that sends back what it receives.
 * const echo = new TransformStream<Uint8Array, Uint8Array>();
 * await using peer = channel<string>(echo);
 * assertEquals(await exchange(peer, "ping", { timeout: 1000 }), "ping");
 * ```
 *
 * @typeParam In The answers.
 * @typeParam Out The messages.
 * @param channel The channel.
 * @param message The message.
 * @param options `timeout`, by default the channel's `timeouts.exchange`, bounds
 * sending and answer together, in milliseconds.
 * @returns The answer.
 * @throws {DOMException} `TimeoutError`, if the time is over.
 * @throws {RangeError} If 1000 answers of exchanges that timed out are missing.
 * @throws What the channel's `send` and `receive` throw.
 */
export async function exchange<In, Out>(
  channel: Channel<In, Out>,
  message: Out,
  options: WaitOptions = {},
): Promise<In> {
  const { signal, timeout = channel.timeouts?.exchange ?? Infinity } = options;
  const missing = owed.get(channel) ?? 0;
  if (missing >= MAX_OWED) {
    throw new RangeError(
      `Cannot exchange: ${missing} answers to earlier messages are missing`,
    );
  }
  using end = deadline("Cannot exchange", { signal, timeout });
  try {
    await channel.send(message, { signal: end.signal, timeout: Infinity });
  } catch (error) {
    if (error instanceof DeliveryError && error.maybeDelivered) {
      leave(channel, channel.receive({ timeout: Infinity }));
    }
    throw error;
  }
  const answer = channel.receive({ timeout: Infinity });
  try {
    return await within(answer, "Cannot exchange", { signal: end.signal });
  } catch (error) {
    if (end.signal.aborted) leave(channel, answer);
    throw error;
  }
}

/** The late answer is taken, and dropped. */
function leave(channel: object, answer: Promise<unknown>): void {
  owed.set(channel, (owed.get(channel) ?? 0) + 1);
  const settle = () => owed.set(channel, owed.get(channel)! - 1);
  answer.then(settle, settle);
}
