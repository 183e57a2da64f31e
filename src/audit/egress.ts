/**
 * The port to addresses from configuration: witnesses, time-stamping authorities. Who implements it calls https only
 * (plain http on the loopback), follows no redirect, takes no proxy from the environment, and keeps to size and time.
 */
export interface AuditEgress {
  /** Rejects when there is no complete answer; a redirect or an error status is an answer. */
  send(request: {
    readonly url: string
    readonly method: 'POST'
    readonly headers: Readonly<Record<string, string>>
    readonly body: string | Uint8Array
    readonly timeoutMs: number
    readonly maxBytes: number
    readonly signal: AbortSignal
  }): Promise<{ readonly status: number; readonly contentType: string | undefined; readonly body: Uint8Array }>
}
