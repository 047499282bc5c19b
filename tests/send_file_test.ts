import { fileURLToPath } from "node:url";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import { type Connection, ConnectionClosedError } from "../duplex.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";
import { connectTcp, listenTcp, sendFile } from "../tcp/mod.ts";
import {
  countDescriptors,
  startDenoPeer,
  temporaryDirectory,
} from "./_tools.ts";

const linux = Deno.build.os === "linux";
const encoder = new TextEncoder();

/** Bytes that differ at every place. */
function pattern(length: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let at = 0; at < words.length; at++) words[at] = at * 2654435761;
  return new Uint8Array(words.buffer, 0, length);
}

interface Setting extends AsyncDisposable {
  client: Connection;
  server: Connection;
  path: string;
  content: Uint8Array<ArrayBuffer>;
}

async function setting(
  scheme: "tcp" | "unix",
  size = 3_000_001,
): Promise<Setting> {
  const directory = await temporaryDirectory();
  const path = `${directory.path}/file`;
  const content = pattern(size);
  await Deno.writeFile(path, content);
  const address = `${directory.path}/a.sock`;
  const listener = scheme === "tcp"
    ? await listenTcp()
    : await listenUnix({ path: address });
  const [client, server] = await Promise.all([
    "port" in listener
      ? connectTcp({ port: listener.port as number })
      : connectUnix({ path: address }),
    listener.accept(),
  ]);
  return {
    client,
    server,
    path,
    content,
    async [Symbol.asyncDispose]() {
      client.abort();
      server.abort();
      await listener.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

async function write(connection: Connection, text: string): Promise<void> {
  const writer = connection.writable.getWriter();
  await writer.write(encoder.encode(text));
  writer.releaseLock();
}

async function readAll(connection: Connection): Promise<Uint8Array> {
  const chunks = await Array.fromAsync(connection.readable);
  return await new Blob(chunks as BlobPart[]).bytes();
}

for (const scheme of ["tcp", "unix"] as const) {
  Deno.test(`sendFile sends a whole file over ${scheme}, in its turn`, async () => {
    await using ends = await setting(scheme);
    const received = readAll(ends.client);
    await write(ends.server, "before");
    const sent = sendFile(ends.server, ends.path);
    await Promise.resolve();
    const result = await sent;
    await write(ends.server, "after");
    await ends.server.writable.close();
    assertEquals(result, { bytes: ends.content.length, zeroCopy: linux });
    const bytes = await received;
    assertEquals(bytes.length, ends.content.length + 11);
    assertEquals(bytes.subarray(0, 6), encoder.encode("before"));
    assert(equal(bytes.subarray(6, -5), ends.content));
    assertEquals(bytes.subarray(-5), encoder.encode("after"));
  });

  Deno.test(`sendFile keeps what is written meanwhile behind it over ${scheme}`, async () => {
    await using ends = await setting(scheme, 20_000_000);
    const sent = sendFile(ends.server, ends.path);
    const trailer = write(ends.server, "after");
    const received = readAll(ends.client);
    await Promise.all([sent, trailer]);
    await ends.server.close();
    const bytes = await received;
    assert(equal(bytes.subarray(0, -5), ends.content));
    assertEquals(bytes.subarray(-5), encoder.encode("after"));
  });

  Deno.test(`sendFile sends a part of an open file over ${scheme} and leaves its position`, async () => {
    await using ends = await setting(scheme);
    using file = await Deno.open(ends.path);
    await file.seek(17, Deno.SeekMode.Start);
    const received = readAll(ends.client);
    const one = await sendFile(ends.server, file, { offset: 5, length: 100 });
    const two = await sendFile(ends.server, file, {
      offset: 1001,
      length: 500_000,
    });
    const rest = await sendFile(ends.server, file, { offset: 2_999_999 });
    await ends.server.writable.close();
    assertEquals(one, { bytes: 100, zeroCopy: false });
    assertEquals(two, { bytes: 500_000, zeroCopy: linux });
    assertEquals(rest.bytes, 2);
    const bytes = await received;
    assert(equal(bytes.subarray(0, 100), ends.content.subarray(5, 105)));
    assert(equal(
      bytes.subarray(100, 500_100),
      ends.content.subarray(1001, 501_001),
    ));
    assert(equal(bytes.subarray(500_100), ends.content.subarray(2_999_999)));
    assertEquals(await file.seek(0, Deno.SeekMode.Current), 17);
  });

  Deno.test(`sendFile tells how far it came over ${scheme}`, async () => {
    await using ends = await setting(scheme, 10_000_000);
    const received = readAll(ends.client);
    const seen: number[][] = [];
    await sendFile(ends.server, ends.path, {
      offset: 1,
      onProgress(sent, total) {
        seen.push([sent, total]);
        throw new Error("What a hook throws is dropped");
      },
    });
    await ends.server.writable.close();
    assert(equal(await received, ends.content.subarray(1)));
    assert(seen.length >= 3, String(seen));
    assertEquals(seen.at(-1), [9_999_999, 9_999_999]);
    for (let at = 1; at < seen.length; at++) {
      assert(seen[at][0] > seen[at - 1][0]);
      assertEquals(seen[at][1], 9_999_999);
    }
  });

  Deno.test(`sendFile waits for a slow peer over ${scheme}`, async () => {
    await using ends = await setting(scheme, 12_000_000);
    let done = false;
    const sent = sendFile(ends.server, ends.path).finally(() => done = true);
    const reader = ends.client.readable.getReader({ mode: "byob" });
    let at = 0;
    while (at < ends.content.length) {
      const { value } = await reader.read(new Uint8Array(300_000));
      assert(value && value.length > 0);
      assert(
        equal(value, ends.content.subarray(at, at + value.length)),
        `differs after ${at}`,
      );
      at += value.length;
      if (at < 1_000_000) assert(!done, "12 MB fit no socket");
    }
    assertEquals((await sent).bytes, ends.content.length);
    reader.releaseLock();
  });

  Deno.test(`sendFile rejects when the peer goes away over ${scheme}`, async () => {
    await using ends = await setting(scheme, 20_000_000);
    const sending = sendFile(ends.server, ends.path);
    const reader = ends.client.readable.getReader();
    await reader.read();
    reader.releaseLock();
    ends.client.abort();
    const error = await assertRejects(() => sending, ConnectionClosedError);
    assertEquals(error.code, "lost");
    await assertRejects(() => ends.server.closed, ConnectionClosedError);
  });

  Deno.test(`sendFile ends with its signal over ${scheme}, and order is kept`, async () => {
    await using ends = await setting(scheme, 20_000_000);
    const stop = new AbortController();
    const sending = sendFile(ends.server, ends.path, { signal: stop.signal });
    const reader = ends.client.readable.getReader();
    await reader.read();
    stop.abort(new Error("enough"));
    await assertRejects(() => sending, Error, "enough");
    reader.releaseLock();
    // The part that was sent is a prefix, and later bytes follow it.
    const trailer = write(ends.server, "after");
    const received = readAll(ends.client);
    await trailer;
    await ends.server.close();
    const bytes = await received;
    assert(bytes.length < ends.content.length);
    assertEquals(bytes.subarray(-5), encoder.encode("after"));
  });

  Deno.test(`sendFile says how far it came when the file is cut off over ${scheme}`, async () => {
    await using ends = await setting(scheme, 20_000_000);
    const failed = assertRejects(
      () => sendFile(ends.server, ends.path),
      Deno.errors.UnexpectedEof,
      "of 20000000 bytes",
    );
    const reader = ends.client.readable.getReader();
    await reader.read();
    await Deno.truncate(ends.path, 100);
    const drained = (async () => {
      while (!(await reader.read()).done);
    })();
    const error = await failed;
    assert(/it ended after \d+ of/.test(error.message), error.message);
    await ends.server.close(); // the connection is whole
    await drained;
    reader.releaseLock();
  });
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && indexedEqual(a, b);
}

function indexedEqual(a: Uint8Array, b: Uint8Array): boolean {
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

Deno.test("sendFile refuses bad ranges before a byte is sent", async () => {
  await using ends = await setting("tcp", 100);
  for (
    const [options, message] of [
      [{ offset: -1 }, "Invalid offset"],
      [{ length: -1 }, "Invalid length"],
      [{ length: 1.5 }, "Invalid length"],
      [{ length: 101 }, "offset 0 and length 101 exceed its 100 bytes"],
      [{ offset: 101 }, "offset 101 and length 0 exceed its 100 bytes"],
      [{ offset: 60, length: 41 }, "offset 60 and length 41 exceed"],
    ] as const
  ) {
    await assertRejects(
      () => sendFile(ends.server, ends.path, options),
      RangeError,
      message,
    );
  }
  assertEquals(await sendFile(ends.server, ends.path, { offset: 100 }), {
    bytes: 0,
    zeroCopy: false,
  });
  await ends.server.close();
  assertEquals((await readAll(ends.client)).length, 0);
});

Deno.test("sendFile names what it can't open", async () => {
  await using ends = await setting("tcp", 1);
  await assertRejects(
    () => sendFile(ends.server, `${ends.path}.none`),
    Deno.errors.NotFound,
    `Cannot send ${ends.path}.none`,
  );
  const directory = ends.path.replace(/\/file$/, "");
  await assertRejects(
    () => sendFile(ends.server, directory),
    Deno.errors.IsADirectory,
  );
  await assertRejects(
    () => sendFile(ends.server, 5 as unknown as string),
    TypeError,
    "Invalid file",
  );
});

Deno.test("sendFile refuses a locked writable and a closed connection", async () => {
  await using ends = await setting("tcp", 100_000);
  const writer = ends.server.writable.getWriter();
  await assertRejects(
    () => sendFile(ends.server, ends.path),
    TypeError,
    "writable is locked",
  );
  writer.releaseLock();
  await ends.server.close();
  const error = await assertRejects(
    () => sendFile(ends.server, ends.path),
    ConnectionClosedError,
  );
  assertEquals(error.code, "closed");
});

Deno.test("sendFile tells why the connection was aborted while the file opens", async () => {
  for (const scheme of ["tcp", "unix"] as const) {
    await using ends = await setting(scheme);
    const sent = assertRejects(() => sendFile(ends.server, ends.path), Error);
    await Promise.resolve();
    const reason = new Error("no more");
    ends.server.abort(reason);
    assertEquals(await sent, reason);
  }
});

Deno.test("sendFile writes to any stream", async () => {
  await using ends = await setting("tcp", 700_000);
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const received = new Response(readable as BodyInit).bytes();
  const result = await sendFile({ writable }, ends.path, { offset: 1 });
  await writable.close();
  assertEquals(result, { bytes: 699_999, zeroCopy: false });
  assert(equal(await received, ends.content.subarray(1)));
});

Deno.test({
  name: "sendFile sends what has no size, such as a file of /proc",
  ignore: !linux,
  async fn() {
    await using ends = await setting("tcp", 1);
    const received = readAll(ends.client);
    await sendFile(ends.server, "/proc/version");
    await ends.server.writable.close();
    assertEquals(
      new TextDecoder().decode(await received),
      await Deno.readTextFile("/proc/version"),
    );
  },
});

Deno.test({
  name: "sendFile leaves no descriptor behind, whatever happened",
  ignore: !linux,
  async fn() {
    const before = countDescriptors();
    for (let round = 0; round < 5; round++) {
      await using ends = await setting("tcp", 20_000_000);
      const stop = new AbortController();
      const sending = sendFile(ends.server, ends.path, {
        signal: stop.signal,
      });
      const reader = ends.client.readable.getReader();
      await reader.read();
      reader.releaseLock();
      if (round % 2 === 0) ends.client.abort();
      else stop.abort();
      await assertRejects(() => sending);
    }
    for (let tries = 0; countDescriptors() > before && tries < 50; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assertEquals(countDescriptors(), before);
  },
});

Deno.test("sendFile reaches a process that reads slowly, with no ffi there", async () => {
  await using listener = await listenTcp();
  await using peer = startDenoPeer("digest_reader.ts", String(listener.port));
  await using server = await listener.accept();
  const path = await Deno.makeTempFile();
  const content = pattern(5_000_000);
  await Deno.writeFile(path, content);
  try {
    const { bytes } = await sendFile(server, path);
    assertEquals(bytes, content.length);
    await server.close();
    const hash = await crypto.subtle.digest("SHA-256", content);
    assertEquals(await peer.line(), new Uint8Array(hash).toHex());
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("sendFile and splice work without --allow-ffi", async () => {
  const script = new URL("peers/zero_copy_without_ffi.ts", import.meta.url);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-net",
      "--allow-read",
      fileURLToPath(script),
    ],
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  assertEquals(
    new TextDecoder().decode(stdout).trim(),
    "sendFile false, splice 0 moved",
  );
});

Deno.test("sendFile to a file that can't be read says so", async () => {
  await using ends = await setting("tcp", 100_000);
  using file = await Deno.open(ends.path, { write: true });
  const error = await assertRejects(() => sendFile(ends.server, file));
  assertInstanceOf(error, Error);
  // The connection is whole: the file was at fault.
  await write(ends.server, "fine");
  await ends.server.close();
  assertEquals(await readAll(ends.client), encoder.encode("fine"));
});
