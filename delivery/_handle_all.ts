// Messages that count when a handler is done with them.

import type { WaitOptions } from "../duplex.ts";
import { isCleanEnd } from "../framing/_channel_errors.ts";
import type { Incoming } from "./_incoming.ts";
import type { Delivery } from "./reliable_types.ts";
import type { SessionStore } from "./session_store.ts";

/** The parts of a session that it takes. */
export interface HandledSession<In> {
  readonly sessionId: string;
  readonly incoming: Incoming<In>;
  receive(options: WaitOptions): Promise<In>;
  abort(reason: unknown): void;
}

/** Runs `handler` for each message, one after the other, until the clean end. */
export async function handleAll<In>(
  session: HandledSession<In>,
  handler: (message: In, delivery: Delivery) => Promise<void> | void,
  store: SessionStore | undefined,
): Promise<void> {
  const { incoming } = session;
  let saving: Promise<void> | undefined;
  const saveRefused = async () => {
    try {
      let handled: number;
      do {
        handled = incoming.last + 1;
        await store?.save?.(session.sessionId, handled);
      } while (!incoming.isHandling && incoming.last + 1 > handled);
    } catch (error) {
      return session.abort(error);
    }
    saving = undefined;
    if (!incoming.isHandling) incoming.settle();
  };
  incoming.holdUntilHandled(
    store && (() => {
      // A handler that keeps the count itself does so with the next message.
      if (store.save !== undefined) saving ??= saveRefused();
    }),
  );
  for (;;) {
    let message: In;
    try {
      message = await session.receive({ timeout: Infinity });
    } catch (error) {
      if (isCleanEnd(error)) return;
      throw error;
    }
    const { sessionId } = session;
    const sequence = incoming.last;
    try {
      await handler(message, { sessionId, sequence });
      await saving; // counts are saved in their order
      await store?.save?.(session.sessionId, sequence + 1);
    } catch (error) {
      session.abort(error);
      throw error;
    }
    incoming.settle();
  }
}
