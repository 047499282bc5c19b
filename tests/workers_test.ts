// Several threads of one process, whose descriptors have the same numbers.

import { assertEquals } from "@std/assert";
import { schemes } from "../address.ts";
import { temporaryDirectory } from "./_tools.ts";

/** Starts a worker and says what it says when it is done. */
function run(name: string, addresses: string[], rounds: number) {
  const script = new URL("peers/worker.ts", import.meta.url);
  const worker = new Worker(script, { type: "module", name });
  const said = Promise.withResolvers<string>();
  worker.onmessage = ({ data }) => said.resolve(data);
  worker.onerror = ({ message }) => said.resolve(message);
  worker.postMessage({ addresses, rounds });
  return { said: said.promise, [Symbol.dispose]: () => worker.terminate() };
}

Deno.test({
  name: "workers of one process connect to each other, and none to another's",
  ignore: Deno.build.os !== "linux" || !schemes().includes("shm"),
  async fn() {
    await using directory = await temporaryDirectory();
    const addresses = ["shm:a", "unix:b", "shm:c"].map((address) =>
      address.replace(":", `:${directory.path}/`)
    );
    using server = run("server", addresses, 0);
    assertEquals(await server.said, "done");
    using first = run("first", addresses, 60);
    using second = run("second", addresses, 60);
    using third = run("third", addresses, 60);
    assertEquals(
      await Promise.all([first.said, second.said, third.said]),
      ["done", "done", "done"],
    );
  },
});
