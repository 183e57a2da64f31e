/**
 * Notices that something about the keys has changed, by looking every few seconds and when told to look.
 *
 * Guarantees: `onChange` is called once per change that is seen, and once more when it threw, at the next look; what was
 * loaded before stays in use meanwhile. Looking costs a folder listing. Does not: see two changes as two.
 */
import type { Clock } from '../core/clock.ts'

export interface Watch {
  /** Looks now (SIGHUP). */
  look(): void
  close(): void
}

export interface WatchOptions {
  readonly clock: Pick<Clock, 'timer'>
  /** A text that changes when the keys do. */
  readonly fingerprint: () => string
  readonly onChange: () => void
  /** One line why a look or a change failed; said once per failure that is new. */
  readonly onTrouble: (error: unknown) => void
  /** Default 5000. */
  readonly everyMs?: number
}

export function watchKeys(o: WatchOptions): Watch {
  let seen = o.fingerprint()
  let trouble = ''
  let closed = false
  let cancel: () => void = () => undefined
  const look = (): void => {
    if (closed) return
    try {
      const now = o.fingerprint()
      if (now !== seen) {
        o.onChange()
        seen = now
      }
      trouble = ''
    } catch (error) {
      const text = error instanceof Error ? error.message : 'unknown error'
      if (text !== trouble) o.onTrouble(error)
      trouble = text
    }
  }
  const again = (): void => {
    cancel = o.clock.timer(o.everyMs ?? 5_000, () => {
      look()
      if (!closed) again()
    })
  }
  again()
  return {
    look,
    close: () => {
      closed = true
      cancel()
    },
  }
}
