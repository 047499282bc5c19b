// Which descriptors are behind an object that this module gave out.

/** The numbers, for a call made now; the last one is that of the writing end. */
type Descriptors = () => number[];

const ends = new WeakMap<object, Descriptors>();

/** Remembers the descriptors behind `owner`. */
export function setEnds(owner: object, descriptors: Descriptors): void {
  ends.set(owner, descriptors);
}

/** The descriptors behind `owner`, where it is one of this module's. */
export function endsOf(owner: object): number[] | undefined {
  return ends.get(owner)?.();
}
