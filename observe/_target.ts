/** A file by path, or any stream that takes bytes. */
export type Target = string | URL | WritableStream<Uint8Array>;

/** Takes bytes, all or none: after an error every write throws it again. */
export interface ByteTarget {
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export interface TargetOptions {
  append?: boolean;
  preventClose?: boolean;
}

/** Opens a file now, so that a wrong path is told to who gave it. */
export function openTarget(
  target: Target,
  { append = false, preventClose = false }: TargetOptions = {},
): ByteTarget {
  const bytes = target instanceof WritableStream
    ? streamTarget(target, preventClose)
    : fileTarget(target, append);
  let failure: { error: unknown } | undefined;
  return {
    async write(chunk) {
      if (failure !== undefined) throw failure.error;
      try {
        await bytes.write(chunk);
      } catch (error) {
        // Part of it may be there: more would follow on a torn record.
        failure = { error };
        throw error;
      }
    },
    close: () => bytes.close(),
  };
}

function fileTarget(path: string | URL, append: boolean): ByteTarget {
  const file = Deno.openSync(path, {
    write: true,
    create: true,
    append,
    truncate: !append,
    mode: 0o600, // what passes a connection is nobody else's business
  });
  return {
    async write(chunk) {
      for (let at = 0; at < chunk.length;) {
        at += await file.write(chunk.subarray(at));
      }
    },
    close() {
      file.close();
      return Promise.resolve();
    },
  };
}

function streamTarget(
  stream: WritableStream<Uint8Array>,
  preventClose: boolean,
): ByteTarget {
  const writer = stream.getWriter();
  writer.closed.catch(() => {}); // the next write tells
  return {
    write: (chunk) => writer.write(chunk),
    async close() {
      if (preventClose) writer.releaseLock();
      else await writer.close();
    },
  };
}
