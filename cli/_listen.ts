// sluice listen: accepts connections, for this terminal or for another address.

import { connect, listen } from "../address.ts";
import type { ListenOptions } from "../address.ts";
import { serveConnections } from "../_transport/serve_connections.ts";
import { bridge, bridgeStdio, talk } from "./_bridge.ts";
import {
  CA,
  type CommandSpec,
  type Input,
  integerOption,
  type OptionSpec,
  RAW,
  textOption,
  TIMEOUT,
  timeoutOption,
  UsageError,
} from "./_command.ts";
import { messageOf, whose } from "./_errors.ts";
import { MESSAGE_OPTIONS, terminalMessages } from "./_messages.ts";

/** The options of what listens for many. */
export const LISTEN_OPTIONS: Record<string, OptionSpec> = {
  "max-connections": {
    type: "string",
    short: "n",
    value: "N",
    help: "how many at once, with a second address (1000)",
  },
  mode: {
    type: "string",
    value: "OCTAL",
    help: "permissions of a socket's file (600)",
  },
  cert: { type: "string", value: "FILE", help: "certificate of tls:, PEM" },
  key: { type: "string", value: "FILE", help: "private key of tls:, PEM" },
};

export const listenCommand: CommandSpec = {
  name: "listen",
  summary: "Accept connections, for another address or for this terminal",
  positionals: ["<address>", "[address]"],
  options: {
    ...MESSAGE_OPTIONS,
    raw: RAW,
    ...LISTEN_OPTIONS,
    ca: CA,
    timeout: TIMEOUT,
  },
  details: "With one address, the first connection is joined with standard " +
    "input and output, and the command ends with it. With two, each " +
    "connection gets one to the second address. The address is printed to " +
    "standard error once it can be connected to.",
  examples: [
    "sluice listen unix:/tmp/a.sock",
    "sluice listen tcp:127.0.0.1:9000 unix:/run/app.sock",
    "sluice listen tcp:127.0.0.1:7000 'exec:python3 worker.py'",
  ],
  async run(input) {
    const { positionals: [address, second], terminal } = input;
    const { signal } = terminal;
    const messages = terminalMessages(input);
    const raw = input.options.raw === true;
    const maxConnections = integerOption(input, "max-connections", {
      min: 1,
      max: 1_000_000,
    });
    const timeout = timeoutOption(input);
    await using listener = await listen(address, await listenOptions(input));
    terminal.note(`Listening on ${listener.address}`);
    if (second === undefined) {
      await using connection = await listener.accept({ signal });
      await listener.close();
      if (messages === undefined) await bridgeStdio(connection, terminal, raw);
      else await talk(connection, messages, terminal);
      return;
    }
    await serveConnections(listener, async (connection, context) => {
      await using other = await connect(second, {
        signal: context.signal,
        timeout,
      });
      await bridge(connection, other, context.signal);
    }, {
      signal,
      maxConnections,
      graceTimeout: 1000,
      onError: (error, connection) => {
        if (signal.aborted) return;
        terminal.note(
          `${whose(listener, connection)}: ${messageOf(error)}`,
        );
      },
    });
    signal.throwIfAborted();
  },
};

/** {@linkcode LISTEN_OPTIONS} as they were given. */
export async function listenOptions(input: Input): Promise<ListenOptions> {
  const options: ListenOptions = {};
  const mode = textOption(input, "mode");
  if (mode !== undefined) {
    if (!/^[0-7]{3,4}$/.test(mode)) {
      throw new UsageError(
        `--mode is ${JSON.stringify(mode)}: expected octal digits, such as 660`,
      );
    }
    options.unix = options.shm = { mode: parseInt(mode, 8) };
  }
  const cert = textOption(input, "cert");
  const key = textOption(input, "key");
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError("--cert and --key go together");
  }
  if (cert !== undefined && key !== undefined) {
    options.tls = {
      cert: await Deno.readTextFile(cert),
      key: await Deno.readTextFile(key),
    };
  }
  return options;
}
