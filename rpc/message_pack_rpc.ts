import { lengthPrefixed, messagePack, msgpack } from "../framing/mod.ts";
import type { CallId, Protocol, Wire, WireEvents } from "./protocol.ts";
import type { WireErrorObject } from "./wire_types.ts";
import { RpcError } from "./errors.ts";
import { describe } from "../_async/check.ts";

/** Options of {@linkcode messagePackRpc}. */
export interface MessagePackRpcOptions {
  /**
   * Sends MessagePack values one after the other, without a length before
   * each, as Neovim and other MessagePack-RPC programs do.
   *
   * @default {false}
   */
  bare?: boolean;
  /**
   * Whether streams, callbacks, metadata, deadlines and cancellation travel.
   * They are notifications with reserved names, which only Sluice understands.
   *
   * @default {!bare}
   */
  extensions?: boolean;
}

/**
 * [MessagePack-RPC](https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md):
 * `[0, id, method, params]`, `[1, id, error, result]` and
 * `[2, method, params]`, by default each in a frame with a 4-byte length.
 *
 * @example The protocol of Neovim
 * ```ts
 * import { messagePackRpc } from "@sluice/ipc/rpc";
 *
 * const protocol = messagePackRpc({ bare: true });
 * if (protocol.extensions) throw new Error("Neovim knows no extensions");
 * ```
 *
 * @param options {@linkcode MessagePackRpcOptions}
 * @returns The protocol, for `serve` and `client`.
 */
export function messagePackRpc(options: MessagePackRpcOptions = {}): Protocol {
  const { bare = false, extensions = !bare } = options;
  return {
    name: bare ? "bare MessagePack-RPC" : "MessagePack-RPC",
    format: bare ? messagePack() : lengthPrefixed(),
    codec: msgpack,
    extensions,
    createWire: () => new MessagePackWire(extensions),
  };
}

class MessagePackWire implements Wire {
  #extensions: boolean;

  constructor(extensions: boolean) {
    this.#extensions = extensions;
  }

  read(message: unknown, events: WireEvents): void {
    if (!Array.isArray(message)) throw malformed("expected an array", message);
    switch (message[0]) {
      case 1:
        if (message.length !== 4) break;
        checkId(message[1]);
        if (message[2] === null) events.result(message[1], message[3]);
        else events.error(message[1], message[2]);
        return;
      case 0:
        if (message.length !== 4) break;
        checkId(message[1]);
        checkCall(message[2], message[3]);
        events.request(message[1], message[2], message[3]);
        return;
      case 2:
        if (message.length !== 3) break;
        checkCall(message[1], message[2]);
        events.notification(message[1], message[2]);
        return;
      default:
        throw malformed("expected type 0, 1 or 2", message[0]);
    }
    throw malformed(
      `expected ${message[0] === 2 ? 3 : 4} elements`,
      message.length,
    );
  }

  request(id: number, method: string, params: readonly unknown[]): unknown {
    return [0, id, method, params];
  }

  notification(method: string, params: readonly unknown[]): unknown {
    return [2, method, params];
  }

  result(id: CallId, value: unknown): unknown {
    return [1, id, null, value];
  }

  error(id: CallId, error: WireErrorObject): unknown {
    return [1, id, error, null];
  }

  cancel(id: number): unknown {
    return this.#extensions ? [2, "$cancel", [id]] : undefined;
  }

  malformed(): unknown {
    return undefined; // MessagePack-RPC has no message for it
  }
}

function checkId(id: unknown): void {
  if (!Number.isInteger(id) || (id as number) < 0) {
    throw malformed("expected an integer as id", id);
  }
}

function checkCall(method: unknown, params: unknown): void {
  if (typeof method !== "string") {
    throw malformed("expected a string as method", method);
  }
  if (!Array.isArray(params)) {
    throw malformed("expected an array of params", params);
  }
}

function malformed(expected: string, received: unknown): RpcError {
  return new RpcError(
    `Cannot read message: ${expected}, received ${describe(received)}`,
    { code: "malformed" },
  );
}
