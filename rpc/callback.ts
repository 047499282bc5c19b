import { held } from "./_held.ts";

/**
 * Keeps a callback after its call: without this it is released when the
 * handler has settled and the stream that it returned has ended. Then end it
 * with {@linkcode release}, or leave it to the end of the connection.
 *
 * @example A subscription
 * ```ts
 * import { retain } from "@sluice/ipc/rpc";
 *
 * const listeners = new Set<(text: string) => Promise<void>>();
 * const handlers = {
 *   subscribe(listener: (text: string) => Promise<void>) {
 *     listeners.add(retain(listener));
 *   },
 * };
 * handlers.subscribe(async () => {}); // a local function is left as it is
 * ```
 *
 * @param callback A function that came as an argument.
 * @returns The same function.
 */
export function retain<F extends object>(callback: F): F {
  held.get(callback)?.retain();
  return callback;
}

/**
 * Tells the caller that its callback will not be called any more, so that it
 * can be freed. Calling it then rejects. Releasing twice does nothing.
 *
 * @example The end of a subscription
 * ```ts
 * import { release } from "@sluice/ipc/rpc";
 *
 * const listener = async (_text: string) => {};
 * release(listener); // a local function is left as it is
 * ```
 *
 * @param callback A function that came as an argument.
 */
export function release(callback: object): void {
  held.get(callback)?.release();
}
