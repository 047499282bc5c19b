import { schemes } from "./address.ts";
import { checkOneOf, describe } from "./_async/check.ts";
import type { MeasureReport } from "./measure.ts";

/** What the two programs need of each other: the argument of {@linkcode choose}. */
export interface Needs {
  /**
   * Whether they run on different machines, or in containers that share neither
   * files nor memory.
   *
   * @default {false}
   */
  crossHost?: boolean;
  /**
   * Whether what passes has to be encrypted.
   *
   * @default {crossHost}
   */
  encrypted?: boolean;
  /**
   * Whether one program starts the other.
   *
   * @default {false}
   */
  sameFamily?: boolean;
  /**
   * The size of a usual message, in bytes.
   *
   * @default {1024}
   */
  messageSize?: number;
  /**
   * Messages per second, one way, when it is busy.
   *
   * @default {100}
   */
  rate?: number;
  /**
   * The longest time that a message may take there and back, in milliseconds.
   *
   * @default {Infinity}
   */
  roundTrip?: number;
  /**
   * Whether both programs belong to one user and trust each other. If not, the
   * kernel has to stand between them.
   *
   * @default {true}
   */
  trusted?: boolean;
  /**
   * Whether `--allow-ffi` may be given to both.
   *
   * @default {true}
   */
  ffi?: boolean;
  /**
   * The platform.
   *
   * @default {Deno.build.os}
   */
  os?: typeof Deno.build.os;
  /** Figures of {@linkcode measure}, to take the place of the built-in ones. */
  measured?: MeasureReport;
}

/** One mechanism, and what it takes. */
export interface Mechanism {
  /** The scheme of its addresses, such as `"unix"`. */
  readonly scheme: string;
  /** An address to begin with, such as `"unix:/run/app.sock"`. */
  readonly address: string;
  /** The permissions that both programs need. Narrow them to your paths. */
  readonly permissions: readonly string[];
}

/** A mechanism that was not chosen. */
export interface Alternative extends Mechanism {
  /** When to take it instead, or why it is out. */
  readonly when: string;
}

/** What {@linkcode choose} answers. */
export interface Choice extends Mechanism {
  /** Why this one, in the order of the decisions. */
  readonly reasons: readonly string[];
  /** Whether, by the figures, it does what `rate` and `roundTrip` ask for. */
  readonly meetsNeeds: boolean;
  /** The other mechanisms. */
  readonly alternatives: readonly Alternative[];
  /** The choice and its reasons, for people. */
  toString(): string;
}

/** What a mechanism does: a median round trip in ms, and bytes per second. */
interface Figures {
  roundTrip: number;
  throughput: number;
}

/**
 * Of `measure()` on 2 CPUs (Deno 2.9.6, Linux x86-64) with nothing else to do,
 * rounded to the worse; `exec` is taken as a Unix socket's.
 */
const FIGURES: Record<string, Figures> = {
  shm: { roundTrip: 0.008, throughput: 1.1e9 },
  unix: { roundTrip: 0.05, throughput: 1.0e9 },
  exec: { roundTrip: 0.05, throughput: 1.0e9 },
  tcp: { roundTrip: 0.09, throughput: 0.8e9 },
  tls: { roundTrip: 0.15, throughput: 0.3e9 },
};

/** What `Deno.build.os` may be. */
const SYSTEMS: readonly (typeof Deno.build.os)[] = [
  "linux",
  "darwin",
  "windows",
  "android",
  "freebsd",
  "netbsd",
  "aix",
  "solaris",
  "illumos",
];

/** The part of what is possible that a program should count on. */
const SHARE = 0.5;
/** What one message costs beside its bytes, when many leave in one write. */
const PER_MESSAGE = 2e-6;

const MECHANISMS: Record<string, Omit<Mechanism, "scheme">> = {
  unix: {
    address: "unix:/run/app.sock",
    permissions: ["--allow-read", "--allow-write", "--allow-net"],
  },
  shm: {
    address: "shm:/run/app.sock",
    permissions: [
      "--allow-read",
      "--allow-write",
      "--allow-net",
      "--allow-ffi",
    ],
  },
  exec: { address: "exec:program argument", permissions: ["--allow-run"] },
  tcp: { address: "tcp:127.0.0.1:9000", permissions: ["--allow-net"] },
  tls: { address: "tls:example.com:9443", permissions: ["--allow-net"] },
};

/**
 * Chooses the mechanism by what two programs need of each other: the decision
 * tree of `docs/choosing.md`. The simplest mechanism that does it wins, and
 * speed only counts where the simpler one is too slow.
 *
 * It measures nothing and needs no permission; pass {@linkcode measure}'s figures
 * for this machine's.
 *
 * @param needs What matters. Everything has a default.
 * @returns The mechanism, its reasons, and when another one would be better.
 * @throws {RangeError} If a number is not above 0.
 * @throws {TypeError} If a number is none, or `os` no system.
 *
 * @example A server on the same machine, and a stream of camera frames
 * ```ts
 * import { choose } from "@sluice/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(choose({ os: "linux" }).scheme, "unix");
 *
 * const frames = choose({ os: "linux", messageSize: 8_000_000, rate: 120 });
 * assertEquals(frames.scheme, "shm");
 * console.log(String(frames)); // the reasons
 * ```
 */
export function choose(needs: Needs = {}): Choice {
  const {
    crossHost = false,
    encrypted = crossHost,
    sameFamily = false,
    messageSize = 1024,
    rate = 100,
    roundTrip = Infinity,
    trusted = true,
    ffi = true,
    os = Deno.build.os,
    measured,
  } = needs;
  checkAboveZero("messageSize", messageSize);
  checkAboveZero("rate", rate);
  checkAboveZero("roundTrip", roundTrip);
  checkOneOf("os", os, SYSTEMS);
  if (measured !== undefined && !Array.isArray(measured?.measured)) {
    throw new TypeError(
      `Invalid measured: expected what measure() gave, received ${
        describe(measured)
      }`,
    );
  }

  const reasons: string[] = [];
  const out = new Map<string, string>();
  const figuresOf = (scheme: string): Figures => {
    const found = measured?.measured.find((one) => one.scheme === scheme);
    return found === undefined ? FIGURES[scheme] : {
      roundTrip: found.roundTrip.p50,
      throughput: found.throughput,
    };
  };
  const load = rate * messageSize;
  const isEnough = (scheme: string): boolean => {
    const { roundTrip: possible, throughput } = figuresOf(scheme);
    const busy = load / throughput + rate * PER_MESSAGE;
    return busy <= SHARE && possible <= roundTrip;
  };

  // What is out of the question, and why.
  if (crossHost) {
    reasons.push("The programs run on different machines: only a network does");
    for (const scheme of ["unix", "shm", "exec"]) {
      out.set(scheme, "when both run on one machine");
    }
  }
  if (encrypted) {
    reasons.push("What passes has to be encrypted");
    out.set("tcp", "when the network encrypts already (WireGuard, a tunnel)");
    if (!crossHost) {
      for (const scheme of ["unix", "shm", "exec"]) {
        out.set(scheme, "when it is enough that it never leaves the machine");
      }
    }
  }
  if (!crossHost && os === "windows") {
    out.set("unix", "not on Windows");
    out.set("shm", "not on Windows");
    reasons.push("On Windows there are neither Unix sockets nor shared memory");
  }
  if (!sameFamily) setOnce(out, "exec", "when one program starts the other");
  if (!trusted) {
    setOnce(out, "shm", "when both trust each other: its peer can write there");
  }
  if (!ffi) setOnce(out, "shm", "when --allow-ffi may be given");
  if (os !== "linux") setOnce(out, "shm", "on Linux, where it is tested");

  // The simplest first.
  const order = ["exec", "unix", "shm", "tcp", "tls"]
    .filter((scheme) => schemes().includes(scheme));
  const possible = order.filter((scheme) => !out.has(scheme));
  const enough = possible.find(isEnough);
  const fastest = possible.toSorted((a, b) => {
    const [one, other] = [figuresOf(a), figuresOf(b)];
    return roundTrip < Infinity
      ? one.roundTrip - other.roundTrip
      : other.throughput - one.throughput;
  })[0];
  const scheme = enough ?? fastest;
  if (scheme === "exec") {
    reasons.push(
      "One program starts the other: pipes need no address, and end with it",
    );
  }
  for (const slower of possible.slice(0, possible.indexOf(scheme))) {
    reasons.push(`${slower}: is too slow: ${shortfall(slower)}`);
  }
  if (scheme === "unix") {
    reasons.push(
      "Both run on one machine: a file's permissions say who may connect, the " +
        "kernel tells who did, and any language can",
    );
  } else if (scheme === "shm") {
    reasons.push(
      "Shared memory: the kernel is not asked for each message, as long as each " +
        "side has a core to itself",
    );
  } else if (scheme === "tcp" && !crossHost) {
    reasons.push("TCP on the loopback address is left");
  }
  if (enough === undefined) {
    const tooFar = figuresOf(scheme).roundTrip > roundTrip;
    reasons.push(
      `By the figures none does it, this one comes nearest: ${
        shortfall(scheme)
      }. ${
        tooFar
          ? "Measure it on your machine, or ask for more in one message"
          : "Send less, in larger messages, or over several connections"
      }`,
    );
  }

  function shortfall(scheme: string): string {
    const { roundTrip: possible, throughput } = figuresOf(scheme);
    if (possible > roundTrip) {
      return `a round trip takes ${possible} ms, ${roundTrip} ms are allowed`;
    }
    const busy = load / throughput + rate * PER_MESSAGE;
    return `${rate} messages of ${messageSize} bytes in a second keep it busy ` +
      `for ${busy.toFixed(2)} s, ${SHARE} s are safe`;
  }

  const alternatives = order.filter((other) => other !== scheme).map(
    (other): Alternative => ({
      scheme: other,
      ...MECHANISMS[other],
      when: out.get(other) ?? whenBetter(other, scheme),
    }),
  );
  const choice = {
    scheme,
    ...MECHANISMS[scheme],
    reasons,
    meetsNeeds: enough !== undefined,
    alternatives,
  };
  return { ...choice, toString: () => toText(choice) };
}

/** When a mechanism that is possible would be better than the one chosen. */
function whenBetter(scheme: string, chosen: string): string {
  switch (scheme) {
    case "shm":
      return "when a round trip has to take microseconds, or a core is busy " +
        "with copying";
    case "unix":
      return chosen === "exec"
        ? "when others connect too, or the two live on without each other"
        : "when it is fast enough: it needs no --allow-ffi and no trust";
    case "tcp":
      return "when a peer is in another network namespace, or on Windows";
    case "tls":
      return "when users of this machine must not see what passes";
    default:
      return "when nothing else connects";
  }
}

function setOnce(map: Map<string, string>, key: string, value: string): void {
  if (!map.has(key)) map.set(key, value);
}

function checkAboveZero(name: string, value: number): void {
  if (typeof value !== "number") {
    throw new TypeError(
      `Invalid ${name}: expected a number, received ${describe(value)}`,
    );
  }
  if (!(value > 0)) {
    throw new RangeError(
      `Invalid ${name}: expected a number above 0, received ${value}`,
    );
  }
}

function toText(choice: Omit<Choice, "toString">): string {
  return [
    `${choice.scheme}: such as ${choice.address}`,
    `  needs ${choice.permissions.join(" ")}`,
    ...choice.reasons.map((reason) => `  - ${reason}`),
    "  instead:",
    ...choice.alternatives.map(({ scheme, when }) => `  - ${scheme}: ${when}`),
  ].join("\n");
}
