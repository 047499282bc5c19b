// What the pipe between two commands can do, however it was made.

/** A pipe whose ends become the stdout of one child and the stdin of the next. */
export interface KernelPipe {
  /** The descriptor to read from. */
  readonly read: number;
  /** The descriptor to write to. */
  readonly write: number;
  /** Closes this program's copy, which would keep a reader or writer waiting. */
  closeRead(): void;
  /** The same for the end that is written to. */
  closeWrite(): void;
  /**
   * What becomes of it once its writer has exited, as `pid` reads it:
   *
   * - `"ended"`: nothing writes to it any more, or it can't be looked at.
   * - `"busy"`: the reader has not yet read what is there.
   * - `"silent"`: something could still write, and does not.
   */
  look(pid: number): "ended" | "busy" | "silent";
  /** Frees what `look` needs. */
  release(): void;
}
