// sluice call and sluice describe: RPC without a program.

import {
  createSession,
  jsonRpc,
  messagePackRpc,
  type Protocol,
  RpcError,
  type Session,
} from "../rpc/mod.ts";
import {
  CA,
  type CommandSpec,
  type Input,
  integerOption,
  type OptionSpec,
  RETRY,
  textOption,
  TIMEOUT,
  timeoutOption,
  UsageError,
} from "./_command.ts";
import { parseValue, showValue } from "./_messages.ts";
import { open } from "./_open.ts";
import { printable } from "./_terminal.ts";

const PROTOCOLS: Record<string, () => Protocol> = {
  "sluice": () => messagePackRpc(),
  "msgpack": () => messagePackRpc({ bare: true }),
  "json-lines": () => jsonRpc({ frame: "lines" }),
  "json-content-length": () => jsonRpc({ frame: "content-length" }),
};

const PROTOCOL: OptionSpec = {
  type: "string",
  short: "p",
  value: "NAME",
  help: "what the server speaks (sluice)",
  choices: Object.keys(PROTOCOLS),
};

async function openSession(input: Input): Promise<Session> {
  const [address] = input.positionals;
  const connection = await open(address, input);
  const protocol = PROTOCOLS[textOption(input, "protocol") ?? "sluice"]();
  // What breaks the session rejects the call, which says it once.
  return createSession(connection, { protocol, onError: () => {} });
}

export const callCommand: CommandSpec = {
  name: "call",
  summary: "Call a method, with arguments in JSON",
  positionals: ["<address>", "<method>", "[argument...]"],
  options: {
    protocol: PROTOCOL,
    deadline: {
      type: "string",
      short: "d",
      value: "MS",
      help: "give up waiting for the answer after so many milliseconds",
    },
    notify: { type: "boolean", help: "send it without waiting for an answer" },
    ca: CA,
    retry: RETRY,
    timeout: TIMEOUT,
  },
  details: "Each argument is a JSON value; one that is none is taken as " +
    'text. Bytes are written as {"$base64":"..."}, a bigint as ' +
    '{"$bigint":"..."}, a date as {"$date":"..."}; - reads one from standard input. The result is printed as ' +
    "JSON, the items of a stream one a line, as they come.",
  examples: [
    "sluice call unix:/run/math.sock add 20 22",
    "sluice call shm:/run/log.sock tail '{\"lines\":10}'",
    "sluice call -p msgpack unix:/tmp/nvim.sock nvim_eval '\"1+1\"'",
  ],
  async run(input) {
    const { positionals: [, method, ...texts], terminal } = input;
    if (texts.filter((text) => text === "-").length > 1) {
      throw new UsageError("- stands for standard input, which ends once");
    }
    const params = await Promise.all(texts.map(parseArgument));
    const timeout = integerOption(input, "deadline", {
      min: 1,
      max: 2 ** 31 - 1,
    });
    const session = await openSession(input);
    const abort = () => session.abort(terminal.signal.reason);
    terminal.signal.addEventListener("abort", abort, { once: true });
    try {
      if (input.options.notify === true) {
        return await session.notify(method, { params });
      }
      const result = await session.call(method, {
        params,
        timeout,
        signal: terminal.signal,
      });
      if (isAsyncIterable(result)) {
        for await (const item of result) terminal.print(showValue(item));
        terminal.signal.throwIfAborted();
      } else terminal.print(showValue(result));
    } catch (error) {
      throw error instanceof RpcError ? explain(error) : error;
    } finally {
      terminal.signal.removeEventListener("abort", abort);
      await session.close();
    }
  },
};

export const describeCommand: CommandSpec = {
  name: "describe",
  summary: "List the methods that a server has",
  positionals: ["<address>"],
  options: {
    json: { type: "boolean", help: "as JSON" },
    ca: CA,
    retry: RETRY,
    timeout: TIMEOUT,
  },
  examples: ["sluice describe unix:/run/math.sock"],
  async run(input) {
    const { terminal } = input;
    const session = await openSession(input);
    try {
      const methods = await session.describe({
        signal: terminal.signal,
        timeout: timeoutOption(input),
      });
      if (input.options.json === true) {
        return terminal.print(showValue(methods));
      }
      for (const { name, parameters } of methods) {
        const unit = parameters === 1 ? "parameter" : "parameters";
        terminal.print(
          `${terminal.paint("bold", printable(name))}  ` +
            terminal.paint("dim", `${parameters} ${unit}`),
        );
      }
    } catch (error) {
      throw error instanceof RpcError ? explain(error) : error;
    } finally {
      await session.close();
    }
  },
};

/**
 * JSON where it is JSON; a bare word is text, to save on quotes. `-` is standard
 * input, which has to be JSON.
 */
async function parseArgument(argument: string): Promise<unknown> {
  if (argument === "-") {
    return parseValue(await new Response(Deno.stdin.readable).text());
  }
  try {
    JSON.parse(argument);
  } catch {
    return argument;
  }
  return parseValue(argument);
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null &&
    Symbol.asyncIterator in value;
}

/** The peer's error, with what belongs to it. */
function explain(error: RpcError): Error {
  const data = error.data === undefined ? "" : ` ${showValue(error.data)}`;
  // Of what a handler threw, the class says as much as the text.
  const { name = "Error" } = error.remote ?? {};
  const kind = error.code === "handler-error" && name !== "Error"
    ? `${name}: `
    : "";
  return new Error(
    printable(`${kind}${error.message} (${error.code})`) + data,
    { cause: error },
  );
}
