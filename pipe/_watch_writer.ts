// Between commands that share a kernel pipe, no read of this program shows that
// the pipe is silent: it has to be looked at.

import { heldOutput } from "./_failures.ts";
import type { Host } from "./_host.ts";
import type { Link } from "./_links.ts";
import type { StageRun } from "./_stage_run.ts";

/** Finds out whether a process that `writer` left keeps the reader waiting. */
export function watchWriter(
  { pipe, writer }: Link & { from: "pipe" },
  reader: { pid: number; stage: StageRun },
  host: Host,
): void {
  const { drainTimeout } = host.options;
  if (!(drainTimeout < 2 ** 31)) return;
  const look = () => {
    if (reader.stage.end !== undefined || host.ending) return;
    const state = pipe.look(reader.pid);
    if (state === "busy") host.later(drainTimeout, look);
    if (state !== "silent") return;
    writer.signal("SIGKILL"); // the group outlives its leader
    host.fail(heldOutput(writer, drainTimeout));
  };
  writer.ended.then(() => host.later(drainTimeout, look));
}
