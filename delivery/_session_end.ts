// How a session ends: each side in its own time, both at once, or not in order.

import { MAX_TIMER } from "../_async/wait.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { closedHere, endedByPeer } from "../framing/_channel_errors.ts";
import type { Incoming } from "./_incoming.ts";
import type { Line } from "./_line.ts";
import type { Outgoing } from "./_outgoing.ts";
import { Ending } from "./_wire.ts";

/** What a {@linkcode SessionEnd} works with. */
export interface SessionEndParts<In, Out> {
  incoming: Incoming<In>;
  outgoing: Outgoing<Out>;
  line: Line<In, Out>;
  /** A client comes back by itself: its peer may still confirm an end. */
  isClient: boolean;
  /** How long the peer may take to confirm, or to acknowledge more, in ms. */
  timeout: number;
  /** Called once, when the session is over. */
  onOver: (() => void) | undefined;
}

/** Where both sides stand, from the first end to the last. */
export class SessionEnd<In, Out> {
  readonly done: Promise<void>;
  isOver = false;
  #parts: SessionEndParts<In, Out>;
  #done = Promise.withResolvers<void>();
  #closing: Promise<void> | undefined;
  /** How this side ended, or is ending. */
  #ending: number | undefined;
  #peerEnding: number | undefined;
  #peerEnded = Promise.withResolvers<void>();

  constructor(parts: SessionEndParts<In, Out>) {
    this.#parts = parts;
    this.done = this.#done.promise;
    this.done.catch(() => {}); // nobody has to listen
  }

  /** Whether it is over, and neither side can want it back. */
  get wasInOrder(): boolean {
    return this.isOver && this.#ending === Ending.Full;
  }

  /** Whether this side is about to end, with all acknowledged. */
  get isEnding(): boolean {
    return this.#ending !== undefined;
  }

  /** Says that no more follows. Resolves when the peer has it all. */
  async endSending(): Promise<void> {
    const { outgoing } = this.#parts;
    await outgoing.seal(closedHere());
    await outgoing.drain(Infinity);
    if (this.isOver) return;
    this.#tell(Ending.Half);
    this.finishHalves();
  }

  #tell(ending: number): void {
    this.#ending = Math.max(this.#ending ?? 0, ending);
    this.#parts.line.tellEnd(this.#ending);
  }

  /** Both sides have ended and have everything: it is over. */
  finishHalves(): void {
    const { log } = this.#parts.outgoing;
    if (
      this.#ending === Ending.Half && this.#peerEnding === Ending.Half &&
      log.acknowledged === log.next
    ) this.close();
  }

  onPeerEnd(ending: number): void {
    const { incoming, outgoing } = this.#parts;
    if (this.#peerEnding !== undefined && this.#peerEnding >= ending) return;
    this.#peerEnding = ending;
    this.#peerEnded.resolve();
    if (ending === Ending.Half) {
      incoming.finish(endedByPeer());
      return this.finishHalves();
    }
    if (ending === Ending.Abort) return this.#onPeerAbort();
    incoming.finish(endedByPeer());
    outgoing.fail(endedByPeer());
    if (this.#ending === Ending.Full) return; // `close` waits for that
    this.#tell(Ending.Full);
    this.#finish();
  }

  #onPeerAbort(): void {
    this.fail(
      new ConnectionClosedError("Cannot use the channel: the peer aborted it", {
        code: "lost",
      }),
      { keepReceived: true, quiet: true },
    );
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    const { incoming, outgoing, timeout } = this.#parts;
    if (this.isOver) return;
    await outgoing.seal(closedHere());
    incoming.settle();
    incoming.stop(closedHere());
    try {
      await outgoing.drain(timeout);
      if (this.isOver) return;
      this.#tell(Ending.Full);
      if (this.#peerEnding !== Ending.Full) await this.#waitForPeer();
    } catch (error) {
      return this.fail(error);
    }
    this.#finish();
  }

  /** The peer confirms the end; without it, all is acknowledged anyhow. */
  #waitForPeer(): Promise<void> | undefined {
    const { line, isClient, timeout } = this.#parts;
    const comesBack = isClient && line.connections > 0;
    if (!line.isAttached && !comesBack) return;
    const { promise } = this.#peerEnded = Promise.withResolvers<void>();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.min(timeout, MAX_TIMER));
      promise.then(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** The peer has forgotten a session that was about to end. */
  confirm(): void {
    if (this.#ending === Ending.Full) return this.#peerEnded.resolve();
    this.fail(
      new ConnectionClosedError(
        "Cannot receive: the peer has forgotten the session",
        { code: "lost" },
      ),
      { keepReceived: true },
    );
  }

  /** The clean end. */
  #finish(): void {
    if (this.isOver) return;
    this.#stop();
    this.#done.resolve();
    this.#parts.line.close();
    this.#parts.onOver?.();
  }

  /** The end that is none in order. */
  fail(error: unknown, { keepReceived = false, quiet = false } = {}): void {
    if (this.isOver) return;
    const { incoming, outgoing, line, onOver } = this.#parts;
    this.#stop();
    if (keepReceived) incoming.finish(error);
    else incoming.stop(error);
    outgoing.fail(error);
    this.#done.reject(error);
    if (line.isAttached) {
      if (!quiet) line.tellEnd(this.#ending = Ending.Abort);
      line.close();
    }
    onOver?.();
  }

  #stop(): void {
    this.isOver = true;
    this.#parts.line.stop();
    this.#peerEnded.resolve();
  }
}
