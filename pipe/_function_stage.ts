// A JavaScript stage: what comes before it goes in, what it yields comes out.

import type { Link } from "./_links.ts";
import {
  EMPTY,
  iterableSource,
  type Source,
  streamSource,
  toStream,
} from "./_source.ts";
import type { StageRun } from "./_stage_run.ts";
import type { CheckedStage } from "./_stages.ts";
import type { Failure } from "./_verdict.ts";

/** What {@linkcode startFunction} needs to know. */
export interface FunctionStageOptions {
  stage: StageRun;
  index: number;
  /** Gets what the user writes to, where the stage is the first. */
  setInput(writable: WritableStream<Uint8Array>): void;
  /** Called with what it threw. */
  fail(failure: Failure): void;
}

/** Starts it: nothing runs before what it yields is asked for. */
export function startFunction(
  { run }: CheckedStage & { kind: "javascript" },
  link: Link,
  { stage, index, setInput, fail }: FunctionStageOptions,
): Source {
  let before: Source = EMPTY;
  if (link.from === "source") before = link.source;
  else if (link.from === "inherit") {
    before = streamSource("stdin", Deno.stdin.readable);
  } else if (link.from === "piped") {
    const through = new TransformStream<Uint8Array, Uint8Array>();
    setInput(through.writable);
    before = streamSource("stdin", through.readable);
  }
  const what = `Cannot pass on what stage ${index} yields`;
  let source: Source;
  if (typeof run === "function") {
    source = iterableSource(what, run(toStream(before)));
  } else {
    toStream(before).pipeTo(run.writable).catch(() => {}); // `source` says it
    source = streamSource(what, run.readable);
  }
  const finish = (code: number) => {
    stage.finish({ code, signal: null });
    before.cancel(); // what it left unread nobody will read
  };
  const watched: Source = {
    next: async () => {
      try {
        const chunk = await source.next();
        if (chunk === null) finish(0);
        return chunk;
      } catch (cause) {
        finish(1);
        fail({
          code: "stage-failed",
          why: `it threw ${String(cause)}`,
          stage,
          cause,
        });
        return null;
      }
    },
    cancel: () => {
      source.cancel();
      finish(0);
    },
  };
  return watched;
}
