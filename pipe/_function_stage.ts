// A JavaScript stage: what comes before it goes in, what it yields comes out.

import { failedStage } from "./_failures.ts";
import type { Host } from "./_host.ts";
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

/** Where a function stands. */
export interface FunctionPlace {
  stage: StageRun;
  index: number;
}

/** Starts it: nothing runs before what it yields is asked for. */
export function startFunctionStage(
  { run }: CheckedStage & { kind: "javascript" },
  link: Link,
  { stage, index }: FunctionPlace,
  host: Host,
): Source {
  let before: Source = EMPTY;
  if (link.from === "source") before = link.source;
  else if (link.from === "inherit") {
    before = streamSource("stdin", Deno.stdin.readable);
  } else if (link.from === "piped") {
    const through = new TransformStream<Uint8Array, Uint8Array>();
    host.input = through.writable;
    before = streamSource("stdin", through.readable);
  }
  const what = `Cannot pass on what stage ${index} yields`;
  let source: Source;
  if (typeof run === "function") {
    source = iterableSource(what, run(toStream(before)));
  } else {
    const writable = run.writable as WritableStream<Uint8Array>;
    toStream(before).pipeTo(writable).catch(() => {}); // `source` says it
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
        host.fail(failedStage(stage, cause));
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
