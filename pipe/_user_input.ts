// What the user writes, on its way to a command.

import type { StageRun } from "./_stage_run.ts";

/** A command's stdin for the user: nothing waits because nobody reads. */
export function userInput(
  stdin: WritableStream<Uint8Array>,
  stage: StageRun,
  onWrite: () => void,
): WritableStream<Uint8Array> {
  const writer = stdin.getWriter();
  writer.closed.catch(() => {});
  const gone = (cause: unknown) => {
    throw new Deno.errors.BrokenPipe(
      `Cannot write to ${stage.command}: it reads no more`,
      { cause },
    );
  };
  stage.ended.then(() => writer.abort().catch(() => {}));
  return new WritableStream<Uint8Array>({
    write: (chunk) => {
      onWrite();
      return writer.write(chunk).catch(gone);
    },
    close: () => writer.close().catch(() => {}),
    abort: () => writer.abort().catch(() => {}),
  });
}
