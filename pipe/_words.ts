// Splits what follows "exec:" into a program and its arguments.

import { describe } from "../_async/check.ts";

/**
 * Words between blanks; `'…'` as it is, `"…"` with backslashes before `"` and
 * `\`, a backslash before any other character. Nothing is expanded.
 *
 * @throws {TypeError} Where a quote has no end, or there is no word.
 */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (quote === "'") {
      if (char === "'") quote = "";
      else word += char;
    } else if (char === "\\") {
      const next = text[++at];
      if (next === undefined) {
        throw new TypeError(
          `Cannot read command ${describe(text)}: it ends with a backslash`,
        );
      }
      word = (word ?? "") +
        (quote !== "" && next !== '"' && next !== "\\" ? char + next : next);
    } else if (quote === '"') {
      if (char === '"') quote = "";
      else word += char;
    } else if (char === "'" || char === '"') {
      quote = char;
      word ??= "";
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? "") + char;
  }
  if (quote !== "") {
    throw new TypeError(
      `Cannot read command ${describe(text)}: ${quote} has no end`,
    );
  }
  if (word !== undefined) words.push(word);
  if (words.length === 0) {
    throw new TypeError(`Cannot read command ${describe(text)}: it is empty`);
  }
  return words;
}
