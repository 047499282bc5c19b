import { contentLength, json, lines } from "../framing/mod.ts";
import type { Protocol } from "./protocol.ts";
import { checkOneOf } from "../_async/check.ts";
import { JsonWire } from "./_json_wire.ts";

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
