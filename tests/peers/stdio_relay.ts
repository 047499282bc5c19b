// Joins its own stdio: connection to the Unix socket that the test listens on.
import { openStdio } from "../../pipe/mod.ts";
import { connectUnix } from "../../socket/mod.ts";

const stdio = openStdio();
const socket = await connectUnix({ path: Deno.args[0] });
const gone = (reason: unknown) => {
  stdio.abort(reason);
  socket.abort(reason);
  Deno.exit(0);
};
stdio.closed.catch(gone);
socket.closed.catch(gone);
await Promise.all([
  stdio.readable.pipeTo(socket.writable),
  socket.readable.pipeTo(stdio.writable),
]).catch(gone);
await Promise.all([stdio.close(), socket.close()]);
