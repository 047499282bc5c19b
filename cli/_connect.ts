// sluice connect: one address to another, or to this terminal.

import { bridge, bridgeStdio, talk } from "./_bridge.ts";
import { CA, type CommandSpec, RAW, RETRY, TIMEOUT } from "./_command.ts";
import { MESSAGE_OPTIONS, terminalMessages } from "./_messages.ts";
import { open } from "./_open.ts";

export const connectCommand: CommandSpec = {
  name: "connect",
  summary: "Connect to an address, and to another or to this terminal",
  positionals: ["<address>", "[address]"],
  options: {
    ...MESSAGE_OPTIONS,
    raw: RAW,
    ca: CA,
    retry: RETRY,
    timeout: TIMEOUT,
  },
  details: "With one address, standard input goes to the peer and what it " +
    "sends to standard output, until the peer ends. With --frames, each line " +
    "is a message. With two, bytes go both ways until both ended.",
  examples: [
    "sluice connect unix:/run/app.sock",
    "sluice connect tcp:localhost:6379 --frames lines",
    "sluice connect --frames length --codec msgpack shm:/run/app.sock",
    "sluice connect tcp:localhost:9000 unix:/run/app.sock",
  ],
  async run(input) {
    const { positionals: [address, second], terminal } = input;
    const { signal } = terminal;
    const messages = terminalMessages(input);
    await using first = await open(address, input);
    if (messages !== undefined) return await talk(first, messages, terminal);
    if (second === undefined) {
      return await bridgeStdio(first, terminal, input.options.raw === true);
    }
    await using other = await open(second, input);
    await bridge(first, other, signal);
  },
};
