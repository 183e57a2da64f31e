/** Time and randomness as ports, so that every decision can be replayed. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Nanoseconds since the epoch. */
  nowNs(): bigint
  /** Calls `f` once after `ms`; returns how to cancel. */
  timer(ms: number, f: () => void): () => void
}

export interface Random {
  bytes(length: number): Uint8Array
  /** A fresh UUIDv7 (RFC 9562 section 5.7). */
  uuid(): string
}
