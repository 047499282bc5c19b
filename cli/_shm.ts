// sluice shm: the named segments of this machine.

import { SharedMemory, type SharedMemoryEntry } from "../shm/mod.ts";
import {
  type CommandSpec,
  type Input,
  integerOption,
  UsageError,
} from "./_command.ts";
import { showValue } from "./_messages.ts";

const WORDS = ["list", "prune", "peek"] as const;

export const shmCommand: CommandSpec = {
  name: "shm",
  summary: "List, clean up and look into named shared memory",
  positionals: ["<list|prune|peek>", "[name]"],
  words: WORDS,
  options: {
    json: { type: "boolean", help: "as JSON" },
    keep: {
      type: "boolean",
      help: "prune also what was made to outlive its maker",
    },
    offset: {
      type: "string",
      value: "BYTES",
      help: "where to begin to peek (0)",
    },
    length: {
      type: "string",
      value: "BYTES",
      help: "how many bytes to peek at (256)",
    },
  },
  details: "prune removes the segments whose maker is dead. peek shows the " +
    "bytes behind the header of one, while others go on using it.",
  examples: [
    "sluice shm list",
    "sluice shm prune",
    "sluice shm peek counters --length 64",
  ],
  // deno-lint-ignore require-await -- what it throws has to reject
  async run(input) {
    const [word, name] = input.positionals;
    if (!(WORDS as readonly string[]).includes(word)) {
      throw new UsageError(
        `unknown word ${JSON.stringify(word)}: expected ${WORDS.join(", ")}`,
      );
    }
    if (word === "peek") {
      if (name === undefined) throw new UsageError("shm peek needs a name");
      return peek(name, input);
    }
    if (name !== undefined) {
      throw new UsageError(`shm ${word} takes no name`);
    }
    if (word === "list") show(SharedMemory.list(), input);
    else show(SharedMemory.prune({ keep: input.options.keep === true }), input);
  },
};

function show(entries: SharedMemoryEntry[], { options, terminal }: Input) {
  if (options.json === true) return terminal.print(showValue(entries));
  if (entries.length === 0) return terminal.note("No segments");
  for (const { name, length, ownerPid, ownerAlive, keep } of entries) {
    const state = ownerAlive === undefined
      ? terminal.paint("dim", "in another pid namespace")
      : ownerAlive
      ? terminal.paint("green", "alive")
      : terminal.paint("red", keep ? "ended, kept" : "dead");
    terminal.print(
      `${name}  ${length} bytes  made by ${ownerPid}, ${state}`,
    );
  }
}

/** A hex dump in the form of `hexdump -C`. */
function peek(name: string, input: Input): void {
  const bounds = { min: 0, max: Number.MAX_SAFE_INTEGER };
  const offset = integerOption(input, "offset", bounds) ?? 0;
  const length = integerOption(input, "length", bounds) ?? 256;
  using memory = SharedMemory.open(name);
  if (offset > memory.size) {
    throw new UsageError(
      `--offset ${offset} is behind the end: the segment holds ` +
        `${memory.size} bytes`,
    );
  }
  // A copy: another process may write meanwhile.
  const bytes = memory.bytes.slice(offset, offset + length);
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16);
    const hex = Array.from(row, (byte) => byte.toString(16).padStart(2, "0"));
    const text = Array.from(
      row,
      (byte) => byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".",
    );
    input.terminal.print(
      `${(offset + at).toString(16).padStart(8, "0")}  ` +
        `${hex.slice(0, 8).join(" ").padEnd(23)}  ` +
        `${hex.slice(8).join(" ").padEnd(23)}  |${text.join("")}|`,
    );
  }
}
