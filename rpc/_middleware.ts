// Middleware, on either side.

/** Runs the middleware around `last`, outermost first. */
export async function throughMiddleware<C>(
  middleware: readonly ((call: C, next: () => Promise<unknown>) => unknown)[],
  call: C,
  last: () => unknown,
): Promise<unknown> {
  const run = async (index: number): Promise<unknown> =>
    index === middleware.length
      ? await last()
      : await middleware[index](call, () => run(index + 1));
  return await run(0);
}
