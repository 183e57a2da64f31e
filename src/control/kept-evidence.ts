/**
 * Evidence outlives escalations. It is kept right after the decision; what a crash has left out is kept at the next start, for the
 * escalation itself is there for days.
 */
import type { Desk } from '../escalation/desk.ts'
import type { Passkeys } from '../escalation/passkeys.ts'

const PAGE = 200

export async function keepEvidence(desk: Desk, passkeys: Passkeys): Promise<void> {
  let before: string | undefined
  for (;;) {
    const page = await desk.list({ limit: PAGE, ...(before === undefined ? {} : { before }) })
    for (const e of page) await passkeys.keep(e)
    before = page.at(-1)?.id
    if (page.length < PAGE || before === undefined) return
  }
}
