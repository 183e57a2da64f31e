/**
 * Commitment: every complete tool call the model proposes passes every check before the caller sees it. All checks are
 * asked unless one blocks; the worst effect counts.
 */
import { hash } from 'node:crypto'
import type { Check, Ctx, MaybeAsync } from '../core/check.ts'
import type { Decision, Exchange } from '../core/exchange.ts'
import { ALLOW, block, type Verdict, worse } from '../core/verdict.ts'
import type { ToolCall } from '../core/wire.ts'
import { decide, isVerdict } from './decide.ts'
import { guarded, isThenable } from './guard.ts'
import type { Pipeline } from './pipeline.ts'

/** What was decided about one call. `worst` is the enforced decision, or an allow in the pipeline's own name. */
export interface Commitment {
  readonly call: ToolCall
  readonly worst: Decision
  /** Every non-allow decision, shadowed ones included. */
  readonly decisions: readonly Decision[]
}

export function commit(pipeline: Pipeline, call: ToolCall, x: Exchange, ctx: Ctx): MaybeAsync<Commitment> {
  const about = aboutCall(call)
  const ambiguous = ambiguity(pipeline, call, about)
  if (ambiguous !== undefined) return { call, worst: ambiguous, decisions: [ambiguous] }
  const decisions: Decision[] = []
  let worst: Decision | undefined
  const times = pipeline.times.commitment

  const ask = (from: number): MaybeAsync<Commitment> => {
    let began = times.now()
    for (let i = from; i < pipeline.commitment.length; i += 1) {
      const check = pipeline.commitment[i]
      if (check === undefined) break
      const said = guarded<Verdict>(
        {
          check,
          hook: 'commit',
          clock: pipeline.clock,
          accepts: isVerdict,
          failed: b => ({ kind: 'block', because: b }),
        },
        () => (check.commit === undefined ? ALLOW : check.commit(call, x, ctx)),
      )
      if (isThenable(said)) {
        const asked = began
        return said.then(v => {
          times.took(i, asked)
          return take(check, v) ? result() : ask(i + 1)
        })
      }
      began = times.took(i, began)
      if (take(check, said)) break
    }
    return result()
  }

  const take = (check: Check, verdict: Verdict): boolean => {
    if (verdict.kind === 'allow') return false
    const decision = decide({ stage: 'commitment', check, shadow: pipeline.shadow }, verdict, { call: about })
    decisions.push(decision)
    if (
      decision.effect.kind !== 'allow' &&
      (worst === undefined || worse(worst.effect, decision.effect) === decision.effect)
    ) {
      worst = decision
    }
    return decision.effect.kind === 'block'
  }

  const result = (): Commitment => ({
    call,
    worst: worst ?? {
      stage: 'commitment',
      check: 'pipeline',
      verdict: ALLOW,
      effect: ALLOW,
      shadow: pipeline.shadow,
      call: about,
    },
    decisions,
  })

  return ask(0)
}

/**
 * A capability permits one value, so a call that is to have one must say one (RFC 7493). This is reading and no policy: it
 * holds in shadow too.
 */
function ambiguity(pipeline: Pipeline, call: ToolCall, about: Decision['call']): Decision | undefined {
  if (call.arguments !== undefined && call.form === 'json') return undefined
  if (pipeline.audience.of(call.name) === undefined) return undefined
  const verdict = block('arguments_ambiguous', 'its arguments are not one unambiguous JSON object', {
    tool: call.name.replace(/[^A-Za-z0-9_.:-]/g, '?').slice(0, 64),
    hint: 'a tool with an audience needs I-JSON arguments (RFC 7493): an object, no duplicate keys, numbers that are exact',
  })
  return {
    stage: 'commitment',
    check: 'pipeline',
    verdict,
    effect: verdict,
    shadow: false,
    ...(about === undefined ? {} : { call: about }),
  }
}

export function aboutCall(call: ToolCall): NonNullable<Decision['call']> {
  return {
    key: call.key,
    id: call.id,
    name: call.name,
    argumentsDigest: hash('sha256', call.argumentsText, 'hex'),
  }
}

/** Every string in a call's parsed arguments, keys included: text a model can smuggle in by escaping it. */
export function argumentLeaves(value: unknown): string[] {
  const out: string[] = []
  const stack: unknown[] = [value]
  while (stack.length > 0) {
    const v = stack.pop()
    if (typeof v === 'string') {
      if (v !== '') out.push(v)
    } else if (Array.isArray(v)) {
      for (let i = v.length - 1; i >= 0; i -= 1) stack.push(v[i])
    } else if (typeof v === 'object' && v !== null) {
      const entries = Object.entries(v)
      for (let i = entries.length - 1; i >= 0; i -= 1) {
        const entry = entries[i]
        if (entry !== undefined) stack.push(entry[1], entry[0])
      }
    }
  }
  return out
}
