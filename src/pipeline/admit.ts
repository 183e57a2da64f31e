/**
 * Admission: every check sees the request before the model does. Guarantees that only an exchange which every check let
 * through (or which shadow let through) becomes `Admitted`, that a block ends the stage at once, and that redactions of
 * earlier checks are what later ones see. An escalation does not end the stage: a later block outweighs it.
 */
import type { Check, Ctx, MaybeAsync } from '../core/check.ts'
import { applyEdits, composeEdits, editFault, normalizeEdits } from '../core/edits.ts'
import type { Admitted, Decision, Exchange, Owner } from '../core/exchange.ts'
import { ALLOW, type Because, block, type TextEdit, type Verdict, worse } from '../core/verdict.ts'
import type { RequestView, Segment } from '../core/wire.ts'
import type { Scan } from '../text/scan.ts'
import { decide, isVerdict } from './decide.ts'
import { guarded, isThenable } from './guard.ts'
import type { Pipeline } from './pipeline.ts'
import { withSeams } from './seams.ts'
import type { Settlement } from './settle.ts'

export interface Admission {
  /** The exchange as admission left it: owner, levels, the redacted view, decisions. */
  readonly exchange: Exchange
  /** Set when the model may be called. */
  readonly admitted: Admitted | undefined
  /** Set when it may not: the worst effect, block or escalate. */
  readonly refusal: Decision | undefined
  /** By segment pointer, on the original text. */
  readonly edits: ReadonlyMap<string, readonly TextEdit[]>
  /** The list behind `exchange.decisions`; later stages add to it. */
  readonly decisions: Decision[]
  /** For the later stages of the same exchange. */
  readonly ctx: Ctx
}

/**
 * A human approved what was escalated: every other check has been asked already, and none of them blocked. `undefined` when
 * it was not (only) an escalation that kept the exchange from the model, or when others escalated than those approved.
 */
export function approve(admission: Admission, checks: ReadonlySet<string>): Admitted | undefined {
  const kept = admission.decisions.filter(d => d.effect.kind === 'block' || d.effect.kind === 'escalate')
  const all = kept.length > 0 && kept.every(d => d.effect.kind === 'escalate' && checks.has(d.check))
  return all ? (admission.exchange as Admitted) : undefined
}

export interface AdmitOptions {
  /** Asked for only when a check looks at `ctx.signal`. */
  readonly signal: () => AbortSignal
  readonly settlement: Settlement
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

export function admit(
  pipeline: Pipeline,
  draft: Omit<Exchange, 'policyDigest' | 'decisions'>,
  options: AdmitOptions,
): MaybeAsync<Admission> {
  return new AdmissionRun(pipeline, draft, options).run(0)
}

class AdmissionRun {
  readonly #pipeline: Pipeline
  readonly #exchange: Mutable<Exchange>
  readonly #decisions: Decision[] = []
  readonly #edits = new Map<string, TextEdit[]>()
  readonly #originals = new Map<string, Segment>()
  readonly #ctx: Ctx
  readonly #scans = new Map<string, Scan>()
  #open = true
  #refusal: Decision | undefined
  /** Edits the check now running has asked for; applied only if it says redact and is not shadowed. */
  #proposed: { readonly segment: Segment; readonly edits: readonly TextEdit[] }[] = []

  constructor(pipeline: Pipeline, draft: Omit<Exchange, 'policyDigest' | 'decisions'>, options: AdmitOptions) {
    this.#pipeline = pipeline
    const request = withSeams(draft.request, pipeline.scanner, pipeline.admissionPatterns)
    this.#exchange = { ...draft, request, policyDigest: pipeline.digest, decisions: this.#decisions }
    this.#ctx = {
      get signal() {
        return options.signal()
      },
      now: () => pipeline.clock.now(),
      scan: text => this.#scan(text),
      edit: (segment, edits) => {
        if (!this.#open) throw new Error('edit() is for admission only')
        this.#proposed.push({ segment, edits })
      },
      claimOwner: owner => this.#claimOwner(owner),
      setLevels: levels => {
        if (!this.#open) throw new Error('setLevels() is for admission only')
        this.#exchange.levels = levels
      },
      onSettle: f => options.settlement.add(f),
    }
  }

  run(from: number): MaybeAsync<Admission> {
    const checks = this.#pipeline.admission
    const times = this.#pipeline.times.admission
    let began = times.now()
    for (let i = from; i < checks.length; i += 1) {
      const check = checks[i]
      if (check === undefined) break
      if (this.#proposed.length > 0) this.#proposed = []
      const verdict = this.#ask(check)
      if (isThenable(verdict)) {
        const asked = began
        return verdict.then(v => {
          times.took(i, asked)
          return this.#take(check, v) ? this.#result() : this.run(i + 1)
        })
      }
      began = times.took(i, began)
      if (this.#take(check, verdict)) break
    }
    return this.#result()
  }

  /** The synchronous allow of the usual check costs no closure. */
  #ask(check: Check): MaybeAsync<Verdict> {
    let said: MaybeAsync<Verdict>
    try {
      said = check.admit === undefined ? ALLOW : check.admit(this.#exchange, this.#ctx)
      if (said === ALLOW) return said
    } catch (error) {
      return guarded(this.#guard(check), () => {
        throw error
      })
    }
    return guarded(this.#guard(check), () => said)
  }

  #guard(check: Check) {
    return {
      check,
      hook: 'admit' as const,
      clock: this.#pipeline.clock,
      accepts: isVerdict,
      failed: (b: Because): Verdict => ({ kind: 'block', because: b }),
    }
  }

  /** True when the stage is over. */
  #take(check: Check, said: Verdict): boolean {
    if (said.kind === 'allow') return false
    const verdict = said.kind === 'redact' ? this.#redact(check, said) : said
    const decision = decide({ stage: 'admission', check, shadow: this.#pipeline.shadow }, verdict)
    this.#decisions.push(decision)
    if (decision.effect.kind === 'redact') this.#apply()
    if (decision.effect.kind === 'block' || decision.effect.kind === 'escalate') {
      if (this.#refusal === undefined || worse(this.#refusal.effect, decision.effect) === decision.effect) {
        this.#refusal = decision
      }
    }
    return decision.effect.kind === 'block'
  }

  /** A redaction that cannot be carried out as asked is a block: forwarding the text instead would be an allow. */
  #redact(check: Check, verdict: Verdict): Verdict {
    if (this.#proposed.length === 0) {
      return block('check_error', `check '${check.name}' asked for a redaction but named no edits`, {
        check: check.name,
      })
    }
    const current = new Set(this.#exchange.request.segments)
    for (const p of this.#proposed) {
      if (!current.has(p.segment)) {
        return block('check_error', `check '${check.name}' edited a segment that is not in the request`, {
          check: check.name,
        })
      }
      const fault = editFault(p.edits, p.segment.text.length)
      if (fault !== undefined || p.edits.length === 0) {
        return block(
          'check_error',
          `check '${check.name}' gave an edit that cannot be applied: ${fault ?? 'no edits'}`,
          { check: check.name },
        )
      }
      if (p.segment.derived) {
        return block('redaction_unwritable', `the text at ${p.segment.pointer} cannot be redacted in place`, {
          ...('because' in verdict ? verdict.because.details : {}),
          pointer: p.segment.pointer,
        })
      }
    }
    return verdict
  }

  #apply(): void {
    // Two edits() of one check on one segment both speak of the text that check saw.
    const asked = new Map<Segment, TextEdit[]>()
    for (const p of this.#proposed) {
      const known = asked.get(p.segment)
      if (known === undefined) asked.set(p.segment, [...p.edits])
      else for (const edit of p.edits) known.push(edit)
    }
    const replaced = new Map<Segment, Segment>()
    for (const [current, edits] of asked) {
      const original = this.#originals.get(current.pointer) ?? current
      this.#originals.set(current.pointer, original)
      const mine = normalizeEdits(edits)
      const before = this.#edits.get(current.pointer) ?? []
      this.#edits.set(current.pointer, composeEdits(before, mine, original.text.length))
      replaced.set(current, { ...current, text: applyEdits(current.text, mine) })
    }
    const request: RequestView = this.#exchange.request
    this.#exchange.request = { ...request, segments: request.segments.map(s => replaced.get(s) ?? s) }
  }

  #claimOwner(owner: Owner): void {
    if (!this.#open) throw new Error('claimOwner() is for admission only')
    if (this.#exchange.owner.type !== 'unresolved') throw new Error('the exchange already has an owner')
    this.#exchange.owner = owner
  }

  #scan(text: string): Scan {
    let scan = this.#scans.get(text)
    if (scan === undefined) {
      scan = this.#pipeline.scanner.whole(text)
      this.#scans.set(text, scan)
    }
    return scan
  }

  #result(): Admission {
    this.#open = false
    this.#scans.clear()
    const exchange: Exchange = this.#exchange
    return {
      exchange,
      admitted: this.#refusal === undefined ? (exchange as Admitted) : undefined,
      refusal: this.#refusal,
      edits: this.#edits,
      decisions: this.#decisions,
      ctx: this.#ctx,
    }
  }
}
