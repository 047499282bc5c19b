const encoder = new TextEncoder();
const SHARED_LENGTH = 16 * 1024;
let shared: Uint8Array<ArrayBuffer> | undefined;

/** The UTF-8 of a string, in bytes of its own. */
export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** The UTF-8 of a string, valid until the next call where it is short. */
export function encodeUtf8Shared(text: string): Uint8Array {
  if (text.length * 3 > SHARED_LENGTH) return encoder.encode(text);
  shared ??= new Uint8Array(SHARED_LENGTH);
  return shared.subarray(0, encoder.encodeInto(text, shared).written);
}
