// Sends some lines to unix_echo_server.ts and prints what comes back.

import { channel, lines, text } from "@sluice/ipc/framing";
import { connectUnix } from "@sluice/ipc/socket";

const [path = "/tmp/sluice-echo.sock", ...words] = Deno.args;
await using echo = channel<string>(await connectUnix({ path, retry: true }), {
  format: lines(),
  codec: text,
});
for (const word of words.length > 0 ? words : ["hello", "world"]) {
  await echo.send(word);
  console.log(await echo.receive({ timeout: 1000 }));
}
