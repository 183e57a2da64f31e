/**
 * Calls that waited are judged again by the pipeline that is in force when they leave: a human approved them under the one
 * that was in force when they were proposed, and the stricter of the two wins.
 */
import type { Ctx } from '../core/check.ts'
import type { Exchange } from '../core/exchange.ts'
import type { ToolCall } from '../core/wire.ts'
import { type Commitment, commit } from './commit.ts'
import type { Pipeline } from './pipeline.ts'
import { Settlement } from './settle.ts'

/** In the order of the calls. What checks reserve meanwhile is settled before this resolves. */
export async function recheck(
  pipeline: Pipeline,
  calls: readonly ToolCall[],
  x: Exchange,
): Promise<readonly Commitment[]> {
  const settlement = new Settlement(pipeline.clock)
  const over = new AbortController()
  const ctx: Ctx = {
    signal: over.signal,
    again: true,
    now: () => pipeline.clock.now(),
    scan: text => pipeline.scanner.whole(text),
    edit: () => notNow('edit()'),
    claimOwner: () => notNow('claimOwner()'),
    setLevels: () => notNow('setLevels()'),
    onSettle: f => settlement.add(f),
  }
  const judged: Commitment[] = []
  try {
    for (const call of calls) judged.push(await commit(pipeline, call, x, ctx))
    return judged
  } finally {
    over.abort()
    await settlement.settle({ kind: 'completed', forwarded: false, outputChars: 0, outputComplete: true })
  }
}

function notNow(what: string): never {
  throw new Error(`${what} is for admission only`)
}
