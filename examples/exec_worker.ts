// A Python program as a worker: it is started as a child, spoken to in frames
// over its stdin and stdout, and its logs stay apart on stderr.
//
//   deno run -A examples/exec_worker.ts

import { connect } from "@sluice/ipc";
import { channel, json } from "@sluice/ipc/framing";

interface Answer {
  id: number;
  mean?: number;
  error?: string;
}

const script = `${import.meta.dirname}/exec_worker.py`;
await using connection = await connect(`exec:python3 "${script}"`);
await using worker = channel<Answer, { id: number; values: number[] }>(
  connection,
  { codec: json },
);

await worker.send({ id: 1, values: [1, 2, 3, 4] });
await worker.send({ id: 2, values: [] });
for (let count = 0; count < 2; count++) {
  const { id, mean, error } = await worker.receive({ timeout: 10_000 });
  console.log(`request ${id}:`, error ?? mean);
}
