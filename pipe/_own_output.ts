// What a JavaScript stage yields, where this program does not read it.

import { yieldTurn } from "../_async/turn.ts";
import { writeAll } from "../_transport/raw.ts";
import type { Source } from "./_source.ts";
import { Turns } from "./_turns.ts";

/**
 * Moves a source to this program's stdout, or nowhere, until it ends. Rejects
 * where the source fails, or stdout takes no more.
 */
export async function passOn(
  source: Source,
  stdout: "inherit" | "null",
): Promise<void> {
  const turns = new Turns();
  try {
    for (;;) {
      if (turns.due()) await yieldTurn();
      const chunk = await source.next();
      if (chunk === null) return;
      if (stdout === "inherit") await writeAll(Deno.stdout, chunk);
    }
  } finally {
    source.cancel();
  }
}
