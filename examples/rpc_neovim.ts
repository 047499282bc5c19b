// Drives a buffer of Neovim, and hears of every change in it.
//
//   deno run -A examples/rpc_neovim.ts

import { client, messagePackRpc } from "@sluice/ipc/rpc";
import { connectUnix } from "@sluice/ipc/socket";

/** The part of its API that is used here; `:help api` lists all of it. */
interface Neovim {
  nvim_buf_attach(buffer: number, whole: boolean, options: object): boolean;
  nvim_buf_set_lines(
    buffer: number,
    first: number,
    last: number,
    strict: boolean,
    lines: string[],
  ): void;
  nvim_eval(expression: string): unknown;
  nvim_command(command: string): void;
}

const directory = await Deno.makeTempDir();
await using cleanup = new AsyncDisposableStack();
cleanup.defer(() => Deno.remove(directory, { recursive: true }));
const path = `${directory}/nvim.sock`;
const editor = new Deno.Command("nvim", {
  args: ["--headless", "--clean", "--listen", path],
  stdin: "null",
}).spawn();

const heard = Promise.withResolvers<void>();
await using nvim = client<Neovim>(
  await connectUnix({ path, retry: true, timeout: 10_000 }),
  {
    protocol: messagePackRpc({ bare: true }),
    handlers: {
      // Neovim calls this side over the same connection.
      nvim_buf_lines_event(
        _buffer: unknown,
        _tick: number,
        first: number,
        _last: number,
        lines: string[],
      ) {
        console.log(`line ${first} is now:`, lines);
        if (lines.includes("hello from Deno")) heard.resolve();
      },
    },
  },
);

await nvim.nvim_buf_attach(0, false, {});
await nvim.nvim_buf_set_lines(0, 0, -1, true, ["hello from Deno"]);
await heard.promise;
console.log("line count:", await nvim.nvim_eval("line('$')"));

await nvim.$notify.nvim_command("quitall!");
await editor.status;
