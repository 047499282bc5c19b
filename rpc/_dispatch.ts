// Whom a message that came concerns.

import type { CallId, WireEvents } from "./protocol.ts";
import type { ExtensionName, Link } from "./_link.ts";
import type { Callbacks } from "./_callbacks.ts";
import type { Callee } from "./_callee.ts";
import type { Caller } from "./_caller.ts";
import type { Streams } from "./_streams.ts";
import type { Unanswered } from "./_unanswered.ts";

/** Hands each message to the part of the session that it is for. */
export class Dispatch implements WireEvents {
  #link: Link & { streams: Streams; callbacks: Callbacks };
  #caller: Caller;
  #unanswered: Unanswered;
  #callee: Callee;

  constructor(
    link: Link & { streams: Streams; callbacks: Callbacks },
    caller: Caller,
    unanswered: Unanswered,
    callee: Callee,
  ) {
    this.#link = link;
    this.#caller = caller;
    this.#unanswered = unanswered;
    this.#callee = callee;
  }

  request(id: CallId, method: string, params: unknown[]): void {
    this.#callee.onRequest(id, method, params);
  }

  result(id: CallId, value: unknown): void {
    this.#unanswered.onResult(id, value);
  }

  error(id: CallId, error: unknown): void {
    this.#unanswered.onError(id, error);
  }

  cancel(id: CallId): void {
    this.#callee.onCancel(id);
  }

  batch(answers: unknown[]): void {
    const { options, session } = this.#link;
    this.#link.answer(answers, (error) => options.onError(error, session));
  }

  notification(method: string, params: unknown[]): void {
    const { options, streams, callbacks } = this.#link;
    if (!options.protocol.extensions || !method.startsWith("$")) {
      return this.#callee.onNotification(method, params);
    }
    switch (method as ExtensionName) {
      case "$items":
        return streams.onItems(params);
      case "$credit":
        return streams.onCredit(params);
      case "$with":
        return this.#callee.onWith(params);
      case "$stream":
        return this.#unanswered.onStream(params);
      case "$end":
        return streams.onEnd(params);
      case "$stop":
        return streams.onStop(params);
      case "$cancel":
        return this.#callee.onCancel(params[0] as CallId);
      case "$release":
        return callbacks.onRelease(params);
      case "$drain":
        this.#caller.peerIsDraining = true;
        return;
      default: // "$/name" is a handler's; "$name" may be a later version's
        if (method.startsWith("$/")) {
          this.#callee.onNotification(method, params);
        }
    }
  }
}
