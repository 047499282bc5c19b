/** Who is at the other side, as far as the transport knows. */
export interface Peer {
  /** The address, where the transport gives one. */
  readonly address: string | undefined;
  /**
   * Process, user and group as the kernel tells them, where the transport has
   * them (Unix sockets do) and the `credentials` option reads them. Everything
   * else that a peer says of itself is a claim.
   */
  readonly credentials: CallerCredentials | undefined;
}

/** Who the peer is, as the kernel tells. */
export interface CallerCredentials {
  /** Process id. */
  readonly pid: number;
  /** User id. */
  readonly uid: number;
  /** Group id. */
  readonly gid: number;
}
