import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Connection, ConnectionClosedError } from "../duplex.ts";
import { SharedMemory } from "../shm/mod.ts";
import {
  connectUnix,
  listenUnix,
  receiveDescriptor,
  sendDescriptor,
} from "../socket/mod.ts";
import { connectTcp, listenTcp } from "../tcp/mod.ts";
import {
  countDescriptors,
  hasProgram,
  startDenoPeer,
  startPeer,
  temporaryDirectory,
} from "./_tools.ts";

const linux = Deno.build.os === "linux";
const test = (name: string, fn: () => Promise<void>, ignore = false) =>
  Deno.test({ name, fn, ignore: !linux || ignore });
const python = !hasProgram("python3");

async function pair() {
  const directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  const listener = await listenUnix({ path });
  const [client, server] = await Promise.all([
    connectUnix({ path }),
    listener.accept(),
  ]);
  return {
    directory: directory.path,
    client,
    server,
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
  await writer.write(new TextEncoder().encode(text));
  writer.releaseLock();
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function readText(readable: ReadableStream<Uint8Array>): Promise<string> {
  const chunks = await Array.fromAsync(readable);
  return await new Blob(chunks as BlobPart[]).text();
}

test("sendDescriptor carries an open file, at its position", async () => {
  await using ends = await pair();
  const path = `${ends.directory}/file`;
  await Deno.writeTextFile(path, "0123456789");
  using other = await Deno.open(path); // the same file, another position
  using file = await Deno.open(path, { read: true, write: true });
  await file.seek(4, Deno.SeekMode.Start);
  await Deno.remove(path); // it needs no name
  await write(ends.server, "before");
  const sent = sendDescriptor(ends.server, file, {
    data: new TextEncoder().encode("here"),
  });
  const reader = ends.client.readable.getReader({ mode: "byob" });
  await reader.read(new Uint8Array(6), { min: 6 });
  reader.releaseLock();
  await sent;
  using message = await receiveDescriptor(ends.client);
  assertEquals(text(message.data), "here");
  const [received] = message.descriptors;
  assertEquals(received.kind, "file");
  assertEquals(await readText(received.readable), "456789");
  assertEquals(await file.seek(0, Deno.SeekMode.Current), 10); // shared
  assertEquals(await other.seek(0, Deno.SeekMode.Current), 0);
  const writer = received.writable.getWriter();
  await writer.write(new TextEncoder().encode("abc"));
  await file.seek(8, Deno.SeekMode.Start);
  const rest = new Uint8Array(9);
  assertEquals(await file.read(rest), 5);
  assertEquals(text(rest.subarray(0, 5)), "89abc");
});

test("sendDescriptor carries memory, a pipe, a connection and a listener at once", async () => {
  await using ends = await pair();
  using memory = SharedMemory.anonymous({ size: 100 });
  memory.bytes[0] = 42;
  await using tcp = await listenTcp();
  await using peer = await connectTcp(tcp);
  const accepted = await tcp.accept();
  await sendDescriptor(ends.client, [memory, accepted, tcp]);
  using message = await receiveDescriptor(ends.server);
  assertEquals(
    message.descriptors.map(({ kind }) => kind),
    ["file", "socket", "listener"],
  );
  const [first, second, third] = message.descriptors;
  using mapped = SharedMemory.fromDescriptor(first.release());
  assertEquals(mapped.bytes[0], 42);

  const connection = second.connection();
  assertEquals(connection.remote, peer.local);
  assertEquals(connection.local, peer.remote);
  await write(peer, "ping");
  await peer.writable.close();
  assertEquals(await readText(connection.readable), "ping");
  await write(connection, "pong");
  await connection.close();
  assertEquals(await readText(peer.readable), "pong");
  accepted.abort(); // before, the runtime would have shut the socket down

  await using listener = third.listener();
  assertEquals(listener.address, tcp.address);
  await using late = await connectTcp({ port: tcp.port });
  await using server = await listener.accept();
  await write(server, "hello");
  await server.close();
  assertEquals(await readText(late.readable), "hello");
});

test("sendDescriptor hands connections to another process", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using listener = await listenUnix({ path });
  await using worker = startDenoPeer("connection_worker.ts", path);
  await using channel = await listener.accept();
  assertEquals(await worker.line(), "ready");
  await using tcp = await listenTcp();
  for (let round = 0; round < 3; round++) {
    await using client = await connectTcp(tcp);
    const accepted = await tcp.accept();
    await sendDescriptor(channel, accepted);
    const bytes = crypto.getRandomValues(new Uint8Array(50_000));
    const writer = client.writable.getWriter();
    writer.write(bytes);
    writer.close();
    const chunks = await Array.fromAsync(client.readable);
    const echoed = await new Blob(chunks as BlobPart[]).bytes();
    assertEquals(echoed.length, bytes.length);
    assert(echoed.every((byte, at) => byte === bytes[at]));
    assertEquals(await worker.line(), `served ${client.local}`);
    accepted.abort();
  }
});

test("sendDescriptor and receiveDescriptor speak with Python", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  const script = fileURLToPath(
    new URL("peers/descriptor_peer.py", import.meta.url),
  );
  const names = ["one", "two"].map((name) => `${directory.path}/${name}`);
  for (const name of names) await Deno.writeTextFile(name, name.slice(-3));
  await using listener = await listenUnix({ path });
  {
    await using peer = startPeer("python3", [script, "receive", path]);
    await using connection = await listener.accept();
    using one = await Deno.open(names[0]);
    using two = await Deno.open(names[1]);
    await sendDescriptor(connection, [one, two], {
      data: new TextEncoder().encode("to python"),
    });
    assertEquals(await peer.line(), "to python 2");
    assertEquals(await peer.line(), "one two");
  }
  await using peer = startPeer("python3", [script, "send", path, ...names]);
  await using connection = await listener.accept();
  using message = await receiveDescriptor(connection, { timeout: 10_000 });
  assertEquals(text(message.data), "from python");
  assertEquals(
    await Promise.all(
      message.descriptors.map(({ readable }) => readText(readable)),
    ),
    ["one", "two"],
  );
  assertEquals(await peer.line(), "sent");
}, python);

test(
  "receiveDescriptor refuses a message with too many, and leaks none",
  async () => {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a.sock`;
    const script = fileURLToPath(
      new URL("peers/descriptor_peer.py", import.meta.url),
    );
    await using listener = await listenUnix({ path });
    await using _peer = startPeer("python3", [script, "many", path, "200"]);
    await using connection = await listener.accept();
    const before = countDescriptors();
    await assertRejects(
      () => receiveDescriptor(connection, { timeout: 10_000 }),
      Deno.errors.InvalidData,
      "a message brought more than maxDescriptors 16",
    );
    assertEquals(countDescriptors(), before);
    const reader = connection.readable.getReader(); // it goes on
    const { value } = await reader.read();
    reader.releaseLock();
    assertEquals(text(value!), "after");
  },
  python,
);

test("sendDescriptor leaks nothing at a peer that does not expect one", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using listener = await listenUnix({ path });
  await using peer = startDenoPeer("plain_reader.ts", path);
  await using connection = await listener.accept();
  await write(connection, "go");
  assertEquals(await peer.line(), "ready");
  using file = await Deno.open(path.replace("a.sock", "file"), {
    create: true,
    write: true,
  });
  for (let round = 0; round < 100; round++) {
    await sendDescriptor(connection, [file, file, file]);
  }
  await connection.close();
  assertEquals(await peer.line(), "100 bytes, 0 descriptors");
});

test("receiveDescriptor closes what nobody takes", async () => {
  await using ends = await pair();
  using file = await Deno.open(`${ends.directory}/file`, {
    create: true,
    write: true,
  });
  const before = countDescriptors();
  for (let round = 0; round < 20; round++) {
    await sendDescriptor(ends.client, [file, file]);
    using message = await receiveDescriptor(ends.server);
    assertEquals(message.descriptors.length, 2);
    if (round % 2 === 0) message.descriptors[0].close();
    if (round % 3 === 0) message.descriptors[1].readable;
  }
  assertEquals(countDescriptors(), before);
});

test("receiveDescriptor sets close-on-exec", async () => {
  await using ends = await pair();
  using file = await Deno.open(`${ends.directory}/file`, {
    create: true,
    write: true,
  });
  await sendDescriptor(ends.client, file);
  using message = await receiveDescriptor(ends.server);
  const { fd } = message.descriptors[0];
  const info = await Deno.readTextFile(`/proc/self/fdinfo/${fd}`);
  const flags = parseInt(/flags:\s*(\d+)/.exec(info)![1], 8);
  assert((flags & 0o2000000) !== 0, info);
});

test("receiveDescriptor ends with its signal, its timeout, and the peer", async () => {
  await using ends = await pair();
  await assertRejects(
    () => receiveDescriptor(ends.server, { timeout: 20 }),
    DOMException,
    "timed out after 20 ms",
  );
  const stop = new AbortController();
  const waiting = receiveDescriptor(ends.server, { signal: stop.signal });
  stop.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  await write(ends.client, "plain");
  await assertRejects(
    () => receiveDescriptor(ends.server),
    Deno.errors.InvalidData,
    "5 bytes came without one",
  );
  const ended = receiveDescriptor(ends.server);
  await ends.client.close();
  const error = await assertRejects(() => ended, ConnectionClosedError);
  assertEquals(error.code, "ended");
});

test("receiveDescriptor refuses a connection that is read, or closed", async () => {
  await using ends = await pair();
  const reader = ends.server.readable.getReader();
  await assertRejects(
    () => receiveDescriptor(ends.server),
    TypeError,
    "readable is locked",
  );
  const read = reader.read().catch(() => {});
  reader.releaseLock(); // the read goes on below
  await read;
  await assertRejects(
    () => receiveDescriptor(ends.server),
    Deno.errors.Busy,
    "a read of the connection is under way",
  );
  const waiting = receiveDescriptor(ends.client);
  ends.client.abort();
  const error = await assertRejects(() => waiting, ConnectionClosedError);
  assertEquals(error.code, "closed");
  await assertRejects(
    () => receiveDescriptor(ends.client),
    ConnectionClosedError,
  );
});

test("sendDescriptor tells why the connection was aborted while it waits", async () => {
  await using ends = await pair();
  const reason = new Error("no more");
  const sends = [];
  for (let i = 0; i < 200; i++) { // more than the socket holds
    const sending = sendDescriptor(ends.client, 0, {
      data: new Uint8Array(4000),
    });
    sends.push(sending.then(() => undefined, (error) => error));
  }
  await sends[0];
  await new Promise((resolve) => setTimeout(resolve, 20)); // it is full by then
  ends.client.abort(reason);
  const errors = (await Promise.all(sends)).filter((error) => error);
  assert(errors.length > 1);
  assert(errors.every((error) => error === reason), String(errors[0]));
});

test("sendDescriptor waits while the peer reads nothing", async () => {
  await using ends = await pair();
  using file = await Deno.open(`${ends.directory}/file`, {
    create: true,
    write: true,
  });
  let sent = 0;
  const stop = new AbortController();
  const data = new Uint8Array(40_000);
  const sending = (async () => {
    for (;; sent++) {
      await sendDescriptor(ends.client, file, { data, signal: stop.signal });
    }
  })();
  for (let before = -1; before !== sent;) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert(sent > 0 && sent < 1000);
  stop.abort(new Error("enough"));
  await assertRejects(() => sending, Error, "enough");
});

test("sendDescriptor names what it can't send", async () => {
  await using ends = await pair();
  const refuse = (
    value: unknown,
    errorClass: ErrorConstructor | typeof Deno.errors.BadResource,
    message: string,
  ) =>
    assertRejects(
      () => sendDescriptor(ends.client, value as number),
      errorClass,
      message,
    );
  await refuse(-1, RangeError, "Invalid descriptor");
  await refuse(99_999, Deno.errors.BadResource, "99999 is not open");
  await refuse([], RangeError, "Invalid number of descriptors");
  await refuse(Array(254).fill(1), RangeError, "from 1 to 253");
  await refuse({}, TypeError, "expected a descriptor");
  await refuse("1", TypeError, "expected a descriptor");
  await assertRejects(
    () => sendDescriptor(ends.client, 0, { data: new Uint8Array() }),
    RangeError,
    "at least 1 byte",
  );
  await using listener = await listenTcp();
  await using tcp = await connectTcp(listener);
  await assertRejects(
    () => sendDescriptor(tcp, 0),
    TypeError,
    "is no Unix socket",
  );
  ends.client.abort();
  await assertRejects(() => sendDescriptor(ends.client, 0));
});

test("a received descriptor is taken once", async () => {
  await using ends = await pair();
  using file = await Deno.open(`${ends.directory}/file`, {
    create: true,
    read: true,
    write: true,
  });
  await sendDescriptor(ends.client, file);
  using message = await receiveDescriptor(ends.server);
  const [received] = message.descriptors;
  assertThrows(() => received.connection(), TypeError, "received a file");
  assertThrows(() => received.listener(), TypeError, "received a file");
  const reader = received.readable.getReader();
  assertThrows(
    () => received.release(),
    Deno.errors.BadResource,
    "its streams are in use",
  );
  received.close();
  await assertRejects(() => reader.read(), Deno.errors.BadResource);
  assertThrows(() => received.fd, Deno.errors.BadResource, "taken or closed");
});
