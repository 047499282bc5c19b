// sluice bench and sluice choose.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { CLI, openTmux, sluice } from "./_cli.ts";
import { hasProgram, temporaryDirectory } from "./_tools.ts";

Deno.test("cli: bench measures, and choose decides by its figures", async () => {
  const { code, stdout, stderr } = await sluice([
    ..."bench --only unix,tcp --time 10 --size 100 --json".split(" "),
  ]);
  assertEquals([code, stderr], [0, ""]);
  const report = JSON.parse(stdout);
  assertEquals(report.messageSize, 100);
  const names = report.measured.map(({ scheme }: { scheme: string }) => scheme);
  assertEquals(names.sort(), ["tcp", "unix"]);

  await using directory = await temporaryDirectory();
  const file = `${directory.path}/figures.json`;
  // As if this machine's Unix sockets were slow and its TCP fast.
  for (const one of report.measured) {
    one.roundTrip.p50 = one.scheme === "tcp" ? 0.001 : 50;
  }
  await Deno.writeTextFile(file, JSON.stringify(report));
  const needs = ["choose", "--os", "darwin", "--round-trip", "1"];
  const chosen = await sluice([...needs, "--measured", file]);
  assertMatch(chosen.stdout, /^tcp: /);
  const piped = await sluice(
    [...needs, "--measured", "-", "--json"],
    JSON.stringify(report),
  );
  assertEquals(JSON.parse(piped.stdout).scheme, "tcp");
});

Deno.test("cli: bench prints a table, with what was not measured", async () => {
  const { code, stdout } = await sluice([
    ..."bench --only tcp,tls,nats --time 10".split(" "),
  ]);
  assertEquals(code, 0);
  assertMatch(stdout, /^tcp: +[\d.]+ µs +[\d.]+ µs +\d+ MB\/s$/m);
  assertMatch(stdout, /^tls: not measured: needs --cert and --key$/m);
  assertMatch(stdout, /^nats: not measured: needs a NATS server$/m);
  const nothing = await sluice(["bench", "--only", "nats"]);
  assertEquals(nothing.code, 1);
  assertMatch(nothing.stderr, /Nothing was measured/);
});

Deno.test("cli: choose prints the mechanism, reasons, permissions, alternatives", async () => {
  const { code, stdout } = await sluice(["choose", "--cross-host"]);
  assertEquals(code, 0);
  assertMatch(stdout, /^tls: {2}such as tls:example\.com:9443\n/);
  assertMatch(stdout, /^needs --allow-net$/m);
  assertMatch(stdout, /because\n {2}- The programs run on different machines/);
  assertMatch(stdout, /instead\n(.*\n)* {2}- tcp: when the network encrypts/);
  const slow = await sluice(["choose", "--round-trip", "0.000001"]);
  assertEquals(slow.code, 0);
  assertMatch(slow.stderr, /Nothing does all of it/);
});

const MISTAKES: [args: string[], message: RegExp][] = [
  [["bench", "--only", "smoke"], /--only is "smoke": expected unix/],
  [["bench", "--time", "0"], /--time is "0": expected a whole number/],
  [["bench", "--cert", "a"], /--cert and --key go together/],
  [["bench", "unix:/a"], /unexpected argument "unix:\/a"/],
  [["choose", "--rate", "-1"], /--rate is "-1": expected a number above 0/],
  [["choose", "--size", "big"], /--size is "big": expected a number/],
  [["choose", "--os", "beos"], /--os is "beos": expected one of linux/],
  [["choose", "--measured", "/dev/null"], /holds no figures of sluice bench/],
  [["choose", "--size", "--json"], /--size <value> has no value|--size/],
];

Deno.test("cli: bench and choose name a mistake", async () => {
  await Promise.all(MISTAKES.map(async ([args, message]) => {
    const { code, stdout, stderr } = await sluice(args);
    assertEquals([code, stdout], [2, ""], stderr);
    assertMatch(stderr, message);
    assert(stderr.split("\n").length <= 3, stderr);
  }));
});

Deno.test({
  name: "cli: bench shows its progress in a terminal, and Ctrl-C ends it",
  ignore: !hasProgram("tmux"),
  async fn() {
    await using directory = await temporaryDirectory();
    const command = `TMPDIR='${directory.path}' '${Deno.execPath()}' run -A ` +
      `'${CLI}' bench --only unix,tcp --time 60000`;
    await using terminal = await openTmux(command);
    await terminal.shows(/Measuring unix: \(1 of 2\)/);
    await terminal.press("C-c");
    const screen = await terminal.shows(/exit code: 130/);
    assert(!screen.includes("Measuring"), "the progress was left");
    assertEquals([...Deno.readDirSync(directory.path)], []);
  },
});
