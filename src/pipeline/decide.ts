/**
 * From what a check said to what is enforced. The only place where a stage narrows a verdict and where shadow exists:
 * everything after it reads `effect`, while rows and headers read `verdict`.
 *
 * Shadow never enforces a policy verdict. A check that fails (`check_error`, `check_timeout`) has given no policy
 * verdict, and state that cannot be read is no policy either: those are enforced in shadow too.
 */
import type { Check } from '../core/check.ts'
import type { Decision } from '../core/exchange.ts'
import { ALLOW, type Because, block, type Code, type Stage, type Verdict } from '../core/verdict.ts'

const ALWAYS_ENFORCED: ReadonlySet<Code> = new Set<Code>(['check_error', 'check_timeout', 'state_unavailable'])

export interface DecideContext {
  readonly stage: Stage
  readonly check: Check
  /** Shadow for the whole pipeline. */
  readonly shadow: boolean
}

export function decide(
  c: DecideContext,
  said: Verdict,
  about: Pick<Decision, 'call' | 'channel' | 'at'> = {},
): Decision {
  const verdict = readOnce(c.check, said)
  const shadow =
    (c.shadow || c.check.shadow === true) && !(verdict.kind === 'block' && ALWAYS_ENFORCED.has(verdict.because.code))
  return {
    stage: c.stage,
    check: c.check.name,
    verdict,
    effect: shadow ? ALLOW : narrowed(c.stage, verdict),
    shadow,
    ...about,
  }
}

/** A plugin's verdict may have getters that answer once and then throw; rows and headers read the copy. */
function readOnce(check: Check, v: Verdict): Verdict {
  if (v === ALLOW) return v
  try {
    if (v.kind === 'allow') return ALLOW
    const { code, reason, details } = v.because
    const why: Because = details === undefined ? { code, reason } : { code, reason, details: { ...details } }
    return { ...v, because: why }
  } catch {
    return block('check_error', `check '${check.name}' gave a verdict that cannot be read`, { check: check.name })
  }
}

/** Inspection cannot wait for a human; a call's arguments are never rewritten. */
function narrowed(stage: Stage, verdict: Verdict): Verdict {
  switch (verdict.kind) {
    case 'allow':
      return verdict
    case 'block':
      return verdict
    case 'redact':
      return stage === 'commitment' || stage === 'record' ? { kind: 'block', because: verdict.because } : verdict
    case 'escalate':
      return stage === 'inspection' || stage === 'record' ? { kind: 'block', because: verdict.because } : verdict
  }
}

/** What a hook of an untyped plugin really returned. */
export function isVerdict(value: unknown): value is Verdict {
  if (value === ALLOW) return true
  if (typeof value !== 'object' || value === null || !('kind' in value)) return false
  switch (value.kind) {
    case 'allow':
      return true
    case 'block':
      return (
        hasBecause(value) &&
        (!('retryAfterS' in value) || value.retryAfterS === undefined || isSeconds(value.retryAfterS))
      )
    case 'escalate':
      return hasBecause(value)
    case 'redact':
      return hasBecause(value) && 'edits' in value && Array.isArray(value.edits)
    default:
      return false
  }
}

function hasBecause(value: object): boolean {
  return 'because' in value && isBecause(value.because)
}

export function isBecause(value: unknown): value is Because {
  return (
    typeof value === 'object' &&
    value !== null &&
    'code' in value &&
    typeof value.code === 'string' &&
    value.code !== '' &&
    'reason' in value &&
    typeof value.reason === 'string'
  )
}

function isSeconds(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}
