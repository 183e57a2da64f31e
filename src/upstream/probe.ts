/** Is upstream there? Any answer under 500 will do: 401 and 404 come from a living server. */
import type { Pool } from 'undici'
import { Call } from './call.ts'
import type { Probe } from './upstream.ts'

/** Reading a short body to its end keeps the connection for the next probe. */
const DRAIN_BYTES = 256 * 1024

/** Without a credential: readiness must not depend on one, and a probe runs before anybody has been identified. */
const PROBE_HEADERS: readonly string[] = ['accept', 'application/json', 'accept-encoding', 'identity']

export function probeOnce(pool: Pool, path: string, timeoutMs: number): Promise<Probe> {
  return new Promise(resolve => {
    let drained = 0
    const over = (): void => clearTimeout(timer)
    const call = new Call(
      { requestTimeoutMs: timeoutMs, ended: () => undefined },
      {
        onHead: status => {
          resolve(
            status < 500
              ? { ready: true, status }
              : { ready: false, reason: `upstream returned ${String(status)}`, status },
          )
        },
        onData: chunk => {
          drained += chunk.length
          if (drained <= DRAIN_BYTES) return
          call.cancel()
          over()
        },
        onEnd: over,
        onError: found => {
          over()
          const status = found.details?.['upstream_status']
          // A redirect or an encoded answer is no answer to forward, but somebody is there.
          if (typeof status === 'number') resolve({ ready: true, status })
          else
            resolve({
              ready: false,
              reason: `upstream unreachable: ${String(found.details?.['exception'] ?? found.code)}`,
            })
        },
      },
    )
    // One limit over DNS, TCP, TLS, head and body; undici's own are coarser and each for itself.
    const timer = setTimeout(() => {
      call.cancel()
      resolve({ ready: false, reason: `upstream unreachable: no answer within ${String(timeoutMs)} ms` })
    }, timeoutMs)
    call.start(pool, { method: 'GET', path, headers: [...PROBE_HEADERS], body: null }, false)
  })
}
