// Who takes part, and what is measured. The committed results have to have all
// of it: tests/bench_report_test.ts checks that.

import { schemes } from "../../mod.ts";

/** A pair of programs that exchange frames. */
export interface Contender {
  /** As the results name it, such as `"sluice unix:"`. */
  name: string;
  /** Which program runs both ends. */
  program: "deno" | "rust" | "node";
  /** What the program does, such as `"sluice"` or `"bare"`. */
  kind: string;
  /** The scheme that tells how an address is made. */
  scheme: string;
}

/** What one run measures. */
export interface Workload {
  name: string;
  type: "echo" | "sink";
  /** Bytes of each payload. */
  size: number;
  count: number;
}

/** Schemes that are not ends of their own, or need a server of others. */
const LEFT_OUT = ["stdio", "tls", "nats"];

/** All contenders, ours first. */
export const CONTENDERS: readonly Contender[] = [
  ...schemes().filter((scheme) => !LEFT_OUT.includes(scheme)).map((
    scheme,
  ): Contender => ({
    name: `sluice ${scheme}:`,
    program: "deno",
    kind: "sluice",
    scheme,
  })),
  ...["unix", "tcp"].flatMap((scheme): Contender[] => [
    { name: `bare Deno, ${scheme}`, program: "deno", kind: "bare", scheme },
    { name: `Rust std, ${scheme}`, program: "rust", kind: "rust", scheme },
    { name: `Node net, ${scheme}`, program: "node", kind: "node", scheme },
  ]),
];

const K = 1024;

/** All workloads. */
export const WORKLOADS: readonly Workload[] = [
  { name: "round trip, 1 B", type: "echo", size: 1, count: 5_000 },
  { name: "round trip, 64 B", type: "echo", size: 64, count: 10_000 },
  { name: "round trip, 1 KiB", type: "echo", size: K, count: 5_000 },
  { name: "round trip, 64 KiB", type: "echo", size: 64 * K, count: 2_000 },
  { name: "round trip, 1 MiB", type: "echo", size: K * K, count: 200 },
  { name: "one way, 64 B", type: "sink", size: 64, count: 1_000_000 },
  { name: "one way, 64 KiB", type: "sink", size: 64 * K, count: 8_000 },
];

/** What `others.ts` measures, by group. */
export const OTHERS = {
  pipes: ["sh: head | wc", "sluice pipeline: head | wc"],
  start: [
    "an empty program",
    "importing @sluice/ipc, as published",
    "importing @sluice/ipc from a checkout",
  ],
  rpc: ["sluice", "birpc 4.2.0", "capnweb 0.12.0", "vscode-jsonrpc 8.2.1"],
} as const;
