// Listens on a Unix socket as the user nobody, and says how that went.
import { listenUnix } from "../../socket/mod.ts";
import { libc } from "../../_libc/library.ts";

libc("drop privileges").setuid!(65534);
try {
  await listenUnix({ path: Deno.args[0] });
  console.log("listening");
} catch (error) {
  console.log(String(error));
}
Deno.exit();
