// Messages as lines of text: what is typed and printed in framed mode.

import {
  bytes,
  type Codec,
  contentLength,
  type FrameFormat,
  json,
  lengthPrefixed,
  lines,
  messagePack,
  msgpack,
  text,
  varint,
} from "../framing/mod.ts";
import { type Input, type OptionSpec, UsageError } from "./_command.ts";
import { printable } from "./_terminal.ts";

const FORMATS: Record<string, () => FrameFormat> = {
  "length": () => lengthPrefixed(),
  "length1": () => lengthPrefixed({ bytes: 1 }),
  "length2": () => lengthPrefixed({ bytes: 2 }),
  "length2le": () => lengthPrefixed({ bytes: 2, endian: "little" }),
  "length4le": () => lengthPrefixed({ bytes: 4, endian: "little" }),
  "length8": () => lengthPrefixed({ bytes: 8 }),
  "varint": () => varint(),
  "lines": () => lines(),
  "content-length": () => contentLength(),
  "msgpack": () => messagePack(),
};

/** A codec, and how its messages look on a line. */
interface LineCodec {
  codec: Codec<unknown>;
  parse(line: string): unknown;
  show(message: unknown): string;
}

const CODECS: Record<string, LineCodec> = {
  msgpack: {
    codec: msgpack as Codec<unknown>,
    parse: parseValue,
    show: showValue,
  },
  json: { codec: json as Codec<unknown>, parse: parseValue, show: showValue },
  text: {
    codec: text as Codec<unknown>,
    parse: (line) => line,
    show: (message) => printable(String(message)),
  },
  hex: {
    codec: bytes as unknown as Codec<unknown>,
    parse: parseHex,
    show: (message) => (message as Uint8Array).toHex(),
  },
};

/** The options that name a format and a codec. */
export const MESSAGE_OPTIONS: Record<"frames" | "codec", OptionSpec> = {
  frames: {
    type: "string",
    short: "f",
    value: "FORMAT",
    help: "messages in frames, one a line, instead of raw bytes",
    choices: Object.keys(FORMATS),
  },
  codec: {
    type: "string",
    short: "c",
    value: "CODEC",
    help: "what a frame holds (text; msgpack with --frames msgpack)",
    choices: Object.keys(CODECS),
  },
};

/** How to frame, and how to turn messages into lines and back. */
export interface LineMessages extends LineCodec {
  format: FrameFormat;
}

/** What `--frames` and `--codec` name; `undefined` for raw bytes. */
function lineMessages(
  options: Record<string, string | boolean | undefined>,
): LineMessages | undefined {
  const { frames, codec } = options as { frames?: string; codec?: string };
  if (frames === undefined) {
    if (codec !== undefined) {
      throw new UsageError(
        "--codec needs --frames: raw bytes have no messages",
      );
    }
    return undefined;
  }
  const name = codec ?? (frames === "msgpack" ? "msgpack" : "text");
  return { format: FORMATS[frames](), ...CODECS[name] };
}

/** {@linkcode lineMessages} for a command that takes one or two addresses. */
export function terminalMessages(
  { positionals: [, second], options }: Pick<Input, "positionals" | "options">,
): LineMessages | undefined {
  const messages = lineMessages(options);
  if (second !== undefined && messages !== undefined) {
    throw new UsageError("--frames is for a terminal: give one address");
  }
  return messages;
}

/** What `--frames` and `--codec` tell a tap: no codec shows bytes in hex. */
export function tapMessages(
  options: Record<string, string | boolean | undefined>,
): { format?: FrameFormat; codec?: Codec<unknown> } {
  const messages = lineMessages(options);
  if (messages === undefined) return {};
  const { frames, codec } = options as { frames: string; codec?: string };
  const isText = frames === "lines" || frames === "content-length";
  return codec === "hex" ||
      codec === undefined && !isText && frames !== "msgpack"
    ? { format: messages.format }
    : { format: messages.format, codec: messages.codec };
}

/** Reads one JSON value; what JSON lacks is written as {@linkcode showValue} does. */
export function parseValue(text: string): unknown {
  const refuse = (key: string, value: string): never => {
    throw new UsageError(`${JSON.stringify(value)} is no value of ${key}`);
  };
  try {
    return JSON.parse(text, (_key, value) => {
      if (typeof value !== "object" || value === null) return value;
      const keys = Object.keys(value);
      if (keys.length !== 1) return value;
      if (typeof value.$base64 === "string") {
        try {
          return Uint8Array.fromBase64(value.$base64);
        } catch {
          refuse("$base64", value.$base64);
        }
      }
      if (typeof value.$bigint === "string") {
        if (!/^-?\d+$/.test(value.$bigint)) refuse("$bigint", value.$bigint);
        return BigInt(value.$bigint);
      }
      if (typeof value.$date === "string") {
        const date = new Date(value.$date);
        if (Number.isNaN(date.getTime())) refuse("$date", value.$date);
        return date;
      }
      return value;
    });
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
    throw new UsageError(
      `${JSON.stringify(shown)} is no JSON: ${(error as Error).message}`,
    );
  }
}

/** A value as one line of JSON; bytes, bigints and dates as `{"$base64":…}`. */
export function showValue(value: unknown): string {
  const shown = JSON.stringify(plain(value, 0));
  return shown === undefined ? "undefined" : printable(shown);
}

/** The deepest value that is shown. */
const MAX_DEPTH = 100;

function plain(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) return "…";
  if (typeof value === "bigint") return { $bigint: String(value) };
  if (value instanceof Uint8Array) return { $base64: value.toBase64() };
  if (value instanceof Date) return { $date: value.toJSON() };
  if (value instanceof Map) {
    return { $map: [...value].map((entry) => plain(entry, depth + 1)) };
  }
  if (value instanceof Set) {
    return { $set: [...value].map((item) => plain(item, depth + 1)) };
  }
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, plain(item, depth + 1)]),
    );
  }
  return value;
}

function parseHex(line: string): Uint8Array {
  const digits = line.replaceAll(/\s/g, "");
  try {
    return Uint8Array.fromHex(digits);
  } catch {
    throw new UsageError(`${JSON.stringify(line)} is no hexadecimal`);
  }
}
