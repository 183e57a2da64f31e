/** Record: every check sees how the exchange ended. Flags only; one failing check does not silence its siblings. */
import type { Check, Ctx } from '../core/check.ts'
import type { Exchange, Outcome } from '../core/exchange.ts'
import type { Because } from '../core/verdict.ts'
import { isBecause } from './decide.ts'
import { guarded } from './guard.ts'
import type { Pipeline } from './pipeline.ts'

export interface Flag {
  readonly check: string
  readonly because: Because
}

export async function record(pipeline: Pipeline, outcome: Outcome, x: Exchange, ctx: Ctx): Promise<readonly Flag[]> {
  const flags: Flag[] = []
  const times = pipeline.times.record
  for (const [i, check] of pipeline.recording.entries()) {
    const began = times.now()
    const because = await flagsOf(pipeline, check, outcome, x, ctx)
    times.took(i, began)
    for (const each of because) flags.push({ check: check.name, because: each })
  }
  return flags
}

function flagsOf(pipeline: Pipeline, check: Check, outcome: Outcome, x: Exchange, ctx: Ctx) {
  return guarded<readonly Because[]>(
    { check, hook: 'record', clock: pipeline.clock, accepts: isFlags, failed: b => [b] },
    () => (check.record === undefined ? [] : check.record(outcome, x, ctx)),
  )
}

function isFlags(value: unknown): value is readonly Because[] {
  return Array.isArray(value) && value.every(isBecause)
}
