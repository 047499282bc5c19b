// Collects whole lines from any number of programs through one FIFO: shell
// scripts, cron jobs, whatever can write to a file. Each line gets a time.
//
//   deno run -A examples/fifo_log_collector.ts             # shows itself at work
//   deno run -A examples/fifo_log_collector.ts /tmp/log    # until Ctrl-C
//   echo "from a script" > /tmp/log

import { BufferedWriter, mkfifo, openFifo } from "@sluice/ipc/pipe";

await using cleanup = new AsyncDisposableStack();
const path = Deno.args[0] ?? `${await temporaryDirectory()}/log`;
// A collector that was killed leaves its FIFO: take its place.
using fifo = await mkfifo(path, { mode: 0o622, ifExists: "replace" });
await using reader = await openFifo(fifo.path, "read", { keepOpen: true });
Deno.addSignalListener("SIGINT", () => reader.close());
if (Deno.args.length === 0) {
  demonstrate().finally(() => reader.close());
} else console.error(`Collecting from ${path}`);

await using output = new BufferedWriter(Deno.stdout.writable);
const decoder = new TextDecoder();
let rest = "";
for await (const chunk of reader.readable) {
  const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
  rest = lines.pop()!;
  for (const line of lines) {
    await output.write(`${new Date().toISOString()} ${line}\n`);
  }
}

/** Three shells at the same time, and this program itself. */
async function demonstrate(): Promise<void> {
  const script = 'for i in 1 2 3; do echo "shell $1: line $i" > "$2"; done';
  const shells = ["a", "b", "c"].map((name) =>
    new Deno.Command("sh", { args: ["-c", script, "sh", name, path] }).output()
  );
  await using writer = await openFifo(path, "write");
  // Up to PIPE_BUF (4096 bytes), a message never mixes with another.
  await writer.writeAtomic("deno: one whole line\n");
  await Promise.all(shells);
}

async function temporaryDirectory(): Promise<string> {
  const directory = await Deno.makeTempDir();
  cleanup.defer(() => Deno.remove(directory, { recursive: true }));
  return directory;
}
