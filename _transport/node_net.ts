// node:net, loaded when it is first needed: that takes some 25 ms, which most
// programs never have to spend.

type NodeNet = typeof import("node:net");

/** The runtime's `node:net`. */
export function nodeNet(): NodeNet {
  const { process } = globalThis as unknown as {
    process: { getBuiltinModule(name: string): NodeNet };
  };
  return process.getBuiltinModule("node:net");
}
