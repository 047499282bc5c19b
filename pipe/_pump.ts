// Moves a source into a stream: reads one chunk while the last one is written.

import type { Source } from "./_source.ts";

/**
 * Resolves when all was written, or when the reader has closed its end.
 * Rejects with an error of the source alone.
 */
export async function pump(
  source: Source,
  writable: WritableStream<Uint8Array>,
): Promise<void> {
  const writer = writable.getWriter();
  writer.closed.catch(() => {});
  let broken = false;
  const onBroken = () => {
    broken = true;
  };
  let writing: Promise<void> | undefined;
  try {
    for (;;) {
      const chunk = await source.next();
      await writing;
      if (broken || chunk === null) break;
      writing = writer.write(chunk).catch(onBroken);
    }
  } catch (error) {
    await writing;
    await writer.abort().catch(() => {});
    throw error;
  }
  if (broken) source.cancel();
  else await writer.close().catch(() => {});
}
