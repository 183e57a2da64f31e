/** What the gate counts while it works: one addition per event, in typed arrays. Never a label from a request. */
import type { Outcome } from '../core/exchange.ts'
import type { AuditWriter, Row, Ticket } from '../core/row.ts'
import type { Metric } from './exposition.ts'

const OUTCOMES = ['completed', 'refused', 'aborted', 'escalated', 'disconnected', 'faulted', 'preflight'] as const
/** `preflight`: refused before any check ran. */
export type CountedOutcome = Outcome['kind'] | 'preflight'

/** The names of rows that the gate itself writes; any other is counted together. */
const ROWS = [
  'pipeline.preflight',
  'pipeline.admission',
  'pipeline.inspection',
  'pipeline.commitment',
  'pipeline.complete',
  'pipeline.upstream',
  'pipeline.record',
  'pipeline.audit',
  'other',
] as const
const DECISIONS = ['allow', 'block', 'redact', 'escalate'] as const

/** The port that the gate counts through. */
export interface ExchangeCounter {
  exchange(outcome: CountedOutcome): void
}

export class GateCounters implements ExchangeCounter {
  readonly #outcomes = new Float64Array(OUTCOMES.length)
  readonly #rows = new Float64Array(ROWS.length * DECISIONS.length)
  readonly #outcomeAt: ReadonlyMap<string, number> = new Map(OUTCOMES.map((name, i) => [name, i]))
  readonly #rowAt: ReadonlyMap<string, number> = new Map(ROWS.map((name, i) => [name, i * DECISIONS.length]))
  readonly #decisionAt: ReadonlyMap<string, number> = new Map(DECISIONS.map((name, i) => [name, i]))

  exchange(outcome: CountedOutcome): void {
    const at = this.#outcomeAt.get(outcome) ?? 0
    this.#outcomes[at] = (this.#outcomes[at] ?? 0) + 1
  }

  row({ checkName, decision }: Row): void {
    const name = this.#rowAt.get(checkName) ?? (ROWS.length - 1) * DECISIONS.length
    const at = name + (this.#decisionAt.get(decision) ?? 0)
    this.#rows[at] = (this.#rows[at] ?? 0) + 1
  }

  /** The same writer; what goes through it is counted. */
  counting(audit: AuditWriter): AuditWriter {
    const count = (row: Row): Ticket => {
      this.row(row)
      return audit.append(row)
    }
    return {
      append: count,
      get ok() {
        return audit.ok
      },
      get head() {
        return audit.head
      },
      drain: () => audit.drain(),
      close: () => audit.close(),
    }
  }

  metrics(): readonly Metric[] {
    return [
      {
        name: 'signet_exchanges_total',
        help: 'Exchanges that ended, by outcome; preflight: refused before any check ran.',
        type: 'counter',
        read: () => OUTCOMES.map((outcome, i) => ({ labels: { outcome }, value: this.#outcomes[i] ?? 0 })),
      },
      {
        name: 'signet_rows_total',
        help: 'Audit rows written by this process, by the stage they are of and the decision they record.',
        type: 'counter',
        read: () =>
          ROWS.flatMap((name, i) =>
            DECISIONS.map((decision, j) => ({
              labels: { row: name, decision },
              value: this.#rows[i * DECISIONS.length + j] ?? 0,
            })),
          ).filter(({ value }) => value > 0),
      },
    ]
  }
}
