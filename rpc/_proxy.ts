// The typed proxy: property names become method names.

import type { CallOptions } from "./call_options.ts";
import type { Peer } from "./peer.ts";
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

/** What a client asks of what it calls through. */
type Callable = Pick<Session, "close"> & { readonly peer: Partial<Peer> };

const directCalls = new WeakMap<Callable, DirectCalls>();

/** Makes the direct way known for `session`. */
export function registerDirect(session: Callable, calls: DirectCalls): void {
  directCalls.set(session, calls);
}

/** A client of what the peer of `session` serves. */
export function createClient<T>(
  session: Callable,
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
  // One with options mostly serves one call: `api.$with({ timeout }).add()`.
  const give = options === undefined ? giveProperties : giveByProxy;
  return give(shownAs(show), (key) => {
    if (typeof key === "symbol" || key.startsWith("$")) {
      if (key === "$notify") {
        controls.$notify ??= createNotifier(direct, give, options);
      }
      if (Object.hasOwn(controls, key)) return controls[key];
    }
    return member(give, send, "", key);
  }) as Client<T>;
}

/** What a log shows of it. */
function shownAs(text: () => string): object {
  return Object.create(null, {
    [Symbol.for("nodejs.util.inspect.custom")]: { value: text },
  });
}

function createNotifier(
  direct: DirectCalls,
  give: Give,
  options: CallOptions | undefined,
): unknown {
  const send: Send = (method, params) => direct.notify(method, params, options);
  return give(
    shownAs(() => "Notifier"),
    (key) => member(give, send, "", key),
  );
}

/** The method called `key`; it may also be a namespace of others. */
function member(
  give: Give,
  send: Send,
  prefix: string,
  key: string | symbol,
): unknown {
  // In a text it is no call of its `toString`.
  if (key === Symbol.toPrimitive) return () => prefix.slice(0, -1);
  // With a `then`, `await` would take the client for a promise; with a `toJSON`,
  // a logger that writes JSON would call it at the peer.
  if (typeof key !== "string" || key === "then" || key === "toJSON") {
    return undefined;
  }
  const name = prefix + key;
  // An arrow function: it has no `prototype`, which nothing could hide.
  const call = (...params: unknown[]) => send(name, params);
  return give(call, (key) => member(give, send, `${name}.`, key));
}

/** Gives `holder` every member that `create` makes, each made once. */
type Give = (
  holder: object,
  create: (key: string | symbol) => unknown,
) => object;

/**
 * Each becomes a property of its own when it is first used: a later use costs
 * what it does with any object, where a proxy costs some 80 ns more.
 */
const giveProperties: Give = (holder, create) => {
  Reflect.deleteProperty(holder, "name"); // a method may have that name
  Reflect.deleteProperty(holder, "length");
  const prototype = new Proxy(Object.create(null), {
    get(_target, key) {
      const value = create(key);
      if (value !== undefined) Object.defineProperty(holder, key, { value });
      return value;
    },
    set: () => false,
  });
  return Object.setPrototypeOf(holder, prototype);
};

/** Costs a tenth of that to begin with. */
const giveByProxy: Give = (holder, create) => {
  const members = new Map<string | symbol, unknown>();
  return new Proxy(holder, {
    get(_target, key) {
      let value = members.get(key);
      if (value === undefined) members.set(key, value = create(key));
      return value;
    },
  });
};
