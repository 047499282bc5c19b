// An MCP server on stdio, made of rpc/ alone. Started by mcp_sdk_client.ts.

import { type Context, jsonRpc, RpcError, serve } from "../../rpc/mod.ts";

interface McpClient {
  "roots/list"(): { roots: { uri: string }[] };
  "notifications/message"(params: { level: string; data: unknown }): void;
}

const tools = ["echo", "roots", "wait"].map((name) => ({
  name,
  inputSchema: { type: "object" },
}));
let cancelled = "";

const server = serve(
  { readable: Deno.stdin.readable, writable: Deno.stdout.writable },
  {
    initialize: ({ protocolVersion }: { protocolVersion: string }) => ({
      protocolVersion,
      capabilities: { tools: {}, logging: {} },
      serverInfo: { name: "sluice", version: "0.1.0" },
    }),
    "notifications/initialized"() {},
    "logging/setLevel": () => ({}),
    ping: () => ({}),
    "tools/list": () => ({ tools }),
    async "tools/call"(
      this: Context,
      { name, arguments: given }: {
        name: string;
        arguments: Record<string, unknown>;
      },
    ) {
      const text = (text: string) => ({ content: [{ type: "text", text }] });
      const peer = this.client<McpClient>();
      switch (name) {
        case "echo":
          await peer.$notify["notifications/message"]({
            level: "info",
            data: given,
          });
          return text(`${given.text} ${cancelled}`);
        case "roots":
          return text((await peer["roots/list"]()).roots[0].uri);
        case "wait":
          return await new Promise((_, reject) => {
            this.signal.addEventListener("abort", () => {
              cancelled = "after a cancellation";
              reject(this.signal.reason);
            });
          });
        default:
          throw new RpcError(`Unknown tool: ${name}`, {
            code: "invalid-params",
          });
      }
    },
  },
  { protocol: jsonRpc({ frame: "lines", cancellation: "mcp" }) },
);
await server.closed;
