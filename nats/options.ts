import { checkInteger, describe } from "../_async/check.ts";
import { checkTimeout } from "../_async/wait.ts";
import {
  type ByteStreamOptions,
  checkStreamOptions,
} from "../_transport/options.ts";

/** Who one is to the NATS server. */
export type NatsAuthentication =
  | { user: string; password: string }
  | { token: string }
  /** The text of a credentials file: a JWT and its seed. */
  | { credentials: string };

/** What {@linkcode listenNats} and {@linkcode connectNats} both take. */
export interface NatsOptions extends ByteStreamOptions {
  /** The subject that names the service, such as `"math"` or `"eu.math"`. */
  subject: string;
  /**
   * The NATS server, as `host`, `host:port` or a list of these: the servers of
   * one cluster.
   *
   * @default {"127.0.0.1:4222"}
   */
  server?: string | string[];
  /** Who this program is to the server. By default, nobody in particular. */
  authentication?: NatsAuthentication;
  /**
   * Whether to insist on TLS to the server; `ca` is a certificate (PEM) to trust
   * beside the system's roots. A server that requires TLS gets it anyway.
   *
   * @default {false}
   */
  tls?: boolean | { ca?: string };
  /**
   * How many bytes the peer may send ahead of what was read here.
   *
   * @default {1048576}
   */
  window?: number;
  /**
   * How often each side shows that it lives, in milliseconds. A peer whose
   * process ended is known to be gone within this time; one whose network
   * fell silent, within three times of it.
   *
   * @default {1000}
   */
  heartbeatInterval?: number;
}

/** {@linkcode NatsOptions}, checked and complete. */
export interface CheckedNatsOptions extends ByteStreamOptions {
  subject: string;
  servers: string[];
  window: number;
  heartbeatInterval: number;
}

/** Throws where an option is out of range. */
export function checkNatsOptions(options: NatsOptions): CheckedNatsOptions {
  const { subject, server = "127.0.0.1:4222" } = options;
  const { window = 1 << 20, heartbeatInterval = 1000 } = options;
  checkSubject("subject", subject);
  checkStreamOptions(options);
  checkInteger("window", window, 1024, 2 ** 31 - 1);
  if (checkTimeout("heartbeatInterval", heartbeatInterval) < 10) {
    throw new RangeError(
      `Invalid heartbeatInterval: expected 10 ms or more, received ${heartbeatInterval}`,
    );
  }
  const servers = typeof server === "string" ? [server] : server;
  if (!Array.isArray(servers) || servers.length === 0) {
    throw new TypeError(
      `Invalid server: expected host:port or a list of these, ` +
        `received ${describe(server)}`,
    );
  }
  return { ...options, subject, servers, window, heartbeatInterval };
}

/** Throws where `subject` is none that can be published to. */
export function checkSubject(name: string, subject: string): void {
  if (
    typeof subject !== "string" || subject.length > 255 ||
    !/^[^\s.*>\0]+(\.[^\s.*>\0]+)*$/.test(subject)
  ) {
    throw new TypeError(
      `Invalid ${name}: expected words joined by dots, without spaces, * ` +
        `and >, at most 255 characters, received ${describe(subject)}`,
    );
  }
}
