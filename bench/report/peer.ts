// Both ends of the report in Deno: ours ("sluice") over any address, and a bare
// loop ("bare") over conn.read and conn.write. See README.md for the protocol.

import { connect, type Connection, listen } from "../../mod.ts";
import { bytes, type Channel, channel } from "../../framing/mod.ts";

const [role, kind, address, type, sizeText, countText] = Deno.args;
const size = Number(sizeText);
const count = Number(countText);
const WARM_UP = type === "echo" ? Math.min(count, 1000) : 0;

/** From so many bytes on, `trySend` would copy what `send` does not. */
const LARGE = 16 * 1024;

/** Sends as a program would: large payloads by `send`. */
function put(
  peer: Channel<Uint8Array, Uint8Array>,
  payload: Uint8Array,
): unknown {
  if (payload.length >= LARGE) return peer.send(payload);
  return peer.trySend(payload) || peer.send(payload);
}

/** CPU seconds of this process so far. */
function cpuSeconds(): number {
  // Fields 14 and 15 of proc(5) stat, in ticks of 10 ms, after the name.
  const stat = Deno.readTextFileSync("/proc/self/stat");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The most memory that was resident, in bytes. */
function peakMemory(): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
}

function report(started: number, cpu: number, times?: Float64Array): void {
  const seconds = (performance.now() - started) / 1000;
  const result: Record<string, unknown> = {
    role,
    seconds,
    cpu: cpuSeconds() - cpu,
    memory: peakMemory(),
  };
  if (times !== undefined) {
    times.sort();
    const at = (share: number) =>
      times[Math.min(count - 1, Math.floor(count * share))] * 1000;
    Object.assign(result, { p50: at(0.5), p99: at(0.99), p999: at(0.999) });
  }
  say(JSON.stringify(result));
}

/** One line on standard error: standard output may be the connection. */
function say(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
}

async function serveOurs(connection: Connection): Promise<void> {
  await using peer = channel<Uint8Array>(connection, { codec: bytes });
  const cpu = cpuSeconds();
  const started = performance.now();
  if (type === "echo") {
    for (let left = count + WARM_UP; left > 0;) {
      let message: Uint8Array | undefined = await peer.receive();
      for (; message !== undefined; message = peer.tryReceive()) {
        left--;
        const sent = put(peer, message);
        if (sent !== true) await sent;
      }
    }
  } else {
    for (let left = count; left > 0;) {
      let message: Uint8Array | undefined = await peer.receive();
      for (; message !== undefined; message = peer.tryReceive()) left--;
    }
    await peer.send(new Uint8Array(1));
  }
  report(started, cpu);
}

/** Times round trips after a warm-up, and reports them. */
async function timeRoundTrips(roundTrip: () => Promise<void>): Promise<void> {
  for (let left = WARM_UP; left > 0; left--) await roundTrip();
  const times = new Float64Array(count);
  const cpu = cpuSeconds();
  const started = performance.now();
  for (let index = 0; index < count; index++) {
    const before = performance.now();
    await roundTrip();
    times[index] = performance.now() - before;
  }
  report(started, cpu, times);
}

/** Times `sendAll`, which ends when the server has it all, and reports. */
async function timeSink(sendAll: () => Promise<void>): Promise<void> {
  const cpu = cpuSeconds();
  const started = performance.now();
  await sendAll();
  report(started, cpu);
}

async function callOurs(connection: Connection): Promise<void> {
  await using peer = channel<Uint8Array>(connection, { codec: bytes });
  const payload = new Uint8Array(size);
  if (type === "echo") {
    await timeRoundTrips(async () => {
      const sent = put(peer, payload);
      if (sent !== true) await sent;
      await peer.receive();
    });
  } else {
    await timeSink(async () => {
      for (let left = count; left > 0; left--) {
        const sent = put(peer, payload);
        if (sent !== true) await sent;
      }
      await peer.receive();
    });
  }
}

/** A socket with the least that frames need: one buffer each way. */
class BareFrames {
  #conn: Deno.Conn;
  #buffer = new Uint8Array(Math.max(64 * 1024, 2 * (size + 4)));
  #start = 0;
  #end = 0;
  #out = new Uint8Array(Math.max(64 * 1024, 2 * (size + 4)));
  #filled = 0;

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** Reads the next frame; the payload is valid until the next read. */
  async read(): Promise<Uint8Array> {
    const head = await this.#take(4);
    const length = (head[0] << 24 | head[1] << 16 | head[2] << 8 | head[3]) >>>
      0;
    return await this.#take(length);
  }

  async #take(length: number): Promise<Uint8Array> {
    while (this.#end - this.#start < length) {
      if (this.#start > 0) {
        this.#buffer.copyWithin(0, this.#start, this.#end);
        this.#end -= this.#start;
        this.#start = 0;
      }
      const read = await this.#conn.read(this.#buffer.subarray(this.#end));
      if (read === null) throw new Error("the peer ended");
      this.#end += read;
    }
    this.#start += length;
    return this.#buffer.subarray(this.#start - length, this.#start);
  }

  /** Puts a frame into the buffer; writes when that is full. */
  async write(payload: Uint8Array): Promise<void> {
    if (this.#filled + payload.length + 4 > this.#out.length) {
      await this.flush();
    }
    const at = this.#filled;
    this.#out[at] = payload.length >>> 24;
    this.#out[at + 1] = payload.length >>> 16;
    this.#out[at + 2] = payload.length >>> 8;
    this.#out[at + 3] = payload.length;
    this.#out.set(payload, at + 4);
    this.#filled = at + 4 + payload.length;
  }

  async flush(): Promise<void> {
    for (let at = 0; at < this.#filled;) {
      at += await this.#conn.write(this.#out.subarray(at, this.#filled));
    }
    this.#filled = 0;
  }
}

async function serveBare(conn: Deno.Conn): Promise<void> {
  const frames = new BareFrames(conn);
  const cpu = cpuSeconds();
  const started = performance.now();
  if (type === "echo") {
    for (let left = count + WARM_UP; left > 0; left--) {
      await frames.write(await frames.read());
      await frames.flush();
    }
  } else {
    for (let left = count; left > 0; left--) await frames.read();
    await frames.write(new Uint8Array(1));
    await frames.flush();
  }
  report(started, cpu);
  conn.close();
}

async function callBare(conn: Deno.Conn): Promise<void> {
  const frames = new BareFrames(conn);
  const payload = new Uint8Array(size);
  if (type === "echo") {
    await timeRoundTrips(async () => {
      await frames.write(payload);
      await frames.flush();
      await frames.read();
    });
  } else {
    await timeSink(async () => {
      for (let left = count; left > 0; left--) await frames.write(payload);
      await frames.flush();
      await frames.read();
    });
  }
  conn.close();
}

/** `unix:/path` and `tcp:host:port` as the runtime wants them. */
function bareTarget(): { path: string } | { hostname: string; port: number } {
  const [scheme, ...rest] = address.split(":");
  return scheme === "unix"
    ? { path: rest.join(":") }
    : { hostname: rest[0], port: Number(rest[1]) };
}

if (kind === "bare") {
  const target = bareTarget();
  if (role === "server") {
    const listener = "path" in target
      ? Deno.listen({ transport: "unix", ...target })
      : Deno.listen(target);
    say(
      `ready ${
        listener.addr.transport === "tcp"
          ? `tcp:127.0.0.1:${listener.addr.port}`
          : address
      }`,
    );
    const conn = await listener.accept();
    listener.close();
    if ("setNoDelay" in conn) (conn as Deno.TcpConn).setNoDelay(true);
    await serveBare(conn);
  } else if ("path" in target) {
    await callBare(await Deno.connect({ transport: "unix", ...target }));
  } else {
    const conn = await Deno.connect(target);
    conn.setNoDelay(true);
    await callBare(conn);
  }
} else if (role === "server" && address === "stdio:") {
  await serveOurs(await connect(address));
} else if (role === "server") {
  const listener = await listen(address);
  say(`ready ${listener.address}`);
  const connection = await listener.accept();
  await serveOurs(connection);
  await listener.close();
} else await callOurs(await connect(address));
