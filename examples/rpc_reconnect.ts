// A client whose server is killed, three times, and started again: it comes back
// by itself, and knows of each payment whether it may have been made.
//
//   deno run -A examples/rpc_reconnect.ts

import { CallInterruptedError, reconnectingClient, serve } from "@sluice/ipc";

const handlers = {
  pid: () => Deno.pid,
  async pay(amount: number) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return amount;
  },
};

const [role, served] = Deno.args;
if (role === "serve") await serve(served, handlers);
else await demonstrate();

async function demonstrate(): Promise<void> {
  const address = `unix:${await Deno.makeTempDir()}/bank.sock`;
  await using bank = reconnectingClient<typeof handlers>(address, {
    timeout: 10_000,
    idempotent: ["pid"],
    reconnect: { minDelay: 10, maxDelay: 100 },
  });
  for (let start = 0; start < 3; start++) {
    await using _server = startServer(address);
    console.log("server", start + 1, "has process", await bank.pid());
    await bank.pay(1);
    bank.pay(2).then(
      () => console.log("paid"),
      (error) => {
        if (!(error instanceof CallInterruptedError)) throw error;
        console.log(`${error.code}: ${error.message}`);
      },
    );
    await bank.pid(); // by then it has begun to pay
  }
  await using _server = startServer(address);
  console.log("the last one has process", await bank.pid());
  console.log("connections:", bank.$session.connections);
}

/** A process that is killed at the end of the scope. */
function startServer(address: string): AsyncDisposable {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.filename!, "serve", address],
  }).spawn();
  return {
    async [Symbol.asyncDispose]() {
      process.kill("SIGKILL");
      await process.status;
    },
  };
}
