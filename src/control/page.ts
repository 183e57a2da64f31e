/**
 * Escalations page by page. Each is opened, and its arguments written out, on the thread that serves everybody, and what waits may
 * be 256 MB: a page ends where its arguments are long enough, and whoever asks goes on from there.
 */
import type { Desk } from '../escalation/desk.ts'
import type { Escalation, EscalationState } from '../escalation/escalation.ts'

/** Characters of arguments after which a page ends. */
const LONG_ENOUGH = 1024 * 1024
/** Asked of the store at once: a page is longer than it should be by at most these. */
const STEP = 4

export interface PageAsked {
  readonly states?: readonly EscalationState[]
  readonly before?: string
  readonly limit: number
}

/** Newest first; at least one, where there is one. */
export async function pageOf(
  desk: Pick<Desk, 'list'>,
  asked: PageAsked,
): Promise<{ readonly found: readonly Escalation[]; readonly isLast: boolean }> {
  const found: Escalation[] = []
  let length = 0
  for (let from = asked; found.length < asked.limit && length < LONG_ENOUGH; ) {
    const limit = Math.min(STEP, asked.limit - found.length)
    const some = await desk.list({ ...from, limit })
    found.push(...some)
    for (const { calls } of some) for (const { argumentsText } of calls) length += argumentsText.length
    const last = some.at(-1)
    if (last === undefined || some.length < limit) return { found, isLast: true }
    from = { ...asked, before: last.id }
  }
  return { found, isLast: false }
}
