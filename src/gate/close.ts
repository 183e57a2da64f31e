/** What follows an answer: reservations come back, record checks look at what happened. */
import type { Outcome } from '../core/exchange.ts'
import { because } from '../core/verdict.ts'
import type { Admission } from '../pipeline/admit.ts'
import { record } from '../pipeline/record.ts'
import { flagRow } from '../pipeline/rows.ts'
import type { Settlement } from '../pipeline/settle.ts'
import type { Gate } from './gate.ts'

/** Settle first: what was reserved must come back even if a record check hangs until its time limit. */
export async function close(gate: Gate, admission: Admission, settlement: Settlement, outcome: Outcome): Promise<void> {
  await settle(gate, admission, settlement, outcome)
  if (gate.pipeline.recording.length === 0) return
  const x = admission.exchange
  const newId = () => gate.random.uuid()
  for (const flag of await record(gate.pipeline, outcome, x, admission.ctx)) gate.audit.append(flagRow(x, flag, newId))
}

export async function settle(
  gate: Gate,
  { exchange }: Pick<Admission, 'exchange'>,
  settlement: Settlement,
  outcome: Outcome,
): Promise<void> {
  for (const errorClass of await settlement.settle(outcome)) {
    gate.audit.append(
      flagRow(
        exchange,
        {
          check: 'pipeline',
          because: because('state_unavailable', 'a reservation could not be settled', { error_class: errorClass }),
        },
        () => gate.random.uuid(),
      ),
    )
  }
}
