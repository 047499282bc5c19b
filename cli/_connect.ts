// sluice connect: one address to another, or to this terminal.

import { connect } from "../address.ts";
import { bridge, bridgeStdio, talk } from "./_bridge.ts";
import {
  type CommandSpec,
  TIMEOUT,
  timeoutOption,
  UsageError,
} from "./_command.ts";
import { lineMessages, MESSAGE_OPTIONS } from "./_messages.ts";

export const connectCommand: CommandSpec = {
  name: "connect",
  summary: "Connect to an address, and to another or to this terminal",
  positionals: ["<address>", "[address]"],
  options: {
    ...MESSAGE_OPTIONS,
    retry: {
      type: "boolean",
      short: "r",
      help: "try again while the server is not there yet",
    },
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
    const messages = lineMessages(input.options);
    const options = {
      signal,
      timeout: timeoutOption(input),
      retry: input.options.retry === true,
    };
    if (second !== undefined && messages !== undefined) {
      throw new UsageError("--frames is for a terminal: give one address");
    }
    await using first = await connect(address, options);
    if (messages !== undefined) return await talk(first, messages, terminal);
    if (second === undefined) return await bridgeStdio(first, signal);
    await using other = await connect(second, options);
    await bridge(first, other, signal);
  },
};
