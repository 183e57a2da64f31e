/**
 * Waiting until a row is as sure as a tool demands, before what the row allows leaves.
 *
 * Guarantees: resolves only when the row is durable and has reached the level; else rejects, `NotAssured` when the audit
 * log is sound and only the transparency log is behind. Every call waits for itself only: nothing else is held up.
 */
import type { Assurance, Ticket } from '../core/row.ts'
import { type Because, because } from '../core/verdict.ts'
import { within } from '../pipeline/guard.ts'
import type { Gate } from './gate.ts'

export class NotAssured extends Error {
  override readonly name = 'NotAssured'
  readonly because: Because

  constructor(level: Assurance, cause: unknown) {
    super(`a row is not ${level}`, { cause })
    this.because = because(
      'audit_unavailable',
      `the tool call must be ${level} before it is released, and is not in time`,
    )
  }
}

export async function assure(gate: Gate, ticket: Ticket, level: Assurance): Promise<void> {
  const placed = await ticket.durable()
  if (level === 'durable') return
  if (gate.log === undefined) throw new NotAssured(level, undefined)
  try {
    await within(gate.clock, gate.log.timeLimitMs, gate.log.rows.reached(Number(placed.index), level))
  } catch (error) {
    throw new NotAssured(level, error)
  }
}
