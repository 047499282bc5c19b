// Both ends of the report in Node, `net` only. See README.md.

import net from "node:net";
import { readFileSync, writeSync } from "node:fs";
import process from "node:process";
import { Buffer } from "node:buffer";

const [role, , address, type, sizeText, countText] = process.argv.slice(2);
const size = Number(sizeText);
const count = Number(countText);
const warmUp = type === "echo" ? Math.min(count, 1000) : 0;

function cpuSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function report(started, cpu, times) {
  const status = readFileSync("/proc/self/status", "utf8");
  const result = {
    role,
    seconds: (performance.now() - started) / 1000,
    cpu: cpuSeconds() - cpu,
    memory: Number(/VmHWM:\s+(\d+)/.exec(status)[1]) * 1024,
  };
  if (times !== undefined) {
    times.sort();
    const at = (share) =>
      times[Math.min(count - 1, Math.floor(count * share))] * 1000;
    Object.assign(result, { p50: at(0.5), p99: at(0.99), p999: at(0.999) });
  }
  writeSync(2, `${JSON.stringify(result)}\n`);
}

/** Calls `onFrame` with each payload. */
function readFrames(socket, onFrame) {
  let rest = null;
  let chunks = [];
  let held = 0;
  let wanted = 4;
  socket.on("data", (chunk) => {
    held += chunk.length;
    chunks.push(chunk);
    if (held < wanted) return;
    rest = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    let at = 0;
    wanted = 4;
    while (rest.length - at >= 4) {
      const length = rest.readUInt32BE(at);
      if (rest.length - at - 4 < length) {
        wanted = length + 4;
        break;
      }
      onFrame(rest.subarray(at + 4, at + 4 + length));
      at += 4 + length;
    }
    rest = rest.subarray(at);
    chunks = rest.length > 0 ? [rest] : [];
    held = rest.length;
  });
}

/** Frames of one turn leave as one write. */
function writeFrame(socket, payload) {
  const head = Buffer.allocUnsafe(4);
  head.writeUInt32BE(payload.length);
  if (!socket.writableCorked) {
    socket.cork();
    process.nextTick(() => socket.uncork());
  }
  socket.write(head);
  return socket.write(payload);
}

function serve(socket) {
  let left = count + warmUp;
  const cpu = cpuSeconds();
  const started = performance.now();
  readFrames(socket, (payload) => {
    left--;
    if (type === "echo") writeFrame(socket, payload);
    else if (left === 0) writeFrame(socket, Buffer.alloc(1));
    if (left === 0) report(started, cpu);
  });
  socket.on("end", () => process.exit());
}

async function call(socket) {
  const payload = Buffer.alloc(size);
  let arrived;
  readFrames(socket, () => arrived());
  if (type === "echo") {
    const roundTrip = () =>
      new Promise((resolve) => {
        arrived = resolve;
        writeFrame(socket, payload);
      });
    for (let left = warmUp; left > 0; left--) await roundTrip();
    const times = new Float64Array(count);
    const cpu = cpuSeconds();
    const started = performance.now();
    for (let index = 0; index < count; index++) {
      const before = performance.now();
      await roundTrip();
      times[index] = performance.now() - before;
    }
    report(started, cpu, times);
  } else {
    const cpu = cpuSeconds();
    const started = performance.now();
    const answered = new Promise((resolve) => arrived = resolve);
    for (let left = count; left > 0; left--) {
      if (!writeFrame(socket, payload)) {
        await new Promise((resolve) => socket.once("drain", resolve));
      }
    }
    await answered;
    report(started, cpu);
  }
  socket.end();
}

const colon = address.indexOf(":");
const scheme = address.slice(0, colon);
const rest = address.slice(colon + 1);
const [host, port] = rest.split(":");
const target = scheme === "unix"
  ? { path: rest }
  : { host, port: Number(port) };
if (role === "server") {
  const server = net.createServer({ noDelay: true }, (socket) => {
    server.close();
    serve(socket);
  }).listen(target, () => {
    const where = scheme === "unix"
      ? address
      : `tcp:127.0.0.1:${server.address().port}`;
    writeSync(2, `ready ${where}\n`);
  });
} else {
  const socket = net.connect({ ...target, noDelay: true }, () => call(socket));
}
