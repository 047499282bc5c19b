// Checks of messages to send, some of them async, in the order of the messages.

import type { Check } from "../framing/_validate.ts";

/** Runs a check so that messages leave in the order in which they came. */
export class OrderedChecks<T> {
  /** Settles when the checks that run are over; never rejects. */
  pending: Promise<unknown> | undefined;
  #check: Check<T> | undefined;

  constructor(check: Check<T> | undefined) {
    this.#check = check;
  }

  /** Whether nothing is checked. */
  get isEmpty(): boolean {
    return this.#check === undefined;
  }

  /** The message that may pass, where that shows at once. */
  checkNow(message: T): T {
    const checked = this.#check === undefined ? message : this.#check(message);
    if (!(checked instanceof Promise)) return checked;
    checked.catch(() => {}); // it has lost its listener
    throw new TypeError("Cannot trySend: the validator is async");
  }

  /** Runs `act` with the message that may pass, at once where possible. */
  run(message: T, act: (message: T) => Promise<void>): Promise<void> {
    if (this.#check === undefined) return act(message);
    const checked = this.#check(message);
    if (this.pending === undefined && !(checked instanceof Promise)) {
      return act(checked);
    }
    const accepted = Promise.allSettled([checked, this.pending]).then(
      ([result]) => {
        if (this.pending === pending) this.pending = undefined;
        if (result.status === "rejected") throw result.reason;
        return { outcome: act(result.value) };
      },
    );
    const pending = accepted.catch(() => {}); // the sender learns of it
    this.pending = pending;
    return accepted.then(({ outcome }) => outcome);
  }
}
