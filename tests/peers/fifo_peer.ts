// The other process of the tests of FIFOs: deno run -A fifo_peer.ts <role> <path>

import { libc } from "../../_libc/library.ts";
import {
  connectFifo,
  listenFifo,
  mkfifo,
  openFifo,
  setPipeCapacity,
} from "../../pipe/mod.ts";

const [role, path, argument] = Deno.args;

/** A message whose content tells where it is from and how long it is. */
function message(writer: number, count: number): Uint8Array {
  const length = 4 + (writer * 7919 + count * 104729) % 4092;
  const bytes = new Uint8Array(length).fill(writer);
  new DataView(bytes.buffer).setUint16(0, length);
  return bytes;
}

async function attempt(name: string, act: () => unknown): Promise<void> {
  try {
    await act();
    console.log(`${name}: done`);
  } catch (error) {
    const { name: kind, message } = error as Error;
    console.log(`${name}: ${kind}: ${message}`);
  }
}

switch (role) {
  case "atomic": {
    await using writer = await openFifo(path, "write");
    for (let count = 0; count < 300; count++) {
      await writer.writeAtomic(message(Number(argument), count));
    }
    break;
  }
  case "read": {
    await using reader = await openFifo(path, "read");
    console.log("open");
    for await (const _ of reader.readable);
    break;
  }
  case "write": {
    await using writer = await openFifo(path, "write");
    const sink = writer.writable.getWriter();
    await sink.write(new TextEncoder().encode("before the end"));
    console.log("open");
    await new Promise(() => setInterval(() => {}, 1000));
    break;
  }
  case "listen": {
    await using listener = await listenFifo({ path });
    console.log("listening");
    for await (const connection of listener) {
      connection.readable.pipeTo(connection.writable).catch(() => {});
    }
    break;
  }
  case "connect": {
    await using connection = await connectFifo({ path, retry: true });
    await connection.writable.getWriter().write(new Uint8Array([7]));
    console.log("connected");
    await new Promise(() => setInterval(() => {}, 1000));
    break;
  }
  case "nobody": {
    // All that is needed must be loaded before: nobody can't read it later.
    using own = await mkfifo(`${path}/own`, { mode: 0o666 });
    using secret = await mkfifo(`${path}/secret`, { mode: 0o600 });
    await using reader = await openFifo(own.path, "read", { keepOpen: true });
    libc("drop privileges").setuid!(65534);
    const read = () => openFifo(secret.path, "read", { timeout: 50 });
    await attempt("read", read);
    await attempt("write", () => openFifo(secret.path, "write"));
    await attempt("make", () => mkfifo(`${path}/other`));
    await attempt("listen", () => listenFifo({ path: `${path}/other` }));
    await attempt("connect", () => connectFifo({ path: own.path }));
    await attempt("capacity", () => setPipeCapacity(reader, 64 << 20));
    libc("go back").setuid!(0);
    await reader.close();
    Deno.exit(0); // what it made is removed by the test
  }
}
