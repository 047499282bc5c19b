// The server of the two-process measurements of rpc/. Started by
// `rpc_two_processes.ts`, which passes what to serve and where.

import { bytes, channel } from "../framing/mod.ts";
import { serve } from "../rpc/mod.ts";
import { listenShm } from "../shm/mod.ts";
import { listenUnix } from "../socket/mod.ts";

/** What every contender serves. */
export const handlers = {
  add: (a: number, b: number) => a + b,
  echo: (data: Uint8Array) => data,
  async *count(to: number) {
    for (let n = 0; n < to; n++) yield n;
  },
};

/** A loop over messages: what a call costs without any RPC. */
async function answerMessages(path: string): Promise<void> {
  const listener = await listenUnix({ path });
  console.log("ready");
  for await (const connection of listener) {
    const messages = channel<unknown[], unknown[]>(connection);
    (async () => {
      for (;;) {
        let message: unknown[] | undefined = await messages.receive();
        for (; message !== undefined; message = messages.tryReceive()) {
          const [, id, , [a, b]] = message as [0, number, string, number[]];
          messages.trySend([1, id, null, a + b]);
        }
      }
    })().catch(() => {});
  }
}

/** The bare loop: echoes frames, the writes of one turn as one. */
async function echoFrames(path: string): Promise<void> {
  const listener = await listenUnix({ path });
  console.log("ready");
  for await (const connection of listener) {
    const frames = channel<Uint8Array>(connection, { codec: bytes });
    (async () => {
      for (;;) {
        let frame: Uint8Array | undefined = await frames.receive();
        for (; frame !== undefined; frame = frames.tryReceive()) {
          if (!frames.trySend(frame)) await frames.send(frame);
        }
      }
    })().catch(() => {});
  }
}

if (import.meta.main) {
  const [kind, path] = Deno.args;
  if (kind === "bare") await echoFrames(path);
  else if (kind === "messages") await answerMessages(path);
  else {
    const listener = kind === "shm"
      ? await listenShm({ path })
      : await listenUnix({ path });
    serve(listener, handlers, { onError() {} });
    console.log("ready");
  }
}
