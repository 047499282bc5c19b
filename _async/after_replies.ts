// Who reads next gives way to who answers what came last. Pure: no Deno API.

/**
 * So many promises in a row: a message on its way from a channel through
 * `for await` to an answer that leaves with its turn.
 */
const HOPS = 8;

/**
 * Resolves when what waits for promises that have just resolved has run, and
 * what waits for that. A read that takes microseconds to start had better start
 * then: the answer goes out first, and the read starts while the peer works.
 */
export async function afterReplies(): Promise<void> {
  for (let hop = 0; hop < HOPS; hop++) await undefined;
}
