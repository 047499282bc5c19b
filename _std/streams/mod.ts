/**
 * A stand-in for `@std/streams` over the `Response` body methods.
 * @module
 */

/** Collects a stream of bytes or text into a string. */
export async function toText(
  stream: ReadableStream<Uint8Array> | ReadableStream<string>,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream as ReadableStream<Uint8Array | string>) {
    text += typeof chunk === "string"
      ? chunk
      : decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Collects a stream of bytes into one array. */
export async function toBytes(
  stream: ReadableStream<Uint8Array>,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(
    await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>)
      .arrayBuffer(),
  );
}
