/**
 * The end of a withheld turn in which every call was refused. Guarantees: when the model is asked again nothing of this
 * turn leaves, every refused call of it has its row, and so has the turn.
 */
import { continuedRow } from '../pipeline/rows.ts'
import type { UnderWay } from './under-way.ts'
import type { Turn } from './withheld.ts'

/** False: it is to be delivered, or the caller has left. Never rejects but for a defect. */
export async function continued(d: UnderWay, turn: Turn): Promise<boolean> {
  const { gate, dialect, exchange, goOn } = d.o
  if (goOn === undefined || d.status >= 300) return false
  for (const c of turn.calls) d.recordCall(c)
  const outcome = d.outcome('completed', turn.observed)
  const stream = d.stream !== undefined
  const next = await goOn({
    stream,
    said: () => {
      const writer = dialect.openWriter({ ...exchange.request, stream })
      return turn.steps.flatMap(step => {
        if (step.kind !== 'emit' || step.frame === d.head) return []
        return [
          writer.write(
            step.frame,
            step.edits.filter(edit => edit.kind === 'text'),
          ),
        ]
      })
    },
    refused: turn.calls.map(c => ({ call: c.call, notice: d.notice(c) })),
    outcome,
    shadowed: d.shadowed,
  })
  if (next === undefined) return false
  if (d.done) {
    await next.leave()
    return false
  }
  gate.audit.append(continuedRow(exchange, outcome, d.facts(0), next.digest, d.newId))
  next.take()
  d.end(outcome)
  return true
}
