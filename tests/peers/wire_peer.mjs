// A peer in Node.js, written from docs/wire.md and docs/delivery.md alone, with
// nothing but Node's own modules. Each mode prints a line of JSON a result.
//
//   node wire_peer.mjs call PATH       calls the server at PATH, and serves it
//   node wire_peer.mjs serve PATH      serves whoever connects to PATH
//   node wire_peer.mjs deliver PATH    a reliable channel's client
//   node wire_peer.mjs echo PATH|PORT  echoes frames

import { Buffer } from "node:buffer";
import { connect, createServer } from "node:net";
import process from "node:process";

const [mode, place] = process.argv.slice(2);
const print = (value) => console.log(JSON.stringify(value) ?? "null");
const at = Number.isInteger(Number(place)) ? Number(place) : { path: place };

// --- MessagePack, as much of it as is said here ---

/** The bytes of a value. */
function encode(value) {
  const head = (byte, size, number) => {
    const bytes = Buffer.alloc(1 + size);
    bytes[0] = byte;
    if (size === 8) bytes.writeDoubleBE(number, 1);
    else if (size > 0) bytes.writeUIntBE(number, 1, size);
    return bytes;
  };
  const sized = (length, short, codes) => {
    if (length <= short[1]) return head(short[0] | length, 0);
    const size = length < 256 && codes[0] ? 1 : length < 65536 ? 2 : 4;
    return head(codes[size >> 1], size, length);
  };
  if (value === null || value === undefined) return Buffer.of(0xc0);
  if (typeof value === "boolean") return Buffer.of(value ? 0xc3 : 0xc2);
  if (typeof value === "number") {
    if (Number.isInteger(value) && value >= 0 && value < 2 ** 32) {
      if (value < 128) return Buffer.of(value);
      return value < 256
        ? head(0xcc, 1, value)
        : value < 65536
        ? head(0xcd, 2, value)
        : head(0xce, 4, value);
    }
    if (Number.isInteger(value) && value >= -32 && value < 0) {
      return Buffer.of(256 + value);
    }
    return head(0xcb, 8, value);
  }
  if (typeof value === "string") {
    const text = Buffer.from(value);
    return Buffer.concat([
      sized(text.length, [0xa0, 31], [0xd9, 0xda, 0xdb]),
      text,
    ]);
  }
  if (value instanceof Uint8Array) {
    return Buffer.concat([
      sized(value.length, [0, -1], [0xc4, 0xc5, 0xc6]),
      value,
    ]);
  }
  if (Array.isArray(value)) {
    return Buffer.concat([
      sized(value.length, [0x90, 15], [undefined, 0xdc, 0xdd]),
      ...value.map(encode),
    ]);
  }
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  return Buffer.concat([
    sized(entries.length, [0x80, 15], [undefined, 0xde, 0xdf]),
    ...entries.flatMap(([key, v]) => [encode(key), encode(v)]),
  ]);
}

/** The value of the bytes. */
function decode(bytes) {
  let place = 0;
  const number = (size) => {
    place += size;
    return bytes.readUIntBE(place - size, size);
  };
  const part = (size) => bytes.subarray(place, place += size);
  const list = (count) => Array.from({ length: count }, value);
  const map = (count) =>
    Object.fromEntries(Array.from({ length: count }, () => [value(), value()]));
  function value() {
    const byte = bytes[place++];
    if (byte < 0x80) return byte;
    if (byte < 0x90) return map(byte & 15);
    if (byte < 0xa0) return list(byte & 15);
    if (byte < 0xc0) return part(byte & 31).toString();
    if (byte >= 0xe0) return byte - 256;
    switch (byte) {
      case 0xc0:
        return null;
      case 0xc2:
      case 0xc3:
        return byte === 0xc3;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return part(number(1 << (byte - 0xc4)));
      case 0xcb:
        return part(8).readDoubleBE();
      case 0xcc:
      case 0xcd:
      case 0xce:
        return number(1 << (byte - 0xcc));
      case 0xd0:
        return part(1).readInt8();
      case 0xd1:
        return part(2).readInt16BE();
      case 0xd2:
        return part(4).readInt32BE();
      case 0xd9:
      case 0xda:
      case 0xdb:
        return part(number(1 << (byte - 0xd9))).toString();
      case 0xdc:
      case 0xdd:
        return list(number(2 << (byte - 0xdc)));
      case 0xde:
      case 0xdf:
        return map(number(2 << (byte - 0xde)));
    }
    throw new Error(`no code for 0x${byte.toString(16)}`);
  }
  return value();
}

// --- Frames ---

/** Calls `take` with each frame: 4 bytes of length, big-endian, then so many. */
function readFrames(socket, take) {
  let rest = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && !socket.destroyed) {
      const end = 4 + rest.readUInt32BE();
      if (rest.length < end) break;
      const frame = rest.subarray(4, end);
      rest = rest.subarray(end);
      take(frame);
    }
  });
}

function writeFrame(socket, payload) {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(payload.length);
  socket.write(Buffer.concat([length, payload]));
}

// --- RPC ---

/** What an item takes of the credit beyond 1, in bytes. */
function weight(value) {
  if (typeof value === "string" || value instanceof Uint8Array) {
    return value.length;
  }
  if (Array.isArray(value)) {
    return value.reduce((sum, item) => sum + 8 + weight(item), 0);
  }
  if (value === null || typeof value !== "object") return 0;
  return Object.entries(value).reduce(
    (sum, [key, item]) => sum + 8 + weight(key) + weight(item),
    0,
  );
}

const cost = (item) => 1 + Math.floor(weight(item) / 1024);

class Peer {
  #socket;
  #handlers;
  #calls = new Map();
  #lastId = 0;
  #running = new Map();
  #extras = new Map();
  #reading = new Map();
  #announced = new Map();
  #sending = new Map();
  #lastStream = 0;
  #callbacks = new Map();
  #lastCallback = 0;

  constructor(socket, handlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    readFrames(socket, (frame) => this.#take(decode(frame)));
  }

  #send(message) {
    writeFrame(this.#socket, encode(message));
  }

  notify(method, ...params) {
    this.#send([2, method, params]);
  }

  /** Calls; streams and functions among the arguments go beside the call. */
  call(method, params = [], { timeout, metadata, signal } = {}) {
    const id = this.#lastId++;
    const extras = { timeout, metadata };
    const sources = [];
    const plain = params.map((param, index) => {
      if (typeof param === "function") {
        const callback = ++this.#lastCallback;
        this.#callbacks.set(callback, param);
        (extras.callbacks ??= []).push([[index], callback]);
        return null;
      }
      if (!param?.[Symbol.asyncIterator]) return param;
      const stream = ++this.#lastStream;
      (extras.streams ??= []).push([[index], stream, "iterable"]);
      sources.push([stream, param]);
      return null;
    });
    if (Object.values(extras).some((value) => value !== undefined)) {
      this.notify("$with", id, extras);
    }
    this.#send([0, id, method, plain]);
    for (const [stream, source] of sources) this.#stream(stream, source);
    if (signal) signal(() => this.notify("$cancel", id));
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
    });
  }

  /** Sends a source as the credit allows. */
  async #stream(id, source) {
    const state = { credit: 0, stopped: false, wake: () => {} };
    this.#sending.set(id, state);
    let failed;
    try {
      for await (const item of source) {
        while (state.credit <= 0 && !state.stopped) {
          await new Promise((resolve) => state.wake = resolve);
        }
        if (state.stopped) break;
        state.credit -= cost(item);
        this.notify("$items", id, [item]);
      }
    } catch (error) {
      failed = { code: "handler-error", message: error.message };
    }
    this.#sending.delete(id);
    if (state.stopped) return;
    if (failed) this.notify("$end", id, failed);
    else this.notify("$end", id);
  }

  /** What the peer sends as stream `id`, with a window of `window`. */
  #incoming(id, window) {
    const state = { items: [], ended: false, error: undefined, wake: () => {} };
    this.#reading.set(id, state);
    this.notify("$credit", id, window);
    const { notify } = this;
    const send = notify.bind(this);
    return (async function* () {
      try {
        for (;;) {
          if (state.items.length > 0) {
            const item = state.items.shift();
            yield item;
            send("$credit", id, cost(item));
          } else if (state.error) throw state.error;
          else if (state.ended) return;
          else await new Promise((resolve) => state.wake = resolve);
        }
      } finally {
        if (!state.ended) send("$stop", id);
      }
    })();
  }

  #take(message) {
    const [type] = message;
    if (type === 0) return this.#serve(...message.slice(1));
    if (type === 1) return this.#answered(...message.slice(1));
    const [, method, params] = message;
    const stream = this.#reading.get(params[0]);
    switch (method) {
      case "$with":
        return this.#extras.set(params[0], params[1]);
      case "$cancel":
        return this.#running.get(params[0])?.cancel();
      case "$stream":
        return this.#announced.set(params[0], params[1]);
      case "$credit": {
        const state = this.#sending.get(params[0]);
        if (state === undefined) return;
        state.credit += params[1];
        return state.wake();
      }
      case "$stop": {
        const state = this.#sending.get(params[0]);
        if (state === undefined) return;
        state.stopped = true;
        return state.wake();
      }
      case "$items":
        stream?.items.push(...params[1]);
        return stream?.wake();
      case "$end":
        if (stream === undefined) return;
        stream.ended = true;
        if (params.length > 1) stream.error = new Error(params[1].message);
        return stream.wake();
      case "$release":
        for (const id of params) this.#callbacks.delete(id);
        return print(["released", params.length]);
    }
    if (!method.startsWith("$")) this.#handlers[method]?.apply({}, params);
  }

  #answered(id, error, result) {
    const call = this.#calls.get(id);
    if (call === undefined) return; // it was given up
    this.#calls.delete(id);
    const stream = this.#announced.get(id);
    this.#announced.delete(id);
    if (error !== null) call.reject(error);
    else if (stream === undefined) call.resolve(result);
    else call.resolve(this.#incoming(stream, 2));
  }

  async #serve(id, method, params) {
    const { streams = [], callbacks = [], ...extras } = this.#extras.get(id) ??
      {};
    this.#extras.delete(id);
    const put = ([index, key], value) => {
      if (key === undefined) params[index] = value;
      else params[index][key] = value;
    };
    for (const [path, stream] of streams) put(path, this.#incoming(stream, 4));
    for (const [path, callback] of callbacks) {
      put(path, (...args) => this.call("$callback", [callback, ...args]));
    }
    const release = () => {
      if (callbacks.length === 0) return;
      this.notify("$release", ...callbacks.map(([, callback]) => callback));
    };
    const cancelled = new Promise((_, reject) => {
      const give = (code) => () => reject({ code, message: `It was ${code}` });
      this.#running.set(id, { cancel: give("cancelled") });
      if (extras.timeout !== undefined) {
        setTimeout(give("deadline-exceeded"), extras.timeout).unref();
      }
    });
    try {
      const result = await Promise.race([
        this.#run(method, params, extras),
        cancelled,
      ]);
      if (result?.[Symbol.asyncIterator]) {
        const stream = ++this.#lastStream;
        this.notify("$stream", id, stream, "iterable");
        this.#send([1, id, null, null]);
        await this.#stream(stream, result);
      } else this.#send([1, id, null, result ?? null]);
    } catch (error) {
      const { code = "handler-error", message, name, data } = error;
      this.#send([1, id, { code, message, name, data }, null]);
    }
    this.#running.delete(id);
    release();
  }

  async #run(method, params, extras) {
    if (method === "$ping") return null;
    if (method === "$callback") {
      const [id, ...args] = params;
      return await this.#callbacks.get(id)(...args);
    }
    if (!Object.hasOwn(this.#handlers, method)) {
      const message = `Method not found: "${method}"`;
      throw Object.assign(new Error(message), { code: "method-not-found" });
    }
    return await this.#handlers[method].apply(
      { ...extras, peer: this },
      params,
    );
  }
}

const handlers = {
  shout: (text) => `${text.toUpperCase()}!`,
  fail() {
    throw Object.assign(new RangeError("not in Node"), { data: [1, 2] });
  },
  whoami() {
    return this.metadata?.user ?? "nobody";
  },
  wait: () => new Promise(() => {}),
  size: (bytes) => bytes.length,
  async *count(to) {
    try {
      for (let n = 0; n < to; n++) yield n;
    } finally {
      print("count is done");
    }
  },
  async *texts(count, length) {
    for (let n = 0; n < count; n++) yield "x".repeat(length);
  },
  async sum(numbers) {
    let sum = 0;
    for await (const n of numbers) sum += n;
    return sum;
  },
  async each({ items, onItem }) {
    const answers = [];
    for (const item of items) answers.push(await onItem(item));
    return answers;
  },
  note: (text) => print(["noted", text]),
};

async function calls(peer) {
  const say = async (promise) =>
    print(
      await promise.catch(({ code, name, message, data }) => ({
        code,
        name,
        message,
        data,
      })),
    );
  peer.notify("note", "hi");
  await say(peer.call("add", [1, 2]));
  await say(peer.call("add", [70_000, -1.5]));
  await say(peer.call("fail", ["x"]));
  await say(peer.call("toString"));
  await say(peer.call("size", [Buffer.alloc(70_000, 7)]));
  await say(peer.call("whoami", [], { metadata: { user: "ada" } }));
  await say(peer.call("wait", [], { timeout: 20 }));
  await say(peer.call("wait", [], { signal: (abort) => abort() }));
  const all = [];
  for await (const n of await peer.call("count", [5])) all.push(n);
  print(all);
  for await (const n of await peer.call("count", [1e9])) if (n === 20) break;
  let length = 0;
  for await (const text of await peer.call("texts", [50, 3000])) {
    length += text.length;
  }
  print(length);
  try {
    for await (const n of await peer.call("breaks", [])) print(n);
  } catch (error) {
    print(error.message);
  }
  async function* numbers() {
    for (let n = 1; n <= 5000; n++) yield n;
  }
  await say(peer.call("sum", [numbers()]));
  await say(peer.call("each", [["a", "b"], (item) => `${item}?`]));
  await say(peer.call("ask", ["node"])); // it calls `shout` here
  await say(peer.call("$ping"));
  await say(peer.call("$describe").then((list) => list[0]));
}

// --- A reliable channel's client ---

/** zlib's, which `node:zlib` has since Node.js 22. */
function crc32(bytes) {
  let sum = -1;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum >>> 1 ^ (sum & 1 && 0xedb88320);
  }
  return ~sum >>> 0;
}

const NAMES = ["data", "hello", "welcome", "status", "ping", "end", "refuse"];
const counts = (...numbers) => {
  const bytes = Buffer.alloc(8 * numbers.length);
  numbers.forEach((n, index) => bytes.writeBigUInt64BE(BigInt(n), 8 * index));
  return bytes;
};

/** Sends `count` messages over connections that it cuts, and takes as many. */
async function deliver(count) {
  const unsent = []; // [number, payload], kept until they are acknowledged
  for (let n = 0; n < count; n++) unsent.push([n, encode(`job ${n}`)]);
  let session = Buffer.alloc(16);
  let received = 0;
  let connections = 0;

  /** One connection: hello, welcome, status, data; until it ends or is cut. */
  const once = () =>
    new Promise((resolve, reject) => {
      const socket = connect(at);
      let next; // the next message to send
      let ended = -1;
      let peerEnded = false;
      connections++;
      const send = (kind, payload, sequence = 0) => {
        const head = Buffer.alloc(5);
        head[0] = NAMES.indexOf(kind);
        head.writeUInt32BE(sequence % 2 ** 32, 1);
        const body = Buffer.concat([head, payload]);
        if (kind === "data") return writeFrame(socket, body);
        const sum = Buffer.alloc(4);
        sum.writeUInt32BE(crc32(body));
        writeFrame(socket, Buffer.concat([body, sum]));
      };
      const fill = () => {
        const first = unsent[0]?.[0] ?? count;
        while (next < count && next < first + 100) { // below the peer's window
          send("data", unsent[next - first][1], next++);
        }
        if (first === count && received === count) end(0);
      };
      const end = (how) => {
        if (ended >= how) return;
        ended = how;
        send("end", Buffer.concat([Buffer.of(how), counts(next)]));
      };
      const acknowledge = (acknowledged) => {
        while (unsent.length > 0 && unsent[0][0] < acknowledged) unsent.shift();
        fill();
      };
      readFrames(socket, (frame) => {
        const kind = NAMES[frame[0]];
        const payload = frame.subarray(5, kind === "data" ? undefined : -4);
        if (
          kind !== "data" && crc32(frame.subarray(0, -4)) !==
            frame.readUInt32BE(frame.length - 4)
        ) {
          return reject(new Error("wrong sum"));
        }
        const count64 = (place) => Number(payload.readBigUInt64BE(place));
        if (kind === "welcome") {
          session = Buffer.from(payload.subarray(6, 22));
          next = count64(38);
          send("status", counts(next, received));
          acknowledge(count64(46));
        } else if (kind === "data") {
          if (frame.readUInt32BE(1) !== received) return; // it came before
          received++;
          send("status", counts(next, received));
          if (received % 50 === 0 && connections < 5) {
            socket.destroy(); // whatever is on its way
            return;
          }
          fill();
        } else if (kind === "status") acknowledge(count64(8));
        else if (kind === "ping") send("status", counts(next, received));
        else if (kind === "end") {
          if (payload[0] === 0) return;
          peerEnded = true;
          end(1);
          socket.end();
        } else if (kind === "refuse") {
          reject(new Error(payload.subarray(1).toString()));
        }
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve(peerEnded));
      const window = Buffer.alloc(8);
      window.writeUInt32BE(100, 0);
      window.writeUInt32BE(65536, 4);
      send(
        "hello",
        Buffer.concat([
          Buffer.from("slrc"),
          Buffer.of(1, session.some((byte) => byte > 0) ? 1 : 0),
          session,
          window,
          counts(unsent[0]?.[0] ?? count, received, received),
        ]),
      );
    });
  while (!(await once()));
  print({ received, connections });
}

// --- Which of them ---

if (mode === "call") {
  const socket = connect(at);
  await calls(new Peer(socket, handlers));
  socket.end();
} else if (mode === "deliver") await deliver(250);
else {
  const server = createServer((socket) => {
    if (mode === "serve") new Peer(socket, handlers);
    else readFrames(socket, (frame) => writeFrame(socket, frame));
    socket.on("error", () => {});
  });
  server.listen(at, () => print(server.address().port ?? "ready"));
}
