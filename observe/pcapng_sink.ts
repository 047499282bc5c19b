import { checkInteger } from "../_async/check.ts";
import { PcapngWriter } from "./_pcapng_writer.ts";
import { openTarget, type Target } from "./_target.ts";
import { TapSink, type TapSinkOptions } from "./tap_sink.ts";

/** Options of {@linkcode pcapngSink}. */
export interface PcapngSinkOptions extends TapSinkOptions {
  /**
   * Whether a stream stays open when the sink closes.
   *
   * @default {false}
   */
  preventClose?: boolean;
  /**
   * The server's port in packets of a mechanism that has no ports. Wireshark
   * chooses the protocol to show by it: `80` for HTTP. 4 belongs to none.
   *
   * @default {4}
   */
  serverPort?: number;
  /**
   * The longest preview of a message in a packet's comment, in UTF-16 code units.
   *
   * @default {200}
   */
  maxPreviewLength?: number;
}

/**
 * A capture file that Wireshark and `tshark` open, of any mechanism: a Unix socket
 * or shared memory too, which `tcpdump` can't see, and TLS before it is encrypted.
 *
 * Each connection is an interface of the capture (`frame.interface_name`), its
 * bytes are TCP segments with made-up headers, so that "Follow TCP Stream"
 * works, and what the codec made of a frame is the packet's comment. TCP
 * connections keep their addresses.
 *
 * In raw mode the bytes are those that passed, in the pieces of each read and
 * write. With a `format` there is one packet for each frame, whose header is
 * written anew by the format. Bytes that `redact` left out or that exceed
 * `captureLength` are missing from the packet, and Wireshark says so.
 *
 * The format is that of draft-ietf-opsawg-pcapng. Requires `--allow-write` for a
 * path. A new file is readable by its owner only.
 *
 * @param target The path of a file, which is replaced, or a stream.
 * @param options How packets look, and bounds of the queue.
 * @returns The sink.
 * @throws {Deno.errors.NotFound} If the file's directory is not there.
 * @throws {Deno.errors.NotCapable} Without `--allow-write`.
 * @throws {RangeError} If an option is out of range.
 *
 * @example A capture of a Unix socket
 * ```ts
 * import { connectUnix, listenUnix } from "@sluice/ipc/socket";
 * import { pcapngSink, tap } from "@sluice/ipc/observe";
 *
 * const directory = await Deno.makeTempDir();
 * await using sink = pcapngSink(`${directory}/capture.pcapng`);
 * await using listener = await listenUnix({ path: `${directory}/a.sock` });
 * await using client = tap(await connectUnix({ path: `${directory}/a.sock` }), sink);
 * const writer = client.writable.getWriter();
 * await writer.write(new TextEncoder().encode("hello"));
 * // Then: wireshark capture.pcapng
 * ```
 */
export function pcapngSink(
  target: string | URL | WritableStream<Uint8Array>,
  options: PcapngSinkOptions = {},
): TapSink {
  const { serverPort = 4, maxPreviewLength = 200 } = options;
  checkInteger("serverPort", serverPort, 1, 65535);
  checkInteger("maxPreviewLength", maxPreviewLength, 1);
  const output = openTarget(target as Target, options);
  const writer = new PcapngWriter({ serverPort, maxPreviewLength });
  return new TapSink({
    write: (records) => output.write(writer.encode(records)),
    async close() {
      try {
        const rest = writer.encode([]); // a capture of nothing is a capture too
        if (rest.length > 0) await output.write(rest);
      } finally {
        await output.close();
      }
    },
  }, options);
}
