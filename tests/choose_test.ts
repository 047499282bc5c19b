// Each branch of the decision tree, and a measurement with a second process.

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { choose, type Needs } from "../choose.ts";
import { measure, type MeasureReport } from "../measure.ts";
import { schemes } from "../address.ts";
import { LatencyHistogram } from "../observe/mod.ts";
import { temporaryDirectory } from "./_tools.ts";

const unix = Deno.build.os !== "windows";
const pipes = schemes().includes("exec");

const cases: { needs: Needs; scheme: string; reason: RegExp }[] = [
  { needs: {}, scheme: "unix", reason: /one machine/ },
  { needs: { crossHost: true }, scheme: "tls", reason: /different machines/ },
  {
    needs: { crossHost: true, encrypted: false },
    scheme: "tcp",
    reason: /different machines/,
  },
  { needs: { encrypted: true }, scheme: "tls", reason: /encrypted/ },
  { needs: { roundTrip: 0.01 }, scheme: "shm", reason: /unix: is too slow/ },
  {
    needs: { messageSize: 6_000_000, rate: 90 },
    scheme: "shm",
    reason: /90 messages of 6000000 bytes/,
  },
  {
    needs: { roundTrip: 0.01, ffi: false },
    scheme: "unix",
    reason: /none.*Measure it on your machine/,
  },
  {
    needs: { roundTrip: 0.01, trusted: false },
    scheme: "unix",
    reason: /none/,
  },
  { needs: { roundTrip: 0.01, os: "darwin" }, scheme: "unix", reason: /none/ },
  { needs: { os: "windows" }, scheme: "tcp", reason: /Windows/ },
  { needs: { rate: 10_000_000 }, scheme: "shm", reason: /Send less/ },
  {
    needs: { sameFamily: true },
    scheme: pipes ? "exec" : "unix",
    reason: pipes ? /starts the other/ : /one machine/,
  },
];

for (const { needs, scheme, reason } of cases) {
  Deno.test(`choose takes ${scheme}: for ${JSON.stringify(needs)}`, () => {
    const choice = choose({ os: "linux", ...needs });
    assertEquals(choice.scheme, scheme, String(choice));
    assertMatch(choice.reasons.join("\n"), reason);
    assert(choice.address.startsWith(`${scheme}:`));
    assertEquals(
      choice.alternatives.map((other) => other.scheme).concat(scheme).sort(),
      schemes().filter((name) =>
        ["exec", "unix", "shm", "tcp", "tls"].includes(name)
      ).sort(),
    );
    assertEquals(choice.meetsNeeds, !/none|Send less/.test(String(reason)));
    assertMatch(String(choice), new RegExp(`^${scheme}: such as`));
  });
}

Deno.test("choose refuses numbers that make no sense", () => {
  assertThrows(() => choose({ rate: 0 }), RangeError, "Invalid rate");
  assertThrows(() => choose({ roundTrip: NaN }), RangeError, "above 0");
  assertThrows(
    () => choose({ messageSize: "1" as unknown as number }),
    TypeError,
    "Invalid messageSize",
  );
  assertThrows(
    () => choose({ os: "macos" as unknown as "darwin" }),
    TypeError,
    "Invalid os",
  );
});

Deno.test("choose goes by the figures of a measurement", () => {
  const histogram = new LatencyHistogram();
  histogram.record(0.001);
  const measured: MeasureReport = {
    measured: [{
      scheme: "unix",
      roundTrip: histogram.summary(),
      throughput: 1e11,
    }],
    skipped: [],
    messageSize: 1024,
    system: "a machine of the future",
  };
  const needs: Needs = { os: "linux", roundTrip: 0.005 };
  assertEquals(choose({ ...needs, measured }).scheme, "unix");
  assertEquals(choose(needs).meetsNeeds, false);
});

/** The permissions that a choice names are those that its transport takes. */
for (const scheme of ["unix", "shm", "tcp"]) {
  Deno.test({
    name: `choose names the permissions that ${scheme}: needs, and none more`,
    ignore: Deno.build.os !== "linux",
    async fn() {
      await using directory = await temporaryDirectory();
      const choice = choose({ os: "linux" });
      const { permissions } = [choice, ...choice.alternatives]
        .find((one) => one.scheme === scheme)!;
      const program = `
        import { connect, listen } from ${
        JSON.stringify(new URL("../address.ts", import.meta.url).href)
      };
        const listener = await listen(Deno.args[0]);
        const [one, other] = await Promise.all([
          connect(listener.address), listener.accept()]);
        one.abort(); other.abort(); await listener.close();
      `;
      const file = `${directory.path}/program.ts`;
      await Deno.writeTextFile(file, program);
      const address = scheme === "tcp"
        ? "tcp:127.0.0.1:0"
        : `${scheme}:${directory.path}/a.sock`;
      const run = async (flags: readonly string[]) => {
        const { code, stderr } = await new Deno.Command(Deno.execPath(), {
          args: ["run", "--no-prompt", "--no-check", ...flags, file, address],
        }).output();
        return { code, text: new TextDecoder().decode(stderr) };
      };
      const all = await run(permissions);
      assertEquals(all.code, 0, all.text);
      const fewer = permissions.map((left) =>
        run(permissions.filter((flag) => flag !== left))
      );
      for (const { code, text } of await Promise.all(fewer)) {
        assert(code !== 0 && /NotCapable/.test(text), text);
      }
    },
  });
}

Deno.test({
  name: "measure measures each transport with a second process",
  ignore: !unix,
  async fn() {
    const started: string[] = [];
    const before = [...Deno.readDirSync(".")].length;
    const report = await measure({
      duration: 20,
      messageSize: 3000,
      onStart: (scheme) => started.push(scheme),
    });
    assertEquals([...Deno.readDirSync(".")].length, before, "left a file");
    const names = [...report.measured, ...report.skipped]
      .map(({ scheme }) => scheme).sort();
    assertEquals(names, schemes({ listen: true }).sort());
    assertEquals(report.skipped.find(({ scheme }) => scheme === "tls"), {
      scheme: "tls",
      reason: "options.tls with cert and key is missing",
    });
    const unixAndTcp = report.measured.filter(({ scheme }) =>
      scheme === "unix" || scheme === "tcp"
    );
    assertEquals(unixAndTcp.length, 2, String(report));
    for (const { scheme } of report.measured) assert(started.includes(scheme));
    assert(!started.includes("nats"), "there is no server to measure");
    for (const { roundTrip, throughput } of report.measured) {
      assert(roundTrip.count > 0 && roundTrip.p50 > 0);
      assert(throughput > 0);
    }
    assertMatch(String(report), /unix: +[\d.]+ µs/);
    assert(choose({ measured: report }).reasons.length > 0);
  },
});

Deno.test({
  name: "measure works when the package was imported from a server",
  async fn() {
    const root = new URL("..", import.meta.url);
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      async (request) => {
        const { pathname } = new URL(request.url);
        try {
          const file = await Deno.readFile(new URL(`.${pathname}`, root));
          return new Response(file, {
            headers: { "content-type": "application/typescript" },
          });
        } catch {
          return new Response(null, { status: 404 });
        }
      },
    );
    await using directory = await temporaryDirectory();
    const file = `${directory.path}/program.ts`;
    await Deno.writeTextFile(
      file,
      `import { measure } from "http://127.0.0.1:${server.addr.port}/measure.ts";
      const report = await measure({ schemes: ["tcp"], duration: 10 });
      console.log(JSON.stringify(report));`,
    );
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--quiet", file],
      env: { DENO_DIR: `${directory.path}/cache`, DENO_NO_UPDATE_CHECK: "1" },
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const { measured, skipped } = JSON.parse(new TextDecoder().decode(stdout));
    assertEquals([measured.length, skipped], [1, []]);
  },
});

Deno.test("measure ends with its signal and leaves no process", async () => {
  const controller = new AbortController();
  const measuring = measure({
    schemes: ["tcp"],
    duration: 60_000,
    timeout: Infinity,
    signal: controller.signal,
  });
  const reason = new Error("enough");
  setTimeout(() => controller.abort(reason), 20);
  assertEquals(await assertRejects(() => measuring), reason);
});

Deno.test("measure reports a scheme that takes too long", async () => {
  const { measured, skipped } = await measure({
    schemes: ["tcp"],
    duration: 60_000,
    timeout: 400,
  });
  assertEquals(measured, []);
  assertMatch(skipped[0].reason, /TimeoutError|timed out/);
});

Deno.test({
  name: "measure without --allow-run says so",
  permissions: { run: false, read: true, write: true, net: true, env: true },
  async fn() {
    await assertRejects(
      () => measure({ schemes: ["tcp"], duration: 1 }),
      Deno.errors.NotCapable,
      "run",
    );
  },
});

Deno.test("measure refuses wrong options", async () => {
  await assertRejects(
    () => measure({ schemes: ["smoke"] }),
    TypeError,
    "Invalid scheme",
  );
  await assertRejects(() => measure({ messageSize: 0 }), RangeError);
  await assertRejects(() => measure({ duration: -1 }), RangeError);
});

Deno.test({
  name: "measure measures tls with a certificate",
  ignore: !unix,
  async fn() {
    await using directory = await temporaryDirectory();
    const [key, cert] = ["key.pem", "cert.pem"].map((name) =>
      `${directory.path}/${name}`
    );
    const { code } = await new Deno.Command("openssl", {
      args: `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes
        -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost
        -addext basicConstraints=critical,CA:FALSE
        -keyout ${key} -out ${cert}`.split(/\s+/),
      stdout: "null",
      stderr: "null",
    }).output();
    assertEquals(code, 0);
    const report = await measure({
      schemes: ["tls"],
      duration: 20,
      tls: {
        cert: await Deno.readTextFile(cert),
        key: await Deno.readTextFile(key),
      },
    });
    assertEquals(report.measured.length, 1, String(report));
  },
});

Deno.test("docs/choosing.md prints what choose says", async () => {
  const page = new URL("../docs/choosing.md", import.meta.url);
  const printed = /^```\n(shm: .*?)\n```$/ms.exec(
    await Deno.readTextFile(page),
  );
  assertEquals(
    printed?.[1],
    String(choose({ os: "linux", roundTrip: 0.02 })),
  );
});
