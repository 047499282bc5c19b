// JSON-RPC 2.0 messages, read and written.

import type { CallId, Wire, WireEvents, WireLimits } from "./protocol.ts";
import type { WireErrorObject } from "./wire_types.ts";
import { describe } from "../_async/check.ts";
import { RpcError } from "./errors.ts";
import { isPlainObject } from "./_values.ts";
import { JsonBatches } from "./_json_batch.ts";
import {
  fromJsonError,
  JSON_CODES,
  PARSE_ERROR,
  toJsonError,
} from "./_json_error.ts";

/** The options of `jsonRpc` that concern messages. */
export interface JsonWireOptions {
  cancellation: "lsp" | "mcp" | "none";
  params: "auto" | "positional";
  extensions: boolean;
}

/** JSON-RPC 2.0 messages. */
export class JsonWire implements Wire {
  #options: JsonWireOptions;
  #limits: WireLimits;
  #batches = new JsonBatches();

  constructor(options: JsonWireOptions, limits: WireLimits) {
    this.#options = options;
    this.#limits = limits;
  }

  read(message: unknown, events: WireEvents): void {
    if (!Array.isArray(message)) return this.#readOne(message, events);
    const { maxBatchLength } = this.#limits;
    if (message.length === 0 || message.length > maxBatchLength) {
      throw new RpcError(
        `Cannot read batch: length ${message.length} ` +
          (message.length === 0
            ? "is empty"
            : `exceeds maxBatchLength ${maxBatchLength}`),
        { code: "malformed" },
      );
    }
    const answers = this.#batches.read(
      message,
      (part) => this.#readOne(part, events),
    );
    if (answers !== undefined) events.batch?.(answers);
  }

  #readOne(message: unknown, events: WireEvents): void {
    if (!isPlainObject(message) || message.jsonrpc !== "2.0") {
      throw malformed('an object with jsonrpc "2.0"', message);
    }
    const { id, method, params } = message;
    if (id !== undefined && id !== null && !isId(id)) {
      throw malformed("a number or a string as id", id);
    }
    if (method === undefined) return this.#readAnswer(message, events);
    if (typeof method !== "string") {
      throw malformed("a string as method", method);
    }
    const list = params === undefined || params === null
      ? []
      : Array.isArray(params)
      ? params
      : [params];
    if (typeof list[0] !== "object" && list.length === 1 && list !== params) {
      throw malformed("an array or an object of params", params);
    }
    if (isId(id)) {
      this.#batches.onCall(id);
      events.request(id, method, list);
    } else if (method === "$/cancelRequest") {
      if (isPlainObject(params) && isId(params.id)) events.cancel(params.id);
    } else if (
      method === "notifications/cancelled" &&
      this.#options.cancellation === "mcp"
    ) {
      if (isPlainObject(params) && isId(params.requestId)) {
        events.cancel(params.requestId);
      }
    } else events.notification(method, list);
  }

  #readAnswer(message: Record<string, unknown>, events: WireEvents): void {
    const { id, error } = message;
    if (error !== undefined && error !== null) {
      // An error without an id is about a message, not about a call.
      if (isId(id)) events.error(id, fromJsonError(error));
      else {
        throw new RpcError("The peer could not read a message", {
          code: "malformed",
          data: error,
        });
      }
    } else if (isId(id) && "result" in message) {
      events.result(id, message.result);
    } else throw malformed("a method, a result or an error", message);
  }

  request(id: number, method: string, params: readonly unknown[]): unknown {
    return { jsonrpc: "2.0", id, method, ...this.#params(params) };
  }

  notification(method: string, params: readonly unknown[]): unknown {
    return { jsonrpc: "2.0", method, ...this.#params(params) };
  }

  #params(params: readonly unknown[]): { params?: unknown } {
    if (params.length === 0) return {};
    const named = this.#options.params === "auto" && params.length === 1 &&
      isPlainObject(params[0]);
    return { params: named ? params[0] : params };
  }

  result(id: CallId, value: unknown): unknown {
    const result = mayHaveNoForm(value) ? new Form(value) : value ?? null;
    const answer = { jsonrpc: "2.0", id, result };
    return this.#batches.answer(id, answer);
  }

  error(id: CallId, error: WireErrorObject): unknown {
    const answer = { jsonrpc: "2.0", id, error: toJsonError(error) };
    return this.#batches.answer(id, answer);
  }

  cancel(id: number): unknown {
    if (this.#options.extensions) {
      return { jsonrpc: "2.0", method: "$cancel", params: [id] };
    }
    switch (this.#options.cancellation) {
      case "lsp":
        return { jsonrpc: "2.0", method: "$/cancelRequest", params: { id } };
      case "mcp":
        return {
          jsonrpc: "2.0",
          method: "notifications/cancelled",
          params: { requestId: id },
        };
      default:
        return undefined;
    }
  }

  malformed({ message }: WireErrorObject, readable: boolean): unknown {
    const code = readable ? JSON_CODES.malformed : PARSE_ERROR;
    return { jsonrpc: "2.0", id: null, error: { code, message } };
  }
}

/** Whether JSON could leave it out, and with it make an answer that is none. */
function mayHaveNoForm(value: unknown): boolean {
  return typeof value === "function" || typeof value === "symbol" ||
    typeof value === "object" && value !== null && "toJSON" in value;
}

/** A result that is no answer where it has no form: to encode it throws. */
class Form {
  #value: unknown;

  constructor(value: unknown) {
    this.#value = value;
  }

  toJSON(key: string): unknown {
    const value = this.#value as { toJSON?: unknown };
    const form = typeof value.toJSON === "function" ? value.toJSON(key) : value;
    if (
      form === undefined || typeof form === "function" ||
      typeof form === "symbol"
    ) throw new TypeError(`JSON has no form for ${describe(value)}`);
    return form;
  }
}

function isId(id: unknown): id is CallId {
  return typeof id === "number" || typeof id === "string";
}

function malformed(expected: string, received: unknown): RpcError {
  return new RpcError(
    `Cannot read message: expected ${expected}, received ${describe(received)}`,
    { code: "malformed" },
  );
}
