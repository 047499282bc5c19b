// What two sides of a session tell each other first, and whether it fits.

import { ProtocolError } from "./delivery_error.ts";
import { Flag, type Greeting } from "./_wire.ts";

/** How far this side is, either way. */
export interface Progress {
  log: { acknowledged: number; next: number };
  incoming: { expected: number };
}

/** Whether the peer's greeting fits what both have done. */
export function checkGreeting(
  { log, incoming }: Progress,
  { first, received, acknowledged, flags }: Greeting,
): void {
  if (
    acknowledged < log.acknowledged || received < acknowledged ||
    received > log.next ||
    ((flags & Flag.Resume) !== 0 && first > incoming.expected)
  ) {
    throw new ProtocolError(
      `Cannot resume the session: the peer has received ${received} and ` +
        `acknowledged ${acknowledged} of ${log.next} messages, and sends from ` +
        `${first} where ${incoming.expected} is expected`,
      { code: "desynchronised" },
    );
  }
}
