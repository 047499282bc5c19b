// Listeners from descriptors that were inherited or sent.

import type { Connection, Listener } from "../duplex.ts";
import { SO_TYPE, SOCK_STREAM, SOL_SOCKET } from "../_libc/constants.ts";
import {
  descriptorOf,
  integerOption,
  isListening,
} from "../_libc/descriptor.ts";
import { addressOf, AdoptedAcceptor } from "../_transport/adopt.ts";
import { AcceptListener } from "../_transport/listener.ts";
import {
  type ByteStreamOptions,
  checkStreamOptions,
} from "../_transport/options.ts";
import { checkAllow, denial } from "./_allow.ts";
import type { AllowPeer, PeerDeniedError } from "./peer.ts";

/** How the connections of an adopted listener behave, and who may connect. */
export interface AdoptListenerOptions extends ByteStreamOptions {
  /**
   * Who may connect, where it is a Unix socket. Others are closed before a byte
   * is read.
   */
  allow?: AllowPeer;
  /** Told of each peer that `allow` turned away. What it throws is dropped. */
  onDenied?: (error: PeerDeniedError) => void;
}

/** Throws where it is no socket that streams can be accepted from. */
export function checkListening(fd: number, what: string): void {
  if (
    integerOption(fd, SOL_SOCKET, SO_TYPE) !== BigInt(SOCK_STREAM) ||
    !isListening(fd)
  ) {
    throw new Deno.errors.InvalidData(
      `${what}: descriptor ${fd} is no listening stream socket`,
    );
  }
}

/** Makes a listener; `take` gives it the descriptor once all is checked. */
export function adoptListener(
  fd: number,
  options: AdoptListenerOptions,
  take: () => number = () => fd,
  { address = addressOf(fd, "local"), onClose = () => {} }: {
    address?: string;
    onClose?: () => Promise<void> | void;
  } = {},
): AcceptListener & Listener {
  const { allow, onDenied } = options;
  checkStreamOptions(options);
  if (allow !== undefined) {
    checkAllow(allow);
    if (!address.startsWith("unix:")) {
      throw new TypeError(
        `Invalid allow: ${address} is no Unix socket, which alone tells who ` +
          `connects`,
      );
    }
  }
  checkListening(fd, `Cannot listen on ${address}`);
  const acceptor = new AdoptedAcceptor(take(), address, options);
  return new AcceptListener(address, {
    async accept(): Promise<Connection | undefined> {
      const connection = await acceptor.accept();
      const error = allow &&
        denial(allow, descriptorOf(connection)?.fd, address);
      if (!error) return connection;
      connection.abort();
      try {
        onDenied?.(error);
      } catch { // a hook that throws must not end the listener
      }
      return undefined;
    },
    async close() {
      acceptor.close();
      await onClose();
    },
    descriptor: () => acceptor.descriptor(),
    keepAlive: (on) => acceptor.keepAlive(on),
    retire: async () =>
      (await acceptor.retire()).filter((connection) => {
        const error = allow &&
          denial(allow, descriptorOf(connection)?.fd, address);
        if (error) connection.abort();
        return !error;
      }),
  });
}
