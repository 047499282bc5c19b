// Serves files over TCP without copying them: one line asks for a name, and the
// answer is the length, a line break, and the file's bytes.
//
//   deno run -A examples/file_server.ts [directory]

import {
  connectTcp,
  listenTcp,
  sendFile,
  serveConnections,
} from "@sluice/ipc/tcp";

const directory = Deno.args[0] ?? import.meta.dirname!;
const stop = new AbortController();
const listener = await listenTcp();
const served = serveConnections(listener, async (connection) => {
  const name = await readLine(connection.readable);
  if (!/^[\w.-]+$/.test(name) || name.startsWith(".")) return; // no way up
  using file = await Deno.open(`${directory}/${name}`);
  const { size } = await file.stat();

  const writer = connection.writable.getWriter();
  await writer.write(new TextEncoder().encode(`${size}\n`));
  writer.releaseLock();
  // Less than 32 KiB, such as this file, is read and written: that is faster.
  const { bytes, zeroCopy } = await sendFile(connection, file, {
    length: size,
  });
  console.log(`sent ${bytes} bytes of ${name}, zero copy: ${zeroCopy}`);
}, { signal: stop.signal });

// A client.
await using connection = await connectTcp({ port: listener.port });
const name = import.meta.filename!.split("/").at(-1)!;
const writer = connection.writable.getWriter();
await writer.write(new TextEncoder().encode(`${name}\n`));
await writer.close();
const answer = await new Response(connection.readable as BodyInit).text();
console.log("received", answer.split("\n")[0], "bytes");

stop.abort();
await served;

async function readLine(
  readable: ReadableStream<Uint8Array>,
): Promise<string> {
  let line = "";
  const decoder = new TextDecoder();
  for await (const chunk of readable.values({ preventCancel: true })) {
    line += decoder.decode(chunk, { stream: true });
    if (line.includes("\n")) break;
    if (line.length > 255) throw new RangeError("Cannot serve: name too long");
  }
  return line.trimEnd();
}
