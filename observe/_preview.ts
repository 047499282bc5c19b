// Bounded, one-line text of what a peer sent. Nothing of it may break a line or
// drive a terminal.

import type { TapDataRecord, TappedConnection } from "./tap_record.ts";

const HEX_BYTES = 32;

/** The message where there is one, or the first bytes. */
export function preview(record: TapDataRecord, maxLength: number): string {
  if ("message" in record) return cut(inspect(record.message), maxLength);
  const bytes = hexAndText(record.bytes, record.length);
  if (record.error === undefined) return bytes;
  return cut(`(${errorText(record.error)}) ${bytes}`, maxLength);
}

/** An error's name and message on one line, with what caused it. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return inspect(error);
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return escapeControls(`${error.name}: ${error.message}${cause}`);
}

/** A connection's name and address. */
export function connectionText(connection: TappedConnection): string {
  const { name, local, remote, role } = connection;
  const ends = local || remote ? ` (${role}, ${local} to ${remote})` : "";
  return escapeControls(`${name}${ends}`);
}

/** Cuts a text, and says so. */
export function cut(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength)}…`;
}

function inspect(value: unknown): string {
  const text = Deno.inspect(value, {
    breakLength: Infinity,
    compact: true,
    depth: 4,
    iterableLimit: 20,
    strAbbreviateSize: 100,
  });
  return escapeControls(text.replace(/\s*\n\s*/g, " "));
}

/** The first bytes, as numbers and as text. */
export function hexAndText(bytes: Uint8Array, length: number): string {
  if (bytes.length === 0) return length === 0 ? "" : "(not shown)";
  const shown = bytes.subarray(0, HEX_BYTES);
  const hex = Array.from(shown, (byte) => byte.toString(16).padStart(2, "0"));
  const text = String.fromCharCode(
    ...shown.map((byte) => byte >= 0x20 && byte < 0x7f ? byte : 0x2e),
  );
  return `${hex.join(" ")}${shown.length < length ? " …" : ""}  |${text}|`;
}

/** Escapes control characters and those that change a text's direction. */
export function escapeControls(text: string): string {
  return text.replace(
    // deno-lint-ignore no-control-regex
    /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
    (character) =>
      `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
