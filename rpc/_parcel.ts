// What goes beside a call's arguments: `$with` of docs/wire.md.

import type { Metadata } from "./call_options.ts";
import type { Extras, Link } from "./_link.ts";
import type { Callbacks } from "./_callbacks.ts";
import type { Handler } from "./_methods.ts";
import type { Passed, Pending } from "./_pending.ts";
import type { Streams } from "./_streams.ts";
import { extractLive, hasLive, streamKind } from "./_values.ts";

/** Sends deadlines, metadata, streams and callbacks ahead of their call. */
export class Parcel {
  #link: Link;
  #streams: Streams;
  #callbacks: Callbacks;

  constructor(link: Link, streams: Streams, callbacks: Callbacks) {
    this.#link = link;
    this.#streams = streams;
    this.#callbacks = callbacks;
  }

  /** Returns the params to send. `pending` is missing for a notification. */
  send(
    pending: Pending | undefined,
    params: readonly unknown[],
    timeout: number,
    metadata: Metadata | undefined,
  ): readonly unknown[] {
    const { protocol } = this.#link.options;
    const live = hasLive(params);
    const hasMetadata = metadata !== undefined &&
      Object.keys(metadata).length > 0;
    if (!protocol.extensions) {
      if (!live && !hasMetadata) return params;
      throw new TypeError(
        `Cannot send ${live ? "a stream or function" : "metadata"}: ` +
          `${protocol.name} has no form for it without extensions`,
      );
    }
    const extras: Extras = {};
    if (timeout !== Infinity) extras.timeout = timeout;
    if (hasMetadata) {
      // Queued, it would fail on its own, and the call go without it.
      if (this.#link.isBehind) protocol.codec.encode(metadata);
      extras.metadata = metadata as Record<string, unknown>;
    }
    let sent = params;
    if (live) {
      const passed: Passed = { streams: [], callbacks: [] };
      if (pending !== undefined) pending.passed = passed;
      try {
        sent = this.#pass(params, extras, passed);
      } catch (error) {
        this.takeBack(passed);
        throw error;
      }
    }
    if (Object.keys(extras).length > 0) {
      this.#link.postExtension("$with", [pending?.id ?? null, extras]);
    }
    return sent;
  }

  #pass(
    params: readonly unknown[],
    extras: Extras,
    passed: Passed,
  ): readonly unknown[] {
    return extractLive(params, (value, path) => {
      const kind = streamKind(value);
      if (kind !== undefined) {
        const stream = this.#streams.send(value as AsyncIterable<unknown>);
        passed.streams.push(stream);
        (extras.streams ??= []).push([path, stream.id, kind]);
      } else {
        const callback = this.#callbacks.pass(value as Handler);
        passed.callbacks.push(callback);
        (extras.callbacks ??= []).push([path, callback]);
      }
    });
  }

  /** Ends what nobody got. */
  takeBack(passed: Passed | undefined): void {
    for (const stream of passed?.streams ?? []) stream.stop();
    for (const id of passed?.callbacks ?? []) this.#callbacks.withdraw(id);
  }
}
