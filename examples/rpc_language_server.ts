// Asks a language server what is wrong with a file. Any server that speaks over
// stdio will do; this one comes with Deno.
//
//   deno run -A examples/rpc_language_server.ts

import { client, jsonRpc } from "@sluice/ipc";

interface LanguageServer {
  initialize(params: object): { serverInfo?: { name: string } };
  initialized(params: object): void;
  "textDocument/didOpen"(params: object): void;
  shutdown(): null;
  exit(): void;
}

interface Diagnostics {
  diagnostics: { message: string; range: { start: { line: number } } }[];
}

const found = Promise.withResolvers<Diagnostics>();
await using server = await client<LanguageServer>(
  `exec:"${Deno.execPath()}" lsp`,
  {
    protocol: jsonRpc({ frame: "content-length" }),
    timeout: 30_000,
    connect: { exec: { stderr: "null" } },
    handlers: {
      "textDocument/publishDiagnostics"(params: Diagnostics) {
        if (params.diagnostics.length > 0) found.resolve(params);
      },
      "client/registerCapability": () => null,
    },
  },
);
server.$session.closed.then(
  () => found.reject(new Error("The server ended without a word")),
  found.reject,
);

const { serverInfo } = await server.initialize({
  processId: Deno.pid,
  rootUri: null,
  capabilities: {},
  initializationOptions: { enable: true },
});
await server.$notify.initialized({});
await server.$notify["textDocument/didOpen"]({
  textDocument: {
    uri: "file:///nowhere/wrong.ts", // the server gets the text, no file
    languageId: "typescript",
    version: 1,
    text: 'const n: number = "text";\nexport { n };\n',
  },
});

for (const { message, range } of (await found.promise).diagnostics) {
  console.log(`${serverInfo?.name}, line ${range.start.line + 1}: ${message}`);
}

await server.shutdown();
await server.$notify.exit();
