// Batches of JSON-RPC: several messages in one, and their answers in one.

import type { CallId } from "./protocol.ts";
import { JSON_CODES } from "./_json_error.ts";

/** One batch that the peer sent, until every call in it is answered. */
interface Batch {
  waiting: number;
  answers: unknown[];
}

/** Collects the answers to calls that came together. */
export class JsonBatches {
  #batchOf = new Map<CallId, Batch>();
  /** The batch that is being read. */
  #reading: Batch | undefined;

  /** Reads the parts; returns the answers where all are there already. */
  read(
    parts: readonly unknown[],
    readOne: (part: unknown) => void,
  ): unknown[] | undefined {
    // One more than there are, so that a call that is answered at once does
    // not complete the batch before the last one was read.
    const batch: Batch = { waiting: 1, answers: [] };
    this.#reading = batch;
    try {
      for (const part of parts) readOne(part);
    } finally {
      this.#reading = undefined;
    }
    return answersOf(batch);
  }

  /** A call came, perhaps in a batch. */
  onCall(id: CallId): void {
    if (this.#reading === undefined) return;
    this.#reading.waiting++;
    this.#batchOf.set(id, this.#reading);
  }

  /** What to send for an answer: itself, its batch, or nothing yet. */
  answer(id: CallId, answer: unknown): unknown {
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
    return answersOf(batch);
  }
}

/** The answers of the batch where this was the last one to wait for. */
function answersOf(batch: Batch): unknown[] | undefined {
  return --batch.waiting === 0 && batch.answers.length > 0
    ? batch.answers
    : undefined;
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
