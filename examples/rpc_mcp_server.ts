// Starts an MCP server, lists its tools and calls one.
//
//   deno run -A examples/rpc_mcp_server.ts

import { client, jsonRpc } from "@sluice/ipc/rpc";

interface McpServer {
  initialize(params: object): { serverInfo: { name: string } };
  "notifications/initialized"(): void;
  "tools/list"(params: object): { tools: { name: string }[] };
  "tools/call"(params: { name: string; arguments: object }): {
    content: { text: string }[];
  };
}

const process = new Deno.Command(Deno.execPath(), {
  args: [
    "run",
    "-A",
    "--no-config",
    "npm:@modelcontextprotocol/server-everything@2026.8.31",
    "stdio",
  ],
  stdin: "piped",
  stdout: "piped",
  stderr: "null",
}).spawn();

{
  await using server = client<McpServer>(
    { readable: process.stdout, writable: process.stdin },
    {
      protocol: jsonRpc({ frame: "lines", cancellation: "mcp" }),
      timeout: 60_000,
    },
  );
  const { serverInfo } = await server.initialize({
    protocolVersion: "2025-06-18",
    capabilities: {},
    clientInfo: { name: "example", version: "1.0.0" },
  });
  await server.$notify["notifications/initialized"]();

  const { tools } = await server["tools/list"]({});
  console.log(`${serverInfo.name} has`, tools.map(({ name }) => name));
  const { content } = await server["tools/call"]({
    name: "echo",
    arguments: { message: "hello from Deno" },
  });
  console.log(content[0].text);
}

process.kill();
await process.status;
