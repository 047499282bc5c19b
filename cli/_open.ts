// Connecting as the options of a command say.

import { connect } from "../address.ts";
import type { Connection } from "../duplex.ts";
import { type Input, textOption, timeoutOption } from "./_command.ts";

/** How long a connection may take before a terminal is told, in milliseconds. */
const PATIENCE = 300;

/** Connects within `--timeout`, over and over with `--retry`. */
export async function open(
  address: string,
  input: Input,
): Promise<Connection> {
  const { terminal, options } = input;
  const ca = textOption(input, "ca");
  const timer = setTimeout(
    () => terminal.progress(`Connecting to ${address}`),
    PATIENCE,
  );
  try {
    return await connect(address, {
      signal: terminal.signal,
      timeout: timeoutOption(input),
      tls: ca === undefined
        ? undefined
        : { caCerts: [await Deno.readTextFile(ca)] },
      retry: options.retry === true && { maxDelay: 500 },
    });
  } finally {
    clearTimeout(timer);
    terminal.progress("");
  }
}
