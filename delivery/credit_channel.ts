import type { Duplex, WaitOptions } from "../duplex.ts";
import { checkDuplex } from "../_async/check.ts";
import { within } from "../_async/wait.ts";
import { peerOf, toLoss } from "../framing/_channel_errors.ts";
import type { Channel } from "../framing/mod.ts";
import { ProtocolError } from "./delivery_error.ts";
import { Greeter } from "./_greeter.ts";
import type { DeliveryOptions } from "./reliable_types.ts";
import { Session } from "./_session.ts";
import { decodeGreeting, encodeGreeting, Flag, Kind } from "./_wire.ts";

/**
 * A {@linkcode Channel} whose sender never has more on its way than the receiver
 * has room for. Made by {@linkcode creditChannel}.
 *
 * @typeParam In The messages that the peer sends.
 * @typeParam Out The messages for the peer.
 */
export interface CreditChannel<In, Out> extends Channel<In, Out> {
  /** Whether there is credit for a message now. */
  readonly canSend: boolean;
  /** Resolves when there is credit, or the channel is over. Never rejects. */
  readonly ready: Promise<void>;
  /**
   * Waits until the peer's application has taken all that was sent up to now.
   *
   * @param options `timeout` and `signal` end the wait.
   * @throws {DeliveryError} If the channel ends before that.
   */
  flush(options?: WaitOptions): Promise<void>;
}

/** Options for {@linkcode creditChannel}. */
export type CreditChannelOptions<In, Out> = DeliveryOptions<In, Out>;

/**
 * Makes a channel with flow control of its own: each side tells the other how
 * many messages and bytes it takes (`window`), and gives the credit back as its
 * application takes them.
 *
 * The streams' own backpressure counts bytes in the system's buffers, and stops
 * everything behind a slow reader. Credit counts messages that wait for the
 * application, so a sender knows how far behind its reader is, and memory on the
 * other side has a bound even where the transport buffers without end.
 *
 * Both ends have to be credit channels; which one connected doesn't matter. A
 * peer that sends without credit gets a {@linkcode ProtocolError} of the code
 * `"window"`, and only its connection ends.
 *
 * @example A sender that sees its reader fall behind
 * ```ts
 * import { creditChannel } from "@sluice/ipc/delivery";
 * import { assertEquals } from "@std/assert";
 *
 * const there = new TransformStream<Uint8Array, Uint8Array>();
 * const back = new TransformStream<Uint8Array, Uint8Array>();
 * const window = { maxMessages: 2 };
 * await using sender = creditChannel<unknown, string>(
 *   { readable: back.readable, writable: there.writable },
 * );
 * await using reader = creditChannel<string>(
 *   { readable: there.readable, writable: back.writable },
 *   { window },
 * );
 *
 * await sender.send("one");
 * await sender.send("two");
 * assertEquals(sender.canSend, false); // two are on their way
 * assertEquals(await reader.receive(), "one");
 * await sender.ready;
 * assertEquals(sender.trySend("three"), true);
 * assertEquals(await reader.receive(), "two");
 * assertEquals(await reader.receive(), "three");
 * await sender.flush();
 * ```
 *
 * @typeParam In The messages that the peer sends.
 * @typeParam Out The messages for the peer.
 * @param duplex The streams, which no one else may use any more.
 * @param options Codec, window, limits and timeouts.
 * @returns The channel. Messages wait until the peer has told its window.
 * @throws {TypeError} If a stream is locked.
 * @throws {RangeError} If an option is out of range.
 */
export function creditChannel<In = unknown, Out = In>(
  duplex: Duplex,
  options: CreditChannelOptions<In, Out> = {},
): CreditChannel<In, Out> {
  checkDuplex(duplex);
  return new CreditSession<In, Out>(duplex, options);
}

/** A session of one connection: it is over with it. */
class CreditSession<In, Out> extends Session<In, Out> {
  constructor(duplex: Duplex, options: CreditChannelOptions<In, Out>) {
    let greeted = false;
    const lossOf = (error: unknown) =>
      error instanceof ProtocolError ? error : toLoss(error, peerOf(duplex));
    super(options, {
      isClient: false,
      checksum: false,
      onDetached: (error) =>
        this.end.fail(lossOf(error), { keepReceived: true }),
      onOver: () => {
        if (!greeted) greeter.link.abort();
      },
    });
    this.outgoing.room.hold(); // until the peer has told its window
    const greeter: Greeter = new Greeter(
      duplex,
      this.timeouts,
      (kind, payload, { link }) => {
        if (kind !== Kind.Hello) throw notCredit();
        const hello = decodeGreeting(payload);
        if ((hello.flags & Flag.Credit) === 0) throw notCredit();
        this.checkGreeting(hello);
        greeted = true;
        this.attach(link, hello);
      },
    );
    greeter.send(encodeGreeting(Kind.Hello, this.greeting(Flag.Credit)));
    const { connect } = this.timeouts;
    within(greeter.done, "Cannot greet the peer", { timeout: connect })
      .catch((error) => {
        greeter.fail(error);
        this.end.fail(lossOf(error));
      });
  }

  /** Resolves with credit: what was sent is on its way. */
  override send(message: Out, options?: WaitOptions): Promise<void> {
    return this.outgoing.accept(message, options);
  }
}

function notCredit(): ProtocolError {
  return new ProtocolError(
    "Cannot greet the peer: it is no credit channel",
    { code: "version" },
  );
}
