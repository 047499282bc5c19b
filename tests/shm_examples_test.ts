import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "@std/assert";
import { hasProgram, noShm, spawnPeer } from "./_shm.ts";

for (
  const [name, expected] of [
    ["ring", "1000000 records, sum 499999500000"],
    ["struct", "the child wrote 200000 times"],
    ["python", "shared -> DERAHS\nmemory -> YROMEM\nis fast -> TSAF SI"],
  ]
) {
  Deno.test(`examples/shm_${name}.ts runs as it is`, {
    // Python has no fences: see the example.
    ignore: noShm ||
      name === "python" &&
        (!hasProgram("python3") || Deno.build.arch !== "x86_64"),
  }, async () => {
    const example = new URL(`../examples/shm_${name}.ts`, import.meta.url);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-ffi", "--allow-run", fileURLToPath(example)],
    }).output();
    const text = new TextDecoder();
    assertEquals(code, 0, text.decode(stderr));
    assert(text.decode(stdout).startsWith(expected), text.decode(stdout));
  });
}

Deno.test("examples/shm_python.py ends when the other side is killed", {
  ignore: noShm || !hasProgram("python3") || Deno.build.arch !== "x86_64",
}, async () => {
  const name = `killed-${crypto.randomUUID()}`;
  const script = fileURLToPath(
    new URL("../examples/shm_python.py", import.meta.url),
  );
  const peer = spawnPeer(
    `const [name, script] = args;
     const capacity = 4096, offset = shm.Ring.byteLength(capacity);
     const memory = shm.SharedMemory.create(name, { size: 2 * offset });
     const requests = shm.Ring.create(memory, { capacity }).writer();
     const answers = shm.Ring.create(memory, { capacity, offset }).reader();
     new Deno.Command("python3", { args: [script, name], stderr: "null" })
       .spawn();
     await requests.write(new Uint8Array([97]));
     say(new TextDecoder().decode(await answers.read()));
     setInterval(() => {}, 1000);`,
    [name, script],
  );
  // Python has the same stdout: its end is the end of both.
  const output = new Response(peer.stdout as BodyInit).text();
  while (!claimed(name)) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  peer.kill("SIGKILL");
  await peer.stdin.close().catch(() => {});
  await peer.status;
  await output;
  assertEquals(exists(name), false);
});

const file = (name: string) => `/dev/shm/${name}`;

function exists(name: string): boolean {
  try {
    Deno.statSync(file(name));
    return true;
  } catch {
    return false;
  }
}

/** Whether Python has its side of the first ring: the consumer's pid. */
function claimed(name: string): boolean {
  if (!exists(name)) return false;
  const bytes = Deno.readFileSync(file(name));
  return new DataView(bytes.buffer).getUint32(128 + 32, true) !== 0;
}
