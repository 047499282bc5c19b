// What the user writes, on its way to a command.

import type { Host } from "./_host.ts";
import type { StageRun } from "./_stage_run.ts";

/** A command's stdin for the user: nothing waits because nobody reads. */
export function userInput(
  stdin: WritableStream<Uint8Array>,
  stage: StageRun,
  host: Host,
): WritableStream<Uint8Array> {
  const writer = stdin.getWriter();
  writer.closed.catch(() => {});
  const gone = (cause: unknown) => {
    throw new Deno.errors.BrokenPipe(
      `Cannot write to ${stage.command}: ${whyGone(stage, host)}`,
      { cause },
    );
  };
  stage.ended.then(() => writer.abort().catch(() => {}));
  return new WritableStream<Uint8Array>({
    write: (chunk) => {
      host.readAhead();
      return writer.write(chunk).catch(gone);
    },
    close: () => writer.close().catch(() => {}),
    abort: () => writer.abort().catch(() => {}),
  });
}

/** Why it reads no more, where this side knows. */
function whyGone(stage: StageRun, { failure }: Host): string {
  if (failure === undefined) return "it reads no more";
  return failure.stage === stage
    ? failure.why
    : `${failure.stage.command} failed, ${failure.why}`;
}
