// Formats and codecs are objects: their names, or a function that nobody called,
// are what is given by mistake.

import { describe } from "../_async/check.ts";

/** Throws unless `format` can make a decoder. */
export function checkFormat(format: unknown): void {
  if (typeof Object(format).createDecoder === "function") return;
  throw new TypeError(
    `Invalid format: expected a frame format such as lines(), ` +
      `received ${show(format)}`,
  );
}

/** Throws unless `codec` can encode and decode. */
export function checkCodec(codec: unknown): void {
  const { encode, decode } = Object(codec);
  if (typeof encode === "function" && typeof decode === "function") return;
  throw new TypeError(
    `Invalid codec: expected a codec such as json, received ${show(codec)}`,
  );
}

function show(value: unknown): string {
  return typeof value === "function"
    ? `function ${value.name}`
    : describe(value);
}
