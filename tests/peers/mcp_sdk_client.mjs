// A client of the official MCP SDK, which starts mcp_server.ts and drives it.
// Run without the package's configuration.

// deno-lint-ignore-file no-import-prefix -- no dependency of the package

import { fileURLToPath } from "node:url";
import { Client } from "npm:@modelcontextprotocol/sdk@1.32.2/client/index.js";
import { StdioClientTransport } from "npm:@modelcontextprotocol/sdk@1.32.2/client/stdio.js";
import {
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
} from "npm:@modelcontextprotocol/sdk@1.32.2/types.js";

function check(condition, what) {
  if (!condition) throw new Error(`Unexpected: ${JSON.stringify(what)}`);
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const client = new Client({ name: "official", version: "1.0.0" }, {
  capabilities: { roots: {} },
});
client.setRequestHandler(
  ListRootsRequestSchema,
  () => ({ roots: [{ uri: "file:///root" }] }),
);
const logged = Promise.withResolvers();
client.setNotificationHandler(
  LoggingMessageNotificationSchema,
  ({ params }) => logged.resolve(params.data),
);
await client.connect(
  new StdioClientTransport({
    command: Deno.execPath(),
    args: [
      "run",
      "-A",
      "-c",
      `${root}deno.json`,
      `${root}tests/peers/mcp_server.ts`,
    ],
    env: Deno.env.toObject(),
  }),
);
check(client.getServerVersion()?.name === "sluice", client.getServerVersion());
const { tools } = await client.listTools();
check(tools.length === 3, tools);
await client.ping();

const call = async (name) => {
  const result = await client.callTool({ name, arguments: { text: "hello" } });
  return result.content[0].text;
};
check(await call("roots") === "file:///root", "roots"); // it calls us back

const stop = new AbortController();
const waiting = client.callTool({ name: "wait", arguments: {} }, undefined, {
  signal: stop.signal,
});
stop.abort(new Error("Enough"));
const reason = await waiting.catch((error) => error);
check(String(reason).includes("Enough"), String(reason));
check(await call("echo") === "hello after a cancellation", "echo");
const data = await logged.promise;
check(data.text === "hello", data);

const error = await client.callTool({ name: "none", arguments: {} })
  .catch((error) => error);
check(error.code === -32602, error);
const missing = await client.request({ method: "no/such" }, {})
  .catch((error) => error);
check(missing.code === -32601, missing);
await client.close();
console.log("the SDK is content");
