// The short way between a channel and a connection of this package: bytes go
// into the channel's own buffer, with no chunk and no queue of a Web Stream in
// between. Pure: no Deno API, imports only the contracts.

import type { Duplex } from "../duplex.ts";

/** Who waits for bytes. Throws nothing. */
export interface RawReader {
  onCount(count: number | null): void;
  onError(error: unknown): void;
}

/** What is read into the reader's own memory. */
export interface RawSource {
  /** Fills the start of `into` with what is here; 0 where that is nothing. */
  tryRead?(into: Uint8Array): number;
  /**
   * Waits as long as bytes tend to come soon; whether some are here. `read` would
   * do the same, but costs more promises.
   */
  spin?(): Promise<boolean>;
  /**
   * Waits for bytes and tells their count, or `null` at the end, in a later turn
   * of promises. One call at a time. No promise of its own: it would cost each
   * message another turn.
   */
  read(into: Uint8Array, reader: RawReader): void;
}

/** What takes bytes that are the writer's again once they were taken. */
export interface RawSink {
  /** Takes what there is room for now, perhaps nothing; the count. */
  tryWrite?(bytes: Uint8Array): number;
  /** Takes all of `bytes`, after those of the calls before. */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * A message of fewer bytes had better come in one piece, even for a copy,
   * since every piece wakes the peer.
   */
  readonly onePiece?: number;
}

/** Both, where the streams hold nothing that would be passed by. */
export interface RawIo {
  readonly source: RawSource | undefined;
  readonly sink: RawSink | undefined;
}

const openers = new WeakMap<Duplex, () => RawIo>();

/** Says that whoever holds the locks of both streams may use `open`. */
export function offerRawIo(duplex: Duplex, open: () => RawIo): void {
  openers.set(duplex, open);
}

/** Says so of a duplex that has a short way, which `change` makes shorter. */
export function improveRawIo(
  duplex: Duplex,
  change: (raw: RawIo) => RawIo,
): void {
  const open = openers.get(duplex)!;
  offerRawIo(duplex, () => change(open()));
}

/** For whoever has just locked both streams, and alone uses them from now on. */
export function rawIoOf(duplex: Duplex): Partial<RawIo> {
  return openers.get(duplex)?.() ?? {};
}
