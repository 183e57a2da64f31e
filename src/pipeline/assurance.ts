/** What the checks of a pipeline together demand of the row of a tool call before the call leaves. */
import type { Assurances, Check } from '../core/check.ts'
import { ASSURANCES, type Assurance } from '../core/row.ts'

/** The most that any check demands; `durable` where none demands more. */
export function combineAssurances(checks: readonly Check[]): Assurances {
  const demands = checks.flatMap(check => (check.assurance === undefined ? [] : [check.assurance]))
  return {
    highest: highestOf(demands.map(demand => demand.highest)),
    of: tool => highestOf(demands.map(demand => demand.of(tool))),
  }
}

/** Throws for what is no level: it must not count as the lowest. */
export function highestOf(levels: readonly Assurance[]): Assurance {
  return levels.reduce<Assurance>((a, b) => (rankOf(b) > rankOf(a) ? b : a), 'durable')
}

function rankOf(level: Assurance): number {
  const rank = ASSURANCES.indexOf(level)
  if (rank < 0) throw new TypeError(`expected an assurance to be one of ${ASSURANCES.join(', ')}`)
  return rank
}
