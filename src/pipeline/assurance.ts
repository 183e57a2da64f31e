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

export function highestOf(levels: readonly Assurance[]): Assurance {
  return levels.reduce<Assurance>((a, b) => (ASSURANCES.indexOf(b) > ASSURANCES.indexOf(a) ? b : a), 'durable')
}
