import { FrameError } from "./frame_error.ts";

/** The error for a message that its codec refused. */
export function invalidMessage(
  doing: "decode" | "encode",
  cause: unknown,
): FrameError {
  if (cause instanceof FrameError && cause.code === "invalid") return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new FrameError(
    `Cannot ${doing} message: ${why.replace(/\.$/, "")}`,
    { code: "invalid", cause },
  );
}
