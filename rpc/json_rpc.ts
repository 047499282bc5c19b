import { contentLength, json, lines } from "../framing/mod.ts";
import type {
  CallId,
  Protocol,
  Wire,
  WireEvents,
  WireLimits,
} from "./protocol.ts";
import type { WireErrorObject } from "./wire_types.ts";
import { RpcError, type RpcErrorCode } from "./errors.ts";
import { isPlainObject } from "./_values.ts";
import { checkOneOf, describe } from "../_async/check.ts";

/** Options of {@linkcode jsonRpc}. */
export interface JsonRpcOptions {
  /**
   * `"lines"`: one message a line (MCP). `"content-length"`: headers before
   * each message (language servers).
   *
   * @default {"lines"}
   */
  frame?: "lines" | "content-length";
  /**
   * The notification that cancels a call: `"lsp"` is `$/cancelRequest`,
   * `"mcp"` is `notifications/cancelled`.
   *
   * @default {"lsp"}
   */
  cancellation?: "lsp" | "mcp" | "none";
  /**
   * `"auto"` sends a single plain object as named params, anything else by
   * position. `"positional"` always sends an array.
   *
   * @default {"auto"}
   */
  params?: "auto" | "positional";
  /**
   * Whether streams, callbacks, metadata and deadlines travel, as
   * notifications with reserved names. Only Sluice understands them.
   *
   * @default {false}
   */
  extensions?: boolean;
}

/**
 * [JSON-RPC 2.0](https://www.jsonrpc.org/specification). Batches are answered
 * with one batch. Bytes, dates, maps, sets and bigints don't survive JSON:
 * between two programs of your own, prefer {@linkcode messagePackRpc}.
 *
 * @example The protocol of language servers
 * ```ts
 * import { jsonRpc } from "@sluice/ipc/rpc";
 *
 * const protocol = jsonRpc({ frame: "content-length" });
 * if (protocol.name !== "JSON-RPC 2.0 (content-length)") throw new Error();
 * ```
 *
 * @param options {@linkcode JsonRpcOptions}
 * @returns The protocol, for `serve` and `client`.
 * @throws {TypeError} If an option is none of the values listed.
 */
export function jsonRpc(options: JsonRpcOptions = {}): Protocol {
  const {
    frame = "lines",
    cancellation = "lsp",
    params = "auto",
    extensions = false,
  } = options;
  checkOneOf("frame", frame, ["lines", "content-length"]);
  checkOneOf("cancellation", cancellation, ["lsp", "mcp", "none"]);
  checkOneOf("params", params, ["auto", "positional"]);
  return {
    name: `JSON-RPC 2.0 (${frame})`,
    format: frame === "lines" ? lines() : contentLength(),
    codec: json as Protocol["codec"],
    extensions,
    createWire: (limits) =>
      new JsonWire({ cancellation, params, extensions }, limits),
  };
}

/** One batch that the peer sent, until every call in it is answered. */
interface Batch {
  waiting: number;
  answers: unknown[];
}

class JsonWire implements Wire {
  #options: Required<Omit<JsonRpcOptions, "frame">>;
  #limits: WireLimits;
  #batchOf = new Map<CallId, Batch>();
  /** The batch that is being read. */
  #reading: Batch | undefined;

  constructor(
    options: Required<Omit<JsonRpcOptions, "frame">>,
    limits: WireLimits,
  ) {
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
    // One more than there are, so that a call that is answered at once does
    // not complete the batch before the last one was read.
    const batch: Batch = { waiting: 1, answers: [] };
    this.#reading = batch;
    try {
      for (const part of message) this.#readOne(part, events);
    } finally {
      this.#reading = undefined;
    }
    const answers = this.#answerOf(batch);
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
      if (this.#reading !== undefined) {
        this.#reading.waiting++;
        this.#batchOf.set(id, this.#reading);
      }
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
    return this.#answer(id, { jsonrpc: "2.0", id, result: value ?? null });
  }

  error(id: CallId, error: WireErrorObject): unknown {
    return this.#answer(id, { jsonrpc: "2.0", id, error: toJsonError(error) });
  }

  #answer(id: CallId, answer: unknown): unknown {
    const batch = this.#batchOf.get(id);
    if (batch === undefined) return answer;
    this.#batchOf.delete(id);
    batch.answers.push(
      isEncodable(answer) ? answer : {
        jsonrpc: "2.0",
        id,
        error: { code: JSON_CODES.internal, message: "The result has no form" },
      },
    );
    return this.#answerOf(batch);
  }

  /** The answer of the batch where this was the last one to wait for. */
  #answerOf(batch: Batch): unknown[] | undefined {
    return --batch.waiting === 0 && batch.answers.length > 0
      ? batch.answers
      : undefined;
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

/** JSON-RPC 2.0 and LSP 3.17 define the first ones; the rest is free. */
const JSON_CODES: Record<RpcErrorCode, number> = {
  "malformed": -32600,
  "method-not-found": -32601,
  "invalid-params": -32602,
  "internal": -32603,
  "cancelled": -32800,
  "handler-error": -32000,
  "deadline-exceeded": -32050,
  "overloaded": -32051,
  "unavailable": -32052,
};

const PARSE_ERROR = -32700;

function toJsonError(error: WireErrorObject): Record<string, unknown> {
  const { code, origin, ...rest } = error;
  const own = code === "handler-error" && Number.isInteger(origin)
    ? origin
    : JSON_CODES[code];
  return own === origin || origin === undefined
    ? { ...rest, code: own }
    : { ...rest, code: own, origin };
}

function fromJsonError(error: unknown): unknown {
  if (!isPlainObject(error)) return error;
  for (const [code, number] of Object.entries(JSON_CODES)) {
    if (number !== error.code) continue;
    return { origin: number, ...error, code };
  }
  return error;
}

/** One answer without a form must not cost the others of its batch. */
function isEncodable(answer: unknown): boolean {
  try {
    JSON.stringify(answer);
    return true;
  } catch {
    return false;
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
