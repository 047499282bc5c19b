// Lines into `cat`: BufferedWriter, or one write a line. See bench/buffered.ts.

import { BufferedWriter } from "../../pipe/buffered_writer.ts";

const [kind, count] = Deno.args;
const lines = Number(count);
const text = "2026-01-01T00:00:00Z INFO request served in 12 ms by worker 3\n";
const bytes = new TextEncoder().encode(text);

const child = new Deno.Command("cat", {
  stdin: "piped",
  stdout: "null",
}).spawn();
const started = performance.now();
if (kind === "write") {
  const writer = child.stdin.getWriter();
  for (let line = 0; line < lines; line++) await writer.write(bytes);
  await writer.close();
} else {
  const chunk = kind === "bytes" ? bytes : text;
  const writer = new BufferedWriter(child.stdin, {
    highWaterMark: Number(Deno.env.get("HWM") ?? 65536),
  });
  for (let line = 0; line < lines; line++) {
    const room = writer.write(chunk);
    if (kind === "await" || room !== undefined) await room;
  }
  await writer.close();
}
const { success } = await child.status;
if (!success) throw new Error("cat failed");
console.log(Math.round((performance.now() - started) * 1e6));
