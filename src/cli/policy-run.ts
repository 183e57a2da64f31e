/**
 * Runs a table of policy tests through the commitment checks of a real pipeline, the same function that the gate calls. Each
 * case has state of its own, in memory, and a clock that only the table moves.
 */
import { exchangeOf } from '../checks/testing.ts'
import type { PipelineConfig } from '../config/pipeline.ts'
import type { PolicyCase, PolicyTable, WrittenCall } from '../config/policy-table.ts'
import type { Check, Ctx } from '../core/check.ts'
import type { Clock } from '../core/clock.ts'
import type { Exchange, Owner } from '../core/exchange.ts'
import { agentOwner, humanOwner, parsePrincipal, policyOwner, UNRESOLVED } from '../core/owner.ts'
import { ALLOW, type Verdict, worse } from '../core/verdict.ts'
import type { PastCall, ToolCall } from '../core/wire.ts'
import { readArguments } from '../dialects/arguments.ts'
import { commit } from '../pipeline/commit.ts'
import { buildPipeline, type Pipeline } from '../pipeline/pipeline.ts'
import { Settlement } from '../pipeline/settle.ts'
import { MemoryBudgetState, MemoryRateLimitState, MemoryReferenceState, MemorySessionState } from '../state/memory.ts'

export interface Said {
  readonly verdict: Verdict['kind']
  readonly code?: string
  readonly check?: string
  readonly rule?: string
  readonly reason?: string
}

export interface CaseResult {
  readonly index: number
  readonly name: string
  readonly ok: boolean
  readonly expected: Said
  readonly got: Said
}

/** `only`: the checks that are asked, by name; all that look at calls when empty. */
export async function runPolicyTable(
  config: PipelineConfig,
  table: PolicyTable,
  clock: Clock,
  only: readonly string[],
): Promise<readonly CaseResult[]> {
  const results: CaseResult[] = []
  const checks = config.checks.filter(check => only.length === 0 || only.includes(check.name))
  for (const [index, one] of table.cases.entries()) {
    const expected = expectationOf(one)
    const got = await runCase(checks, one, clock)
    const ok = (['verdict', 'code', 'check', 'rule'] as const).every(
      key => expected[key] === undefined || expected[key] === got[key],
    )
    results.push({ index, name: one.name ?? one.tool, ok, expected, got })
  }
  return results
}

async function runCase(checks: readonly Check[], one: PolicyCase, real: Clock): Promise<Said> {
  // Windows are aligned to the epoch, so all of them begin here: a table says the same at any time of the day.
  let at = 0
  const clock: Clock = { now: () => at, nowNs: () => BigInt(at) * 1_000_000n, timer: (ms, f) => real.timer(ms, f) }
  const shared = {
    rateLimits: new MemoryRateLimitState(),
    budgets: new MemoryBudgetState(),
    sessions: new MemorySessionState(),
    references: new MemoryReferenceState(),
    reachable: () => true,
    close: () => Promise.resolve(),
  }
  for (const check of checks) check.shareState?.(shared)
  // Shadow is for enforcing; a table asks what the checks say.
  const pipeline = buildPipeline({ checks, clock })
  const x = exchangeFor(one, pipeline)
  let said: Said = { verdict: 'allow' }
  for (let n = 0; n < (one.times ?? 1); n += 1) {
    said = await judge(pipeline, callOf(one, n), { ...x, id: `${x.id.slice(0, -5)}${String(n).padStart(5, '0')}` })
    at += (one.everySeconds ?? 0) * 1000
  }
  return said
}

async function judge(pipeline: Pipeline, call: ToolCall, x: Exchange): Promise<Said> {
  const settlement = new Settlement(pipeline.clock)
  const over = new AbortController()
  const notNow = (): never => {
    throw new Error('for admission only')
  }
  const ctx: Ctx = {
    signal: over.signal,
    now: () => pipeline.clock.now(),
    scan: text => pipeline.scanner.whole(text),
    edit: notNow,
    claimOwner: notNow,
    setLevels: notNow,
    onSettle: f => settlement.add(f),
  }
  try {
    const { decisions } = await commit(pipeline, call, x, ctx)
    let worst: Verdict = ALLOW
    let check: string | undefined
    for (const decision of decisions) {
      const next = worse(worst, decision.verdict)
      if (next !== worst) check = decision.check
      worst = next
    }
    if (worst.kind === 'allow') return { verdict: 'allow' }
    const rule = worst.because.details?.['rule']
    return {
      verdict: worst.kind,
      code: worst.because.code,
      ...(check === undefined ? {} : { check }),
      ...(typeof rule === 'string' ? { rule } : {}),
      reason: worst.because.reason,
    }
  } finally {
    over.abort()
    await settlement.settle({ kind: 'completed', forwarded: true, outputChars: 0, outputComplete: true })
  }
}

function expectationOf({ expect, code, check, rule }: PolicyCase): Said {
  return {
    verdict: expect,
    ...(code === undefined ? {} : { code }),
    ...(check === undefined ? {} : { check }),
    ...(rule === undefined ? {} : { rule }),
  }
}

function exchangeFor(one: PolicyCase, pipeline: Pipeline): Exchange {
  const past = (one.past ?? []).map((call): PastCall => ({ name: call.tool, argumentsText: textOf(call) }))
  return exchangeOf({
    surface: 'policy-test',
    owner: ownerFor(one),
    session: one.session,
    policyDigest: pipeline.digest,
    request: { tools: [one.tool], ...(past.length === 0 ? {} : { pastCalls: past }) },
  })
}

const MAKE = { human: humanOwner, agent: agentOwner, policy: policyOwner } as const

function ownerFor({ owner = 'human:tester', claims, verified = true, approvalChain }: PolicyCase): Owner {
  const parsed = parsePrincipal(owner)
  if (!parsed.ok) return UNRESOLVED
  return MAKE[parsed.type](parsed.id, {
    authenticatedBy: verified ? 'policy test' : 'asserted',
    ...(verified ? { claims: claims ?? {} } : {}),
    ...(approvalChain === undefined ? {} : { approvalChain }),
  })
}

function callOf(one: PolicyCase, n: number): ToolCall {
  const argumentsText = textOf(one)
  const isText = 'input' in one && one.input !== undefined
  return {
    key: `0:${n}`,
    choice: 0,
    id: `call_${n}`,
    name: one.tool,
    argumentsText,
    arguments: isText ? undefined : readArguments(argumentsText),
    form: isText ? 'text' : 'json',
  }
}

function textOf(call: WrittenCall): string {
  if ('input' in call && call.input !== undefined) return call.input
  if ('argumentsText' in call && call.argumentsText !== undefined) return call.argumentsText
  return 'arguments' in call && call.arguments !== undefined ? JSON.stringify(call.arguments) : '{}'
}
