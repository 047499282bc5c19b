// What is below a connection, and what its two ways tell it.

/** What a transport brings: `Deno.Conn` fits as it is. */
export interface ByteIo {
  /** Fills the start of `into`; the count, or `null` at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /** Like `read`, in a chunk of its own, where that saves a copy. */
  readChunk?(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Takes some of `bytes`; the count. */
  write(bytes: Uint8Array): Promise<number>;
  /** As `read`, without waiting: 0 where nothing is here, also at the end. */
  tryRead?(into: Uint8Array): number;
  /** As `write`, without waiting: 0 where there is no room. */
  tryWrite?(bytes: Uint8Array): number;
  /** Whether `tryWrite` is a system call, which wakes the peer each time. */
  readonly callsSystem?: boolean;
  /** Tells the peer that no more follows. */
  closeWrite(): Promise<void> | void;
  /**
   * Frees everything now; what is pending rejects. A promise is waited for by
   * the connection's `close`.
   */
  close(): Promise<void> | void;
  /** Whether it reads more from the system than it was asked for. */
  readonly readsAhead?: boolean;
  /** As of a `RawSink`. */
  readonly onePiece?: number;
}

/** The connection, as its source and its sink see it. */
export interface ByteOwner {
  readonly io: ByteIo;
  /** Whether what a channel sends may answer what it read: see `ByteSink`. */
  mayAnswer: boolean;
  /** The peer, for error messages. */
  peer(): string;
  /** What broke it, where it did not end in order. */
  reason(): unknown;
  /** Tells of bytes that moved, for the timers. */
  progress(): void;
  /** Breaks it for what the transport threw; `what` is such as `"read from"`. */
  lose(what: string, cause: unknown): void;
  /** Breaks it for `reason`. */
  fail(reason: unknown): void;
}
