// The typed proxy: property names become method names.

import type { CallOptions } from "./call_options.ts";
import type { Client, Session } from "./session.ts";

type Send = (method: string, params: unknown[]) => Promise<unknown>;

/** How a session is called without an options object for each call. */
export interface DirectCalls {
  call(
    method: string,
    params: readonly unknown[],
    options?: CallOptions,
  ): Promise<unknown>;
  notify(
    method: string,
    params: readonly unknown[],
    options?: CallOptions,
  ): Promise<void>;
}

const directCalls = new WeakMap<Session, DirectCalls>();

/** Makes the direct way known for `session`. */
export function registerDirect(session: Session, calls: DirectCalls): void {
  directCalls.set(session, calls);
}

/** A client of what the peer of `session` serves. */
export function createClient<T>(
  session: Session,
  options?: CallOptions,
): Client<T> {
  const show = () => `Client of ${session.peer.address ?? "a duplex"}`;
  const direct = directCalls.get(session)!;
  const controls: Record<PropertyKey, unknown> = {
    $session: session,
    $with: (more: CallOptions) =>
      createClient<T>(session, { ...options, ...more }),
    [Symbol.asyncDispose]: () => session.close(),
    [Symbol.toPrimitive]: show,
  };
  const send: Send = (method, params) => direct.call(method, params, options);
  const methods = new Map<string, unknown>();
  return new Proxy(shownAs(show), {
    get(_target, key) {
      if (typeof key === "symbol" || key.startsWith("$")) {
        if (key === "$notify") {
          controls.$notify ??= createNotifier(direct, options);
        }
        if (Object.hasOwn(controls, key)) return controls[key];
      }
      return member(methods, send, "", key);
    },
  }) as Client<T>;
}

/** What a log shows of a proxy: the runtime looks at its target. */
function shownAs(text: () => string): object {
  return Object.create(null, {
    [Symbol.for("nodejs.util.inspect.custom")]: { value: text },
  });
}

function createNotifier(
  direct: DirectCalls,
  options: CallOptions | undefined,
): unknown {
  const send: Send = (method, params) => direct.notify(method, params, options);
  const methods = new Map<string, unknown>();
  return new Proxy(shownAs(() => "Notifier"), {
    get: (_target, key) => member(methods, send, "", key),
  });
}

/** The method called `key`; it may also be a namespace of others. */
function member(
  members: Map<string, unknown>,
  send: Send,
  prefix: string,
  key: PropertyKey,
): unknown {
  // In a text it is no call of its `toString`.
  if (key === Symbol.toPrimitive) return () => prefix.slice(0, -1);
  // With a `then`, `await` would take the client for a promise; with a `toJSON`,
  // a logger that writes JSON would call it at the peer.
  if (typeof key !== "string" || key === "then" || key === "toJSON") {
    return undefined;
  }
  let method = members.get(key);
  if (method !== undefined) return method;
  const name = prefix + key;
  const inner = new Map<string, unknown>();
  // An arrow function: it has no `prototype`, which a proxy could not hide.
  const call = (...params: unknown[]) => send(name, params);
  method = new Proxy(call, {
    get: (_target, key) => member(inner, send, `${name}.`, key),
  });
  members.set(key, method);
  return method;
}
