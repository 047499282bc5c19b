import { fileURLToPath } from "node:url";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  connectUnix,
  listenUnix,
  peerCredentials,
  type PeerDeniedError,
} from "../socket/mod.ts";
import { channel, lines, text } from "../framing/mod.ts";
import { ConnectionClosedError, type Listener } from "../duplex.ts";
import { descriptorOf } from "../_libc/descriptor.ts";
import {
  countDescriptors,
  hasProgram,
  startDenoPeer,
  startPeer,
  temporaryDirectory,
} from "./_tools.ts";

const unix = Deno.build.os !== "windows";
const test = (name: string, fn: () => Promise<void>, ignore = false) =>
  Deno.test({ name, fn, ignore: !unix || ignore });

const exists = (path: string) => Deno.lstat(path).then(() => true, () => false);

test("listenUnix gives the path mode 0600 whatever the umask", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  const before = Deno.umask(0);
  try {
    await using _listener = await listenUnix({ path });
    assertEquals((await Deno.lstat(path)).mode! & 0o777, 0o600);
  } finally {
    Deno.umask(before);
  }
});

test("listenUnix has the mode from the first moment the path exists", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  const before = Deno.umask(0);
  using watcher = Deno.watchFs(directory.path);
  const modes: number[] = [];
  const watching = (async () => {
    for await (const { paths } of watcher) {
      if (!paths.includes(path)) continue;
      try {
        modes.push(Deno.lstatSync(path).mode! & 0o777);
      } catch { // removed again
        return;
      }
    }
  })();
  try {
    const listener = await listenUnix({ path, mode: 0o660 });
    assertEquals((await Deno.lstat(path)).mode! & 0o777, 0o660);
    await listener.close();
    await watching;
  } finally {
    Deno.umask(before);
  }
  assertEquals(modes.filter((mode) => mode !== 0o660), []);
});

test("listenUnix leaves nothing behind when closed", async () => {
  await using directory = await temporaryDirectory();
  const descriptors = countDescriptors();
  const listener = await listenUnix({ path: `${directory.path}/a.sock` });
  await listener.close();
  await listener.close();
  assertEquals([...Deno.readDirSync(directory.path)], []);
  assertEquals(countDescriptors(), descriptors);
}, Deno.build.os !== "linux");

test("listenUnix replaces the file that a killed process left", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using peer = startDenoPeer("unix_listener.ts", path);
  assertEquals(await peer.line(), "listening");
  await peer.kill();
  assert(await exists(path), "a killed process can't clean up");
  await assertRejects(
    () => connectUnix({ path }),
    Deno.errors.ConnectionRefused,
    "nothing listens there, the file is stale: is the server running?",
  );
  await using _listener = await listenUnix({ path });
  await using _connection = await connectUnix({ path });
});

test(
  "listenUnix says that a stale file is another user's (needs root)",
  async () => {
    await using directory = await temporaryDirectory();
    await Deno.chmod(directory.path, 0o1777); // as /tmp
    const path = `${directory.path}/a.sock`;
    await using killed = startDenoPeer("unix_listener.ts", path);
    assertEquals(await killed.line(), "listening");
    await killed.kill();
    for (
      const [mode, reason] of [
        [
          0o666,
          "the stale socket there is another user's and can't be replaced",
        ],
        [0o600, "another user's socket is there"],
      ] as const
    ) {
      await Deno.chmod(path, mode);
      await using nobody = startDenoPeer("unix_nobody.ts", path);
      assertStringIncludes(
        await nobody.line(),
        `PermissionDenied: Cannot listen on unix:${path}: ${reason}`,
      );
    }
    assertEquals([...Deno.readDirSync(directory.path)].length, 1);
  },
  Deno.build.os !== "linux" || Deno.uid() !== 0,
);

test("listenUnix removes what starters that were killed amid their start left", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  const listed = () => [...Deno.readDirSync(directory.path)].map((e) => e.name);
  const hidden = () => listed().some((name) => name.startsWith("."));
  const module = new URL("../socket/mod.ts", import.meta.url).href;
  const starter = `import { listenUnix } from ${JSON.stringify(module)};
    const path = ${JSON.stringify(path)};
    for (;;) await (await listenUnix({ path })).close();`;
  while (!hidden()) { // most are killed too late
    await using peer = new Deno.Command(Deno.execPath(), {
      args: ["eval", starter],
    }).spawn();
    while (!hidden()) await new Promise((go) => setTimeout(go, 0));
    peer.kill("SIGKILL");
    await peer.status;
  }
  const listener = await listenUnix({ path });
  assertEquals(listed(), ["a.sock"]);
  await listener.close();
  assertEquals(listed(), []);
});

test("listenUnix leaves alone what others keep where it makes its directory", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  using events = Deno.watchFs(directory.path);
  await (await listenUnix({ path })).close();
  let hidden: string | undefined;
  for await (const { paths } of events) {
    hidden = paths.find((name) => /\/\.[^/]*$/.test(name));
    if (hidden !== undefined) break;
  }
  await Deno.mkdir(hidden!);
  await Deno.writeTextFile(`${hidden}/notes`, "mine");
  await using _listener = await listenUnix({ path });
  assertEquals(await Deno.readTextFile(`${hidden}/notes`), "mine");
  assertEquals([...Deno.readDirSync(directory.path)].length, 2);
});

for (const kind of ["unix", "fifo", "mkfifo"]) {
  test(
    `a start that fails for lack of descriptors leaves nothing: ${kind}`,
    async () => {
      await using directory = await temporaryDirectory();
      await using peer = startPeer("sh", [
        "-c",
        `ulimit -n 64; exec "$@"`,
        "sh",
        ...[Deno.execPath(), "run", "-A"],
        fileURLToPath(new URL("peers/few_descriptors.ts", import.meta.url)),
        kind,
        directory.path,
      ]);
      assertEquals(await peer.line(), "done");
    },
    Deno.build.os !== "linux",
  );
}

test("listenUnix refuses a path where another process listens", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using peer = startDenoPeer("unix_listener.ts", path);
  assertEquals(await peer.line(), "listening");
  await assertRejects(
    () => listenUnix({ path }),
    Deno.errors.AddrInUse,
    `Cannot listen on unix:${path}`,
  );
  await using _connection = await connectUnix({ path });
});

test("listenUnix lets exactly one of several starters win", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  for (const stale of [false, true]) {
    if (stale) { // what a crash leaves: a file that nobody listens at
      await using left = startDenoPeer("unix_listener.ts", path);
      assertEquals(await left.line(), "listening");
      await left.kill();
    }
    const peers = Array.from(
      { length: 4 },
      () => startDenoPeer("unix_listener.ts", path),
    );
    const said = await Promise.all(peers.map((peer) => peer.line()));
    assertEquals(said.sort(), [
      "AddrInUse",
      "AddrInUse",
      "AddrInUse",
      "listening",
    ]);
    await using _connection = await connectUnix({ path });
    for (const peer of peers) await peer.kill();
  }
});

test("closing an old listener keeps a newer one's file", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  const old = await listenUnix({ path });
  await Deno.remove(path); // an operator's rm
  await using _newer = await listenUnix({ path });
  await old.close();
  await using _connection = await connectUnix({ path });
});

test("a listener that closes leaves the file of whoever comes after it alone", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  let listening = 0;
  const starter = async () => {
    for (let round = 0; round < 40;) {
      let listener: Listener;
      try {
        listener = await listenUnix({ path });
      } catch (error) {
        assert(error instanceof Deno.errors.AddrInUse, String(error));
        await new Promise((go) => setTimeout(go, Math.random() * 4));
        continue;
      }
      round++;
      assertEquals(++listening, 1);
      assert(await exists(path));
      await new Promise((go) => setTimeout(go, Math.random() * 2));
      assert(await exists(path));
      listening--;
      await listener.close();
    }
  };
  await Promise.all([starter(), starter(), starter()]);
  assertEquals([...Deno.readDirSync(directory.path)], []);
});

test("listenUnix refuses a path that is no socket and leaves it alone", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/notes.txt`;
  await Deno.writeTextFile(path, "mine");
  await assertRejects(
    () => listenUnix({ path }),
    Deno.errors.AlreadyExists,
    "is no socket",
  );
  assertEquals(await Deno.readTextFile(path), "mine");
});

test("listenUnix refuses a directory where any user can replace the socket", async () => {
  await using directory = await temporaryDirectory();
  await Deno.chmod(directory.path, 0o777);
  const path = `${directory.path}/a.sock`;
  await assertRejects(
    () => listenUnix({ path }),
    Deno.errors.PermissionDenied,
    "any user can write to",
  );
  await using _allowed = await listenUnix({ path, allowUnsafeDirectory: true });
  await Deno.chmod(directory.path, 0o1777);
  await using _sticky = await listenUnix({ path: `${directory.path}/b.sock` });
});

test("listenUnix refuses a directory that any user can replace from above", async () => {
  await using directory = await temporaryDirectory();
  const open = `${directory.path}/open`;
  const own = `${open}/a/own`;
  await Deno.mkdir(own, { recursive: true, mode: 0o700 });
  await Deno.symlink(own, `${directory.path}/link`);
  await Deno.chmod(open, 0o777);
  for (const path of [`${own}/a.sock`, `${directory.path}/link/a.sock`]) {
    await assertRejects(
      () => listenUnix({ path }),
      Deno.errors.PermissionDenied,
      `any user can write to ${await Deno.realPath(open)} (mode 777)`,
    );
    await using _ = await listenUnix({ path, allowUnsafeDirectory: true });
  }
  await Deno.chmod(open, 0o1777);
  await using _sticky = await listenUnix({ path: `${own}/a.sock` });
});

test("listenUnix says which directory is missing", async () => {
  await using directory = await temporaryDirectory();
  await assertRejects(
    () => listenUnix({ path: `${directory.path}/none/a.sock` }),
    Deno.errors.NotFound,
    "none does not exist",
  );
});

test("listenUnix and connectUnix name the limit of a path", async () => {
  const path = `/tmp/${"x".repeat(200)}`;
  for (const call of [listenUnix, connectUnix]) {
    await assertRejects(() => call({ path }), RangeError, "use a shorter path");
  }
});

test("listenUnix and connectUnix refuse bad arguments", async () => {
  for (const call of [listenUnix, connectUnix]) {
    await assertRejects(() => call({ path: "" }), TypeError, "Invalid path");
    await assertRejects(
      () => call({ path: "a\0b" }),
      TypeError,
      "Invalid path",
    );
    await assertRejects(
      () => call({ path: 7 as unknown as string }),
      TypeError,
      "received 7",
    );
    await assertRejects(
      () => call({ path: "/tmp/x", idleTimeout: -1 }),
      RangeError,
      "idleTimeout",
    );
  }
  await assertRejects(
    () => listenUnix({ path: "/tmp/x", mode: 0o1777 }),
    RangeError,
    "Invalid mode",
  );
  await assertRejects(
    () => listenUnix({ path: "/tmp/x", backlog: 0 }),
    RangeError,
    "Invalid backlog",
  );
  await assertRejects(
    () => listenUnix({ path: "/tmp/x", allow: "anyone" as "same-user" }),
    TypeError,
    "Invalid allow",
  );
});

test("connectUnix says that there is no socket", async () => {
  await using directory = await temporaryDirectory();
  await assertRejects(
    () => connectUnix({ path: `${directory.path}/none.sock` }),
    Deno.errors.NotFound,
    "is the server running?",
  );
});

test("connectUnix names a server that closes meanwhile, and tries it again", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  const first = await listenUnix({ path });
  const refused = assertRejects(
    () => connectUnix({ path }),
    Deno.errors.ConnectionReset,
    `Cannot connect to unix:${path}: the server closed its listener meanwhile`,
  );
  const connecting = connectUnix({ path, retry: { minDelay: 1, maxDelay: 5 } });
  await first.close();
  await refused;
  await using _second = await listenUnix({ path });
  await using _connection = await connecting;
});

test("connectUnix tries again until the server is there", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  const connecting = connectUnix({
    path,
    retry: { retries: 1000, minDelay: 1, maxDelay: 5 },
  });
  await using _peer = startDenoPeer("unix_listener.ts", path);
  await using _connection = await connecting;
});

test("connectUnix ends its tries by timeout and by signal", async () => {
  await using directory = await temporaryDirectory();
  const options = {
    path: `${directory.path}/none.sock`,
    retry: { retries: 1e6, minDelay: 1, maxDelay: 2 },
  };
  const error = await assertRejects(
    () => connectUnix({ ...options, timeout: 30 }),
    DOMException,
    "timed out after 30 ms",
  );
  assertEquals(error.name, "TimeoutError");
  const reason = new Error("changed my mind");
  const controller = new AbortController();
  const connecting = connectUnix({ ...options, signal: controller.signal });
  controller.abort(reason);
  assertEquals(await assertRejects(() => connecting), reason);
});

test("accept ends by its signal and loses no connection", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using listener = await listenUnix({ path });
  const controller = new AbortController();
  const given = listener.accept({ signal: controller.signal });
  controller.abort(new Error("not now"));
  await assertRejects(() => given, Error, "not now");
  await using client = await connectUnix({ path });
  await using server = await listener.accept();
  await client.writable.getWriter().write(new Uint8Array(3));
  const { value } = await server.readable.getReader().read();
  assertEquals(value?.length, 3);
});

test("accept rejects once the listener is closed", async () => {
  await using directory = await temporaryDirectory();
  const listener = await listenUnix({ path: `${directory.path}/a.sock` });
  const waiting = assertRejects(() => listener.accept(), ConnectionClosedError);
  const iterating = (async () => {
    for await (const _ of listener);
  })();
  await listener.close();
  assertEquals((await waiting).code, "closed");
  await iterating;
  await assertRejects(() => listener.accept(), ConnectionClosedError);
});

test("an idle connection ends by idleTimeout", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using listener = await listenUnix({ path, idleTimeout: 20 });
  await using client = await connectUnix({ path });
  await using server = await listener.accept();
  const error = await assertRejects(
    () => server.readable.getReader().read(),
    DOMException,
    "No byte to or from",
  );
  assertEquals(error.name, "TimeoutError");
  assertEquals((await client.readable.getReader().read()).done, true);
});

test("peerCredentials tells the process at either end", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using peer = startDenoPeer("unix_listener.ts", path);
  await peer.line();
  await using connection = await connectUnix({ path });
  assertEquals(peerCredentials(connection), {
    pid: peer.pid,
    uid: Deno.uid()!,
    gid: Deno.gid()!,
  });
});

test("peerCredentials tells many clients of one listener apart", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using listener = await listenUnix({ path });
  const peers = Array.from(
    { length: 6 },
    () =>
      startPeer("python3", [
        fileURLToPath(new URL("peers/unix_client.py", import.meta.url)),
        path,
        "0",
      ]),
  );
  const accepted = [];
  for (const _ of peers) accepted.push(await listener.accept());
  const pids = accepted.map((connection) => peerCredentials(connection).pid);
  assertEquals(pids.sort(), peers.map((peer) => peer.pid).sort());
  for (const connection of accepted) connection.abort();
  for (const peer of peers) await peer.kill();
}, !hasProgram("python3"));

test("connections made at once are each known by their own descriptor", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using listener = await listenUnix({ path });
  const clients = await Promise.all(
    Array.from({ length: 40 }, () => connectUnix({ path })),
  );
  const numbers = clients.map((client) => descriptorOf(client)?.fd);
  assert(numbers.every((fd) => fd !== undefined));
  assertEquals(new Set(numbers).size, clients.length);
  // Closing one tells of its own, and of no other.
  clients[17].abort();
  assertThrows(
    () => descriptorOf(clients[17])?.fd,
    Deno.errors.BadResource,
  );
  assertEquals(descriptorOf(clients[18])?.fd, numbers[18]);
  for (const client of clients) client.abort();
  await listener.close();
});

test("peerCredentials refuses what it can't know", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using _listener = await listenUnix({ path });
  const connection = await connectUnix({ path });
  await connection.close();
  const gone = await assertRejects(
    // deno-lint-ignore require-await
    async () => peerCredentials(connection),
    Deno.errors.BadResource,
  );
  assertStringIncludes(gone.message, "closed");
  await assertRejects(
    // deno-lint-ignore require-await
    async () =>
      peerCredentials({ ...connection, local: "tcp:a:1", remote: "tcp:b:2" }),
    TypeError,
    "is no Unix socket",
  );
});

test("allow lets the same user in", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using listener = await listenUnix({ path, allow: "same-user" });
  await using _client = await connectUnix({ path });
  await using server = await listener.accept();
  assertEquals(peerCredentials(server).pid, Deno.pid);
});

const root = unix && Deno.uid() === 0 && hasProgram("python3");

for (
  const [name, allow, code] of [
    ["same-user", "same-user", "user"],
    ["a list of users", { uids: [0] }, "list"],
    ["a list of groups", { gids: [0] }, "list"],
    ["a predicate", (peer: { uid: number }) => peer.uid === 0, "predicate"],
  ] as const
) {
  test(
    `allow closes another user's connection by ${name} (needs root)`,
    async () => {
      await using directory = await temporaryDirectory();
      await Deno.chmod(directory.path, 0o755);
      const path = `${directory.path}/a.sock`;
      const denied: PeerDeniedError[] = [];
      await using listener = await listenUnix({
        path,
        mode: 0o666,
        allow,
        onDenied: (error) => denied.push(error),
      });
      const accepting = listener.accept();
      await using stranger = startPeer("python3", [
        fileURLToPath(new URL("peers/unix_client.py", import.meta.url)),
        path,
        "65534",
      ]);
      assertEquals(await stranger.line(), "read 0");
      assertEquals(denied.map((error) => [error.code, error.peer?.uid]), [
        [code, 65534],
      ]);
      assertStringIncludes(denied[0].message, "user 65534");
      // The denied one did not take the place of the next.
      await using _client = await connectUnix({ path });
      await using _server = await accepting;
    },
    !root,
  );
}

test("a predicate or hook that throws denies and goes on", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  let asked = 0;
  await using listener = await listenUnix({
    path,
    allow: () => {
      if (asked++ === 0) throw new Error("a bug");
      return true;
    },
    onDenied: () => {
      throw new Error("another");
    },
  });
  await using _first = await connectUnix({ path });
  await using _second = await connectUnix({ path });
  await using _server = await listener.accept();
  assertEquals(asked, 2);
});

test("backlog bounds the connections that wait", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using _listener = await listenUnix({ path, backlog: 1 });
  const opened: AsyncDisposable[] = [];
  await assertRejects(
    async () => {
      for (let index = 0; index < 8; index++) {
        opened.push(await connectUnix({ path }));
      }
    },
    Deno.errors.WouldBlock,
    "backlog is full",
  );
  assert(opened.length < 8);
  for (const connection of opened) await connection[Symbol.asyncDispose]();
}, Deno.build.os !== "linux");

test("socket works without --allow-ffi, and says what needs it", async () => {
  await using directory = await temporaryDirectory();
  const peer = fileURLToPath(
    new URL("peers/unix_without_ffi.ts", import.meta.url),
  );
  await using program = startPeer(Deno.execPath(), [
    "run",
    "--no-prompt",
    `--allow-read=${directory.path}`,
    `--allow-write=${directory.path}`,
    `--allow-net`,
    peer,
    `${directory.path}/a.sock`,
  ]);
  assertEquals(await program.line(), "received 5");
  assertEquals(
    await program.line(),
    "NotCapable: Cannot read peer credentials: requires ffi access, run " +
      "again with --allow-ffi",
  );
  assertStringIncludes(await program.line(), "NotCapable: Cannot check who");
});

test("socket needs no more of FFI than the C library", async () => {
  const libc = [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
  ].find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  await using directory = await temporaryDirectory();
  const peer = fileURLToPath(
    new URL("peers/unix_without_ffi.ts", import.meta.url),
  );
  await using program = startPeer(Deno.execPath(), [
    "run",
    "--no-prompt",
    `--allow-read=${directory.path}`,
    `--allow-write=${directory.path}`,
    "--allow-net",
    `--allow-ffi=${libc}`,
    peer,
    `${directory.path}/a.sock`,
  ]);
  assertEquals(await program.line(), "received 5");
  assertEquals(await program.line(), `pid ${program.pid}`);
}, Deno.build.os !== "linux");

test("connectUnix and listenUnix say what is at the path instead", async () => {
  await using directory = await temporaryDirectory();
  const file = `${directory.path}/file`;
  await Deno.writeTextFile(file, "");
  const cases: [path: string, reason: string][] = [
    [directory.path, "the path is a directory and no socket"],
    [file, "the path is no socket, use another path"],
    ["@", "Cannot connect to unix:@: the abstract name is empty"],
    [
      `@nobody-${crypto.randomUUID()}`,
      "nobody listens there, is the server running?",
    ],
    [`/tmp/${"x".repeat(120)}`, "Cannot connect to unix:/tmp/xxx"],
  ];
  for (const [path, reason] of cases) {
    await assertRejects(() => connectUnix({ path }), Error, reason);
  }
  await assertRejects(
    () => listenUnix({ path: "/proc/a.sock" }),
    Error,
    "Cannot listen on unix:/proc/a.sock: no file can be made in its directory",
  );
}, Deno.build.os !== "linux");

test("connectUnix takes no other thread's socket for its own", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  const other = `${directory.path}/other.sock`;
  await using listener = await listenUnix({ path });
  using stranger = Deno.listen({ transport: "unix", path: other });
  const hole = Deno.openSync("/dev/null");
  const { connect } = Deno;
  const strays: Promise<Deno.Conn>[] = [];
  // As a worker does: a number is free again, and a new one is another's.
  Deno.connect = ((options: Deno.UnixConnectOptions) => {
    hole.close();
    const own = connect(options);
    strays.push(connect({ transport: "unix", path: other }));
    return own;
  }) as typeof Deno.connect;
  try {
    await using client = await connectUnix({ path });
    assertEquals(descriptorOf(client), undefined); // it can't be known
    (await listener.accept()).abort();
  } finally {
    Deno.connect = connect;
  }
  for (const stray of strays) (await stray).close();
  (await stranger.accept()).close();
}, Deno.build.os !== "linux");

test(
  "listenUnix answers its own connection, not one of an abstract name's last listener",
  async () => {
    const path = `@${crypto.randomUUID()}`;
    const open = () => Deno.openSync("/dev/null");
    const readLine = async (connection: Deno.Conn) => {
      const into = new Uint8Array(64);
      const count = await connection.read(into);
      return new TextDecoder().decode(into.subarray(0, count ?? 0));
    };
    const connect = () =>
      Deno.connect({ transport: "unix", path: path.replace("@", "\0") });
    const before = await listenUnix({ path });
    using first = await connect();
    const hole = open(); // of a number below that of the first connection
    await using _accepted = await before.accept();
    await before.close();
    await using listener = await listenUnix({ path });
    using second = await connect();
    using files = new DisposableStack(); // no other number below is free
    for (let count = 0; count < 8; count++) files.use(open());
    hole.close();
    await using server = await listener.accept();
    await using end = channel<string>(server, { format: lines(), codec: text });
    await second.write(new TextEncoder().encode("question\n"));
    assertEquals(await end.receive(), "question");
    end.send("answer");
    assertEquals(
      await Promise.race([
        readLine(second),
        readLine(first).then(() => "lost", () => ""),
      ]),
      "answer\n",
    );
  },
  Deno.build.os !== "linux",
);

test("listenUnix tells a new connection from an open one after a thousand", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using listener = await listenUnix({ path });
  const pair = () => Promise.all([connectUnix({ path }), listener.accept()]);
  const [client, server] = await pair();
  const held = descriptorOf(server)!.fd;
  for (let round = 0; round < 1030; round++) {
    const [left, right] = await pair();
    assert(descriptorOf(right)!.fd !== held);
    left.abort();
    right.abort();
  }
  client.abort();
  server.abort();
});
