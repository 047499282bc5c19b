// Programs that exist, and answer: Neovim, `deno lsp`, an MCP server, Python.

import { fileURLToPath } from "node:url";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import type { Duplex } from "../duplex.ts";
import {
  client,
  type Context,
  jsonRpc,
  messagePackRpc,
  RpcError,
  serve,
} from "../rpc/mod.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";
import { hasProgram, startPeer, temporaryDirectory } from "./_tools.ts";

const TIMEOUT = 30_000;

/** A child's stdio; killed with the scope. */
function startStdio(
  command: string,
  args: string[],
): AsyncDisposable & { duplex: Duplex } {
  const child = new Deno.Command(command, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  return {
    duplex: { readable: child.stdout, writable: child.stdin },
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch { // gone already
      }
      await child.status;
    },
  };
}

interface Neovim {
  nvim_get_current_buf(): number;
  nvim_buf_set_lines(
    buffer: number,
    start: number,
    end: number,
    strict: boolean,
    lines: string[],
  ): void;
  nvim_buf_get_lines(
    buffer: number,
    start: number,
    end: number,
    strict: boolean,
  ): string[];
  nvim_buf_attach(buffer: number, all: boolean, options: object): boolean;
  nvim_command(command: string): void;
  nvim_eval(expression: string): unknown;
}

Deno.test({
  name: "rpc drives a buffer of Neovim and hears of its changes",
  ignore: !hasProgram("nvim"),
  async fn() {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/nvim.sock`;
    await using _nvim = startPeer("nvim", [
      "--headless",
      "--clean",
      "--listen",
      path,
    ]);
    const changed = Promise.withResolvers<string[]>();
    const duplex = await connectUnix({ path, retry: true, timeout: TIMEOUT });
    await using nvim = client<Neovim>(duplex, {
      protocol: messagePackRpc({ bare: true }),
      timeout: TIMEOUT,
      handlers: {
        nvim_buf_lines_event(
          _buffer: unknown,
          tick: number | null,
          _first: number,
          _last: number,
          lines: string[],
        ) {
          if (tick !== null && lines[0] === "from Deno") changed.resolve(lines);
        },
        double: (n: number) => 2 * n,
      },
    });
    assert(await nvim.nvim_buf_attach(0, false, {}));
    await nvim.nvim_buf_set_lines(0, 0, -1, true, ["from Deno", "üñí"]);
    assertEquals(await nvim.nvim_buf_get_lines(0, 0, -1, true), [
      "from Deno",
      "üñí",
    ]);
    assertEquals(await changed.promise, ["from Deno", "üñí"]);
    const error = await assertRejects(
      () => nvim.nvim_command("throw 'no'"),
      RpcError,
      "no",
    );
    assertEquals(error.code, "handler-error");
    // Neovim calls this side, and waits for the answer.
    const [channel] = await nvim.$session.call("nvim_get_api_info") as [number];
    assertEquals(
      await nvim.nvim_eval(`rpcrequest(${channel}, 'double', 21)`),
      42,
    );
  },
});

interface Diagnostics {
  uri: string;
  diagnostics: { message: string; code?: number | string }[];
}

Deno.test("rpc gets the diagnostic of a type error from deno lsp", async () => {
  await using directory = await temporaryDirectory();
  await using child = startStdio(Deno.execPath(), ["lsp"]);
  const found = Promise.withResolvers<Diagnostics>();
  const protocol = jsonRpc({ frame: "content-length" });
  interface Lsp {
    initialize(params: object): { capabilities: object };
    initialized(params: object): void;
    "textDocument/didOpen"(params: object): void;
    shutdown(): null;
  }
  await using server = client<Lsp>(child.duplex, {
    protocol,
    timeout: TIMEOUT,
    handlers: {
      "textDocument/publishDiagnostics"(params: Diagnostics) {
        if (params.diagnostics.length > 0) found.resolve(params);
      },
      "workspace/configuration": ({ items }: { items: unknown[] }) =>
        items.map(() => ({ enable: true })),
      "client/registerCapability": () => null,
      "window/workDoneProgress/create": () => null,
      "$/progress"() {},
    },
  });
  const uri = `file://${directory.path}/wrong.ts`;
  const { capabilities } = await server.initialize({
    processId: Deno.pid,
    rootUri: null,
    capabilities: {
      textDocument: { publishDiagnostics: {} },
      workspace: { configuration: true },
    },
    initializationOptions: { enable: true },
  });
  assert(capabilities);
  await server.$notify.initialized({});
  await server.$notify["textDocument/didOpen"]({
    textDocument: {
      uri,
      languageId: "typescript",
      version: 1,
      text: "export const n: number = 'text';\n",
    },
  });
  const { diagnostics, uri: where } = await found.promise;
  assertEquals(where, uri);
  assertEquals(diagnostics[0].code, 2322);
  await server.shutdown();
});

const MCP = "npm:@modelcontextprotocol/server-everything@2026.8.31";

/** Installs it, once; offline it may be in the cache. */
function canInstall(specifier: string): boolean {
  return new Deno.Command(Deno.execPath(), {
    args: ["cache", "--no-config", "--no-lock", specifier],
    stdout: "null",
    stderr: "null",
  }).outputSync().success;
}

Deno.test({
  name: "rpc lists and calls the tools of an MCP server",
  ignore: !canInstall(MCP),
  async fn() {
    await using child = startStdio(Deno.execPath(), [
      "run",
      "-A",
      "--no-config",
      "--no-lock",
      MCP,
      "stdio",
    ]);
    interface Mcp {
      initialize(params: object): { serverInfo: { name: string } };
      "notifications/initialized"(): void;
      "tools/list"(params: object): { tools: { name: string }[] };
      "tools/call"(params: { name: string; arguments: object }): {
        content: { type: string; text: string }[];
      };
      ping(): object;
    }
    await using server = client<Mcp>(child.duplex, {
      protocol: jsonRpc({ frame: "lines", cancellation: "mcp" }),
      timeout: TIMEOUT,
    });
    const { serverInfo } = await server.initialize({
      protocolVersion: "2025-06-18",
      capabilities: {},
      clientInfo: { name: "sluice", version: "0.1.0" },
    });
    assert(serverInfo.name.length > 0);
    await server.$notify["notifications/initialized"]();
    const { tools } = await server["tools/list"]({});
    assert(tools.some(({ name }) => name === "echo"));
    const { content } = await server["tools/call"]({
      name: "echo",
      arguments: { message: "from Deno" },
    });
    assertEquals(content[0].text, "Echo: from Deno");
    const error = await assertRejects(
      () => server.$session.call("no/such/method"),
      RpcError,
    );
    assertEquals(error.code, "method-not-found");
    assertEquals(await server.ping(), {});
  },
});

const MCP_SDK = "npm:@modelcontextprotocol/sdk@1.32.2";

Deno.test({
  name: "rpc serves the client of the official MCP SDK over stdio",
  ignore: !canInstall(MCP_SDK),
  async fn() {
    const script = fileURLToPath(
      new URL("peers/mcp_sdk_client.mjs", import.meta.url),
    );
    await using peer = startPeer(Deno.execPath(), [
      "run",
      "-A",
      "--no-config",
      "--no-lock",
      "--no-check",
      script,
    ]);
    assertEquals(await peer.line(), "the SDK is content");
    assertEquals((await peer.status).code, 0);
  },
});

/** The Python that has msgpack, if there is one. */
const python = ["python3", "python"].find((name) => {
  try {
    return new Deno.Command(name, {
      args: ["-c", "import msgpack"],
      stdout: "null",
      stderr: "null",
    }).outputSync().success;
  } catch {
    return false;
  }
});

Deno.test({
  name: "rpc serves and calls Python with only socket and msgpack",
  ignore: python === undefined,
  async fn() {
    await using directory = await temporaryDirectory();
    const listener = await listenUnix({ path: `${directory.path}/a.sock` });
    const noted = Promise.withResolvers<string>();
    await using _server = serve(listener, {
      add: (a: number, b: number) => a + b,
      echo: (bytes: Uint8Array) => bytes,
      fail() {
        throw new RangeError("Too far");
      },
      note: (text: string) => noted.resolve(text),
      async ask(
        this: Context,
      ) {
        const peer = this.client<{ double(n: number): number }>();
        await assertRejects(
          () => this.session.call("nothing"),
          RpcError,
          "no such method",
        );
        return await peer.double(21);
      },
    });
    const script = fileURLToPath(new URL("peers/rpc_peer.py", import.meta.url));
    await using peer = startPeer(python!, [script, `${directory.path}/a.sock`]);
    assertEquals(await peer.line(), "python is content");
    assertEquals(await noted.promise, "from Python");
    assertEquals((await peer.status).code, 0);
  },
});

for (
  const { name, ignore, prints } of [
    {
      name: "rpc_neovim",
      ignore: !hasProgram("nvim"),
      prints: "line count: 1",
    },
    { name: "rpc_language_server", prints: "not assignable to type 'number'" },
    {
      name: "rpc_mcp_server",
      ignore: !canInstall(MCP),
      prints: "Echo: hello from Deno",
    },
    {
      name: "rpc_python",
      ignore: python === undefined,
      prints: "HELLO PYTHON",
    },
  ]
) {
  Deno.test({
    name: `examples/${name}.ts runs as it is`,
    ignore: ignore ?? false,
    async fn() {
      const example = new URL(`../examples/${name}.ts`, import.meta.url);
      const { success, stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", fileURLToPath(example)],
        stderr: "inherit",
      }).output();
      assert(success);
      assertStringIncludes(new TextDecoder().decode(stdout), prints);
    },
  });
}
