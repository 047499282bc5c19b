/**
 * Remembers, for a server that may be killed, how many messages of each session
 * it has handled, so that a client's session goes on with the next process and no
 * message is handled twice.
 *
 * For exactly once, write the count in the same transaction as what the message
 * changed, from inside the handler, and leave `save` out: between a handler's end
 * and a `save` of its own, the process can die.
 */
export interface SessionStore {
  /**
   * How many messages of the session were handled, or `undefined` for one that
   * is not known. The name may come from a hostile peer: it is always 32
   * hexadecimal digits, and never reveals another session.
   */
  load(
    sessionId: string,
  ): Promise<number | undefined> | number | undefined;
  /**
   * Called by {@linkcode ReliableChannel.handle} after each handler, before the
   * message is acknowledged.
   */
  save?(sessionId: string, handled: number): Promise<void> | void;
  /** Called when a session ends in order: it won't come back. */
  delete?(sessionId: string): Promise<void> | void;
}
