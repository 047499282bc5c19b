// Which functions are handles of a peer's, for `retain` and `release`.

/** A function of the caller's, as the handler that got it can hold on to it. */
export interface Held {
  retain(): void;
  release(): void;
}

/** Every live handle by its function. */
export const held: WeakMap<object, Held> = new WeakMap();
