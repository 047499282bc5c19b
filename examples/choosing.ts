// Which mechanism for what: by the built-in figures, then by this machine's.
//
//   deno run -A examples/choosing.ts

import { choose, measure } from "@sluice/ipc";

console.log(String(choose()), "\n");
console.log(String(choose({ crossHost: true })), "\n");

const report = await measure({ duration: 200 });
console.log(String(report), "\n");
const cameraFrames = { messageSize: 6_000_000, rate: 120 };
console.log(String(choose({ ...cameraFrames, measured: report })));
