// The capture file, byte by byte as draft-ietf-opsawg-pcapng has it, and as
// tshark reads it.

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  channel,
  encodeFrame,
  json,
  lengthPrefixed,
  lines,
} from "../framing/mod.ts";
import { pcapngSink, tap } from "../observe/mod.ts";
import { connectTcp, listenTcp } from "../tcp/mod.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";
import { duplexPair, utf8 } from "./_framing.ts";
import { hasProgram, temporaryDirectory } from "./_tools.ts";

interface Block {
  type: number;
  body: Uint8Array;
}

/** Splits a file into blocks, and checks what holds for each. */
function blocksOf(file: Uint8Array): Block[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const blocks: Block[] = [];
  for (let at = 0; at < file.length;) {
    const type = view.getUint32(at, true);
    const length = view.getUint32(at + 4, true);
    assertEquals(length % 4, 0);
    assertEquals(view.getUint32(at + length - 4, true), length);
    blocks.push({ type, body: file.slice(at + 8, at + length - 4) });
    at += length;
  }
  return blocks;
}

function optionsOf(body: Uint8Array, at: number): Map<number, Uint8Array> {
  const view = new DataView(body.buffer);
  const options = new Map<number, Uint8Array>();
  for (;;) {
    const code = view.getUint16(at, true);
    const length = view.getUint16(at + 2, true);
    if (code === 0) {
      assertEquals([length, at + 4], [0, body.length]);
      return options;
    }
    options.set(code, body.slice(at + 4, at + 4 + length));
    at += 4 + ((length + 3) & ~3);
  }
}

interface Packet {
  interfaceId: number;
  time: number;
  data: Uint8Array;
  originalLength: number;
  outbound: boolean;
  comment: string | undefined;
}

function packetOf(body: Uint8Array): Packet {
  const view = new DataView(body.buffer);
  const captured = view.getUint32(12, true);
  const options = optionsOf(body, 20 + ((captured + 3) & ~3));
  const comment = options.get(1);
  return {
    interfaceId: view.getUint32(0, true),
    time: (view.getUint32(4, true) * 2 ** 32 + view.getUint32(8, true)) / 1000,
    data: body.slice(20, 20 + captured),
    originalLength: view.getUint32(16, true),
    outbound: options.get(2)![0] === 2,
    comment: comment && new TextDecoder().decode(comment),
  };
}

/** The header fields of an IPv4 packet, whose checksums are checked. */
function tcpOf({ data, originalLength }: Packet) {
  const view = new DataView(data.buffer);
  assertEquals(data[0], 0x45);
  assertEquals(view.getUint16(2), originalLength);
  assertEquals(onesComplement(data.subarray(0, 20)), 0xffff);
  if (data.length === originalLength) {
    const pseudo = new Uint8Array(12 + data.length - 20);
    pseudo.set(data.subarray(12, 20));
    pseudo[9] = 6;
    new DataView(pseudo.buffer).setUint16(10, data.length - 20);
    pseudo.set(data.subarray(20), 12);
    assertEquals(onesComplement(pseudo), 0xffff);
  }
  return {
    sequence: view.getUint32(24),
    acknowledged: view.getUint32(28),
    flags: data[33],
    payload: data.subarray(40),
  };
}

function onesComplement(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += bytes[at] * 256 + (bytes[at + 1] ?? 0);
    sum = (sum & 0xffff) + (sum >>> 16);
  }
  return sum;
}

const FIN_ACK = 0x11, SYN = 2, SYN_ACK = 0x12, ACK = 0x10, PSH_ACK = 0x18;

Deno.test("pcapngSink writes the blocks and packets of the format", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.pcapng`;
  const sink = pcapngSink(path);
  const [here, there] = duplexPair();
  const options = { format: lines(), codec: json };
  const client = channel<unknown, unknown>(
    tap(here, sink, { ...options, name: "pipe" }),
    options,
  );
  const server = channel<unknown, unknown>(there, options);
  const before = Date.now();
  await client.send({ ask: 1 });
  await server.receive();
  await server.send({ answer: 1 });
  await client.receive();
  await Promise.all([client.close(), server.close()]);
  await sink.close();

  const blocks = blocksOf(await Deno.readFile(path));
  const [section, description, ...rest] = blocks;
  assertEquals(section.type, 0x0a0d0d0a);
  const header = new DataView(section.body.buffer);
  assertEquals(header.getUint32(0, true), 0x1a2b3c4d);
  assertEquals([header.getUint16(4, true), header.getUint16(6, true)], [1, 0]);
  assertEquals(header.getBigInt64(8, true), -1n);
  optionsOf(section.body, 16);

  assertEquals(description.type, 1);
  assertEquals([...description.body.subarray(0, 8)], [
    101,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
  ]);
  const name = new TextDecoder().decode(optionsOf(description.body, 8).get(2));
  assertMatch(name, /^pipe #\d+$/);

  assertEquals(rest.map(({ type }) => type), rest.map(() => 6));
  const packets = rest.map(({ body }) => packetOf(body));
  const conversation = packets.map(tcpOf);
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assertEquals(
    conversation.map(({ sequence, acknowledged, flags, payload }) => [
      sequence,
      acknowledged,
      flags,
      text(payload),
    ]).slice(0, 5),
    [
      [0, 0, SYN, ""],
      [0, 1, SYN_ACK, ""],
      [1, 1, ACK, ""],
      [1, 1, PSH_ACK, '{"ask":1}\n'],
      [1, 11, PSH_ACK, '{"answer":1}\n'],
    ],
  );
  assertEquals(
    conversation.slice(5).map(({ flags, sequence }) => [flags, sequence])
      .sort(),
    [[FIN_ACK, 11], [FIN_ACK, 14]],
  );
  assertEquals(packets[3].comment, "{ ask: 1 }");
  assertEquals(packets.slice(0, 5).map(({ outbound }) => outbound), [
    true,
    false,
    true,
    true,
    false,
  ]);
  for (const { time, interfaceId } of packets) {
    assertEquals(interfaceId, 0);
    assert(Math.abs(time - before) < 60_000, `${time}`);
  }
});

Deno.test("pcapngSink splits large chunks and marks what it did not keep", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.pcapng`;
  const sink = pcapngSink(path);
  const pipe = tap(new TransformStream<Uint8Array, Uint8Array>(), sink, {
    captureLength: 70_000,
  });
  const writer = pipe.writable.getWriter();
  writer.write(new Uint8Array(200_000).fill(65)).catch(() => {});
  await pipe.readable.getReader().read();
  await writer.abort(new Error("enough"));
  await sink.close();
  const packets = blocksOf(await Deno.readFile(path))
    .filter(({ type }) => type === 6).map(({ body }) => packetOf(body));
  const sent = packets.filter(({ outbound }) => outbound).slice(2);
  const segments = sent.map((packet) => [
    tcpOf(packet).sequence,
    packet.data.length - 40,
    packet.originalLength - 40,
  ]);
  assertEquals(segments, [
    [1, 65000, 65000],
    [65001, 5000, 65000],
    [130001, 0, 65000],
    [195001, 0, 5000],
    [200001, 0, 0], // the reset
  ]);
  assertEquals(tcpOf(sent[4]).flags, 0x14);
  assertEquals(sent[4].comment, "Error: enough");
});

Deno.test("pcapngSink that saw nothing is a capture of nothing", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.pcapng`;
  await pcapngSink(path).close();
  assertEquals(blocksOf(await Deno.readFile(path)).length, 1);
});

const tshark = Deno.build.os === "linux" && hasProgram("tshark");

async function runTshark(path: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command("tshark", {
    args: ["-n", "-r", path, ...args],
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test({
  name: "tshark follows the streams of a Unix socket and of TCP over IPv6",
  ignore: !tshark,
  async fn() {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a.sock`;
    const capture = `${directory.path}/a.pcapng`;
    const sink = pcapngSink(capture);
    const big = "x".repeat(150_000);
    const ports: number[] = [];
    for (const family of ["unix", "tcp"]) {
      await using listener = family === "unix"
        ? await listenUnix({ path })
        : await listenTcp({ hostname: "::1" });
      const port = Number(listener.address.split(":").at(-1));
      const connection = family === "unix"
        ? await connectUnix({ path })
        : await connectTcp({ hostname: "::1", port });
      ports.push(port);
      const options = { format: lines(), codec: json };
      await using client = channel<unknown, unknown>(
        tap(connection, sink, { ...options, captureLength: 1 << 20 }),
        options,
      );
      await using server = channel<unknown, unknown>(
        await listener.accept(),
        options,
      );
      await client.send({ hello: family });
      await server.receive();
      await server.send(big);
      await client.receive();
      await client.send("thanks");
      await server.receive();
    }
    await sink.close();

    for (const [stream, family] of ["unix", "tcp"].entries()) {
      const follow = await runTshark(
        capture,
        "-q",
        "-z",
        `follow,tcp,raw,${stream}`,
      );
      const [sent, received, thanks] = follow.split("\n")
        .filter((line) => /^\t?[0-9a-f]+$/.test(line)).reduce<string[]>(
          (parts, line) => { // segments of one direction that follow each other
            const hex = line.trim();
            const isReply = line.startsWith("\t");
            if (parts.length % 2 === (isReply ? 1 : 0)) parts.push(hex);
            else parts[parts.length - 1] += hex;
            return parts;
          },
          [],
        ).map((hex) => new TextDecoder().decode(Uint8Array.fromHex(hex)));
      assertEquals(sent, `{"hello":"${family}"}\n`);
      assertEquals(received, `"${big}"\n`);
      assertEquals(thanks, '"thanks"\n');
    }
    const fields = await runTshark(
      capture,
      "-o",
      "tcp.check_checksum:TRUE",
      "-o",
      "ip.check_checksum:TRUE",
      "-T",
      "fields",
      "-e",
      "tcp.checksum.status",
      "-e",
      "tcp.analysis.flags",
      "-e",
      "_ws.malformed",
      "-e",
      "ipv6.src",
      "-e",
      "tcp.dstport",
    );
    const rows = fields.trimEnd().split("\n").map((row) => row.split("\t"));
    for (const [status, analysis, malformed] of rows) {
      assertEquals([status, analysis, malformed], ["1", "", ""], fields);
    }
    assert(rows.some((row) => row[3] === "::1" && row[4] === `${ports[1]}`));
    const comments = await runTshark(
      capture,
      "-T",
      "fields",
      "-e",
      "frame.comment",
    );
    assert(comments.includes('{ hello: "unix" }'));
  },
});

Deno.test({
  name: "tshark shows a gap where records were dropped, and why",
  ignore: !tshark,
  async fn() {
    await using directory = await temporaryDirectory();
    const capture = `${directory.path}/a.pcapng`;
    const sink = pcapngSink(capture, { maxQueuedBytes: 100 });
    const format = lengthPrefixed();
    const pipe = tap(new TransformStream<Uint8Array, Uint8Array>(), sink, {
      format,
    });
    const writer = pipe.writable.getWriter();
    const reader = pipe.readable.getReader();
    for (const length of [10, 90, 10]) {
      // The second is too large for the queue, however fast the sink is.
      const payload = length === 90 ? new Uint8Array(120) : utf8("0123456789");
      writer.write(encodeFrame(format, payload)).catch(() => {});
      await reader.read();
      await sink.flush();
    }
    await writer.close();
    await sink.close();
    const shown = await runTshark(capture, "-V");
    assertMatch(shown, /previous segment\(s\) not captured|Previous segment/i);
    assertMatch(shown, /records were dropped before this/);
  },
});
