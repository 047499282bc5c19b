// What a call brings beside its arguments: `$with` of docs/wire.md.

import type { Extras, Link } from "./_link.ts";
import type { Callbacks } from "./_callbacks.ts";
import type { ServedCall } from "./_served_call.ts";
import { violation } from "./_link.ts";
import { isPlainObject, placeLive } from "./_values.ts";
import { RpcError } from "./errors.ts";
import { Streams } from "./_streams.ts";

/**
 * Puts streams and callbacks in their places among `params`, and metadata on
 * `call`. Returns the deadline in milliseconds from now, if there is one.
 */
export function applyExtras(
  call: ServedCall,
  params: unknown[],
  extras: Extras,
  { link, streams, callbacks }: {
    link: Link;
    streams: Streams;
    callbacks: Callbacks;
  },
): number | undefined {
  const { timeout, metadata } = extras;
  if (metadata !== undefined) {
    if (!isPlainObject(metadata)) {
      throw violation("Cannot read $with: metadata is no object");
    }
    call.metadata = metadata;
  }
  if (timeout !== undefined && !(typeof timeout === "number" && timeout >= 0)) {
    throw violation("Cannot read $with: timeout is no number of 0 or more");
  }
  let refused: "maxStreams" | "maxCallbacks" | undefined;
  for (const [path, ref, kind] of parts(extras.streams)) {
    const stream = streams.receive(ref);
    if (stream === undefined) refused = "maxStreams";
    else {
      (call.streams ??= []).push(stream);
      place(params, path, Streams.present(stream, kind));
    }
  }
  for (const [path, ref] of parts(extras.callbacks)) {
    const callback = callbacks.hold(ref);
    if (callback === undefined) refused = "maxCallbacks";
    else {
      (call.callbacks ??= []).push(callback);
      place(params, path, callback.call);
    }
  }
  if (refused !== undefined) {
    throw new RpcError(
      `Cannot serve ${call.method}: ${refused} ` +
        `${link.options[refused]} is reached`,
      { code: "overloaded" },
    );
  }
  return timeout;
}

function parts(list: unknown): unknown[][] {
  if (list === undefined) return [];
  if (!Array.isArray(list) || !list.every(Array.isArray)) {
    throw violation("Cannot read $with: streams or callbacks are no arrays");
  }
  return list;
}

function place(params: unknown[], path: unknown, value: unknown): void {
  // `$callback` counts paths with its own first parameter: the sender saw the
  // same array, so they agree.
  if (!placeLive(params, path, value)) {
    throw violation("Cannot read $with: a path leads to no place");
  }
}
