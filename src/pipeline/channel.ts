/**
 * One channel of output text under inspection. Guarantees that nothing at or beyond an unresolved finding is ever
 * reported as releasable, and that what is found does not depend on how the text was cut or on which check answered
 * first: findings are ordered by position, then by the checks' order, and one is acted on only when no other check can
 * still say something about text before it. It does not hold text: frames do.
 */
import type { Check, Inspection, Inspector, MaybeAsync, Piece } from '../core/check.ts'
import type { Clock } from '../core/clock.ts'
import { editFault, normalizeEdits } from '../core/edits.ts'
import type { Decision } from '../core/exchange.ts'
import { ALLOW, type Because, block, type TextEdit, type Verdict } from '../core/verdict.ts'
import type { Channel } from '../core/wire.ts'
import type { Scanner, ScanStream } from '../text/scan.ts'
import { decide, isVerdict } from './decide.ts'
import { guarded, isThenable } from './guard.ts'
import type { StageTimes } from './times.ts'

/** A check's closure for one exchange, opened lazily by the release. */
export interface OpenCheck {
  readonly check: Check
  readonly forChannel: (channel: Channel) => Inspector | undefined
}

interface Watcher {
  readonly order: number
  readonly check: Check
  readonly inspector: Inspector
  settled: number
}

interface Finding {
  readonly at: number
  readonly order: number
  /** Everything below this must be settled by all before the finding is acted on. */
  readonly until: number
  readonly ranges: readonly { readonly from: number; readonly to: number }[] | undefined
  readonly decision: Decision
}

interface Redaction {
  readonly order: number
  readonly edit: TextEdit
}

export interface ChannelOptions {
  readonly channel: Channel
  readonly checks: readonly OpenCheck[]
  readonly scanner: Scanner
  readonly clock: Clock
  /** In the order of `checks`. */
  readonly times: StageTimes
  readonly shadow: boolean
  /** Every non-allow decision, shadowed ones included, in the order in which they were made. */
  readonly note: (decision: Decision) => void
}

export class InspectedChannel {
  readonly channel: Channel
  readonly #options: ChannelOptions
  #watchers: Watcher[] = []
  #stream: ScanStream | undefined
  #findings: Finding[] = []
  #redactions: Redaction[] = []
  /** The redactions in order and apart, `undefined` when one has come since; the first `#passed` of them are done with. */
  #ordered: readonly TextEdit[] | undefined
  #passed = 0
  #length = 0
  #ended = false
  #dropped = 0

  constructor(options: ChannelOptions) {
    this.#options = options
    this.channel = options.channel
    let order = 0
    for (const { check, forChannel } of options.checks) {
      const inspector = inspectorOf(check, forChannel, options)
      if (inspector !== undefined) this.#watchers.push({ order, check, inspector, settled: 0 })
      order += 1
    }
    this.#stream = this.#watchers.length === 0 ? undefined : options.scanner.open()
  }

  get length(): number {
    return this.#length
  }

  /** No more text comes, and every check has had its last word. */
  get ended(): boolean {
    return this.#ended
  }

  push(text: string): MaybeAsync<void> {
    const at = this.#length
    this.#length += text.length
    const stream = this.#stream
    // Text behind the end would count as settled without having been seen.
    if (this.#ended) throw new Error('the channel has ended')
    if (stream === undefined || text === '') return undefined
    return this.#watch({ text, at, scan: stream.push(text) }, false, 0)
  }

  end(): MaybeAsync<void> {
    if (this.#ended) return undefined
    const stream = this.#stream
    if (stream === undefined) {
      this.#ended = true
      return undefined
    }
    const done = this.#watch({ text: '', at: this.#length, scan: stream.end() }, true, 0)
    return isThenable(done) ? done.then(() => this.#close()) : this.#close()
  }

  /** What is needed only for more text goes: many ended channels may wait behind one that is still open. */
  #close(): undefined {
    this.#ended = true
    this.#watchers = NO_WATCHERS
    this.#stream = undefined
    return undefined
  }

  /** Text below this offset may leave. */
  releasable(): number {
    const settled = this.#settled()
    const finding = this.#findings[0]
    return finding === undefined ? settled : Math.min(settled, finding.at)
  }

  /** The block that ends this exchange, once nothing can come before it. Moot findings disappear here. */
  blocked(): Decision | undefined {
    const settled = this.#settled()
    for (let f = this.#findings[0]; f !== undefined; f = this.#findings[0]) {
      if (!this.#ended && settled < f.until) return undefined
      if (!this.#moot(f)) return f.decision
      this.#findings.shift()
    }
    return undefined
  }

  /** The first finding, resolved or not: for an answer that breaks off. */
  suspected(): Decision | undefined {
    return this.#findings.find(f => !this.#moot(f))?.decision
  }

  /** The edits of `[from, to)`, relative to `from`. Call only for releasable text, front to back. */
  editsOf(from: number, to: number): readonly TextEdit[] {
    if (this.#redactions.length === 0) return NO_EDITS
    if (this.#ordered === undefined) {
      this.#ordered = normalizeEdits([...this.#redactions].sort((a, b) => a.order - b.order).map(r => r.edit))
      this.#passed = 0
    }
    const ordered = this.#ordered
    let out: TextEdit[] | undefined
    for (let e = ordered[this.#passed]; e !== undefined && e.to <= from; e = ordered[this.#passed]) this.#passed += 1
    for (let i = this.#passed; i < ordered.length; i += 1) {
      const e = ordered[i]
      if (e === undefined || e.from >= to) break
      ;(out ??= []).push({
        from: Math.max(e.from, from) - from,
        to: Math.min(e.to, to) - from,
        text: e.from >= from ? e.text : '',
      })
    }
    // What ends before this range cannot matter again; what reaches beyond it still does.
    if (this.#passed > 16 && this.#passed * 2 > ordered.length) {
      this.#redactions = this.#redactions.filter(r => r.edit.to > from)
      this.#ordered = undefined
    }
    return out ?? NO_EDITS
  }

  #settled(): number {
    if (this.#ended) return this.#length
    let least = this.#length
    for (const w of this.#watchers) if (w.settled < least) least = w.settled
    return least
  }

  #watch(piece: Piece, last: boolean, from: number): MaybeAsync<void> {
    const watchers = this.#watchers
    const { times } = this.#options
    let began = times.now()
    for (let i = from; i < watchers.length; i += 1) {
      const w = watchers[i]
      if (w === undefined) break
      const said = this.#ask(w, piece, last)
      if (isThenable(said)) {
        const asked = began
        return said.then(v => {
          times.took(w.order, asked)
          this.#take(w, v, piece, last)
          return this.#watch(piece, last, i + 1)
        })
      }
      began = times.took(w.order, began)
      this.#take(w, said, piece, last)
    }
    return undefined
  }

  /** The synchronous answer of the usual check costs no closure. */
  #ask(w: Watcher, piece: Piece, last: boolean): MaybeAsync<Inspection> {
    let said: MaybeAsync<Inspection>
    try {
      said = last ? w.inspector.end(piece) : w.inspector.push(piece)
      if (isInspection(said) && said.verdict === ALLOW) return said
    } catch (error) {
      return guarded(this.#guard(w, piece), () => {
        throw error
      })
    }
    return guarded(this.#guard(w, piece), () => said)
  }

  #guard(w: Watcher, piece: Piece) {
    return {
      check: w.check,
      hook: 'inspect' as const,
      clock: this.#options.clock,
      accepts: isInspection,
      failed: (because: Because): Inspection => ({
        settled: piece.at + piece.text.length,
        verdict: { kind: 'block', because },
        at: w.settled,
      }),
    }
  }

  #take(w: Watcher, said: Inspection, piece: Piece, last: boolean): void {
    const end = piece.at + piece.text.length
    const before = w.settled
    if (
      !Number.isInteger(said.settled) ||
      said.settled < before ||
      said.settled > end ||
      (last && said.settled !== end)
    ) {
      this.#decide(
        w,
        before,
        end,
        broken(w.check, `settled ${String(said.settled)} is outside [${before}, ${end}]`),
        undefined,
      )
      w.settled = end
      return
    }
    w.settled = said.settled
    const verdict = said.verdict
    if (verdict.kind === 'allow') return
    const at = said.at ?? before
    if (verdict.kind === 'redact') {
      const fault =
        editFault(verdict.edits, end) ??
        (verdict.edits.some(e => e.from < before) ? 'it begins in text already settled' : undefined)
      if (fault !== undefined) {
        this.#decide(w, before, end, broken(w.check, `an edit cannot be applied: ${fault}`), undefined)
        return
      }
      if (verdict.edits.length > 0) this.#decide(w, verdict.edits[0]?.from ?? at, end, verdict, undefined)
      return
    }
    if (at < before) {
      this.#decide(w, before, end, broken(w.check, 'a finding begins in text already settled'), undefined)
      return
    }
    this.#decide(w, at, end, verdict, said.ranges)
  }

  #decide(w: Watcher, at: number, end: number, verdict: Verdict, ranges: Finding['ranges']): void {
    const decision = decide({ stage: 'inspection', check: w.check, shadow: this.#options.shadow }, verdict, {
      channel: this.channel.key,
      at,
    })
    if (decision.effect.kind === 'redact') {
      for (const edit of decision.effect.edits) this.#redactions.push({ order: w.order, edit })
      this.#ordered = undefined
      this.#options.note(decision)
      return
    }
    if (decision.effect.kind === 'allow') {
      if (this.#dropped < MAX_SHADOW_NOTES) this.#options.note(decision)
      this.#dropped += 1
      return
    }
    const until = Math.min(end, Math.max(at + 1, ...(ranges ?? []).map(r => r.to)))
    const finding: Finding = { at, order: w.order, until, ranges, decision }
    const i = this.#findings.findIndex(f => f.at > at || (f.at === at && f.order > w.order))
    if (i < 0) this.#findings.push(finding)
    else this.#findings.splice(i, 0, finding)
  }

  /** Later checks see the redacted text: a finding wholly inside what an earlier check cut out says nothing. */
  #moot(f: Finding): boolean {
    if (f.ranges === undefined || f.ranges.length === 0) return false
    const earlier = this.#redactions.filter(r => r.order < f.order).map(r => r.edit)
    if (earlier.length === 0) return false
    earlier.sort((a, b) => a.from - b.from)
    // One of them covers the range if the farthest that begins at or before it does.
    let next = 0
    let reach = 0
    for (const range of [...f.ranges].sort((a, b) => a.from - b.from)) {
      for (let e = earlier[next]; e !== undefined && e.from <= range.from; e = earlier[++next])
        reach = Math.max(reach, e.to)
      if (reach < range.to) return false
    }
    return true
  }
}

const NO_EDITS: readonly TextEdit[] = Object.freeze([])
const NO_WATCHERS: Watcher[] = []

/** Shadowed findings are evidence, not enforcement; a hostile stream must not turn them into unbounded rows. */
const MAX_SHADOW_NOTES = 16

function broken(check: Check, what: string): Verdict {
  return block('check_error', `check '${check.name}' broke the inspection contract: ${what}`, {
    check: check.name,
    hook: 'inspect',
  })
}

/** A factory that throws, makes nonsense or is late is a failing check: nothing of this channel may pass. */
function inspectorOf(check: Check, forChannel: OpenCheck['forChannel'], o: ChannelOptions): Inspector | undefined {
  let made: Inspector | undefined
  try {
    made = forChannel(o.channel)
    // The usual answer costs no closure.
    if (made === undefined || (isInspectorOrNone(made) && !isThenable(made))) return made
  } catch (error) {
    return opened(check, o, () => {
      throw error
    })
  }
  return opened(check, o, () => made)
}

function opened(check: Check, o: ChannelOptions, make: () => MaybeAsync<Inspector | undefined>): Inspector | undefined {
  const inspector = guarded<Inspector | undefined>(
    { check, hook: 'inspect', clock: o.clock, accepts: isInspectorOrNone, failed: failing },
    make,
  )
  if (!isThenable(inspector)) return inspector
  return failing({
    code: 'check_error',
    reason: `check '${check.name}' made no inspector in time`,
    details: { check: check.name },
  })
}

function isInspection(value: unknown): value is Inspection {
  return (
    typeof value === 'object' &&
    value !== null &&
    'settled' in value &&
    typeof value.settled === 'number' &&
    'verdict' in value &&
    isVerdict(value.verdict)
  )
}

function isInspectorOrNone(value: unknown): value is Inspector | undefined {
  return (
    value === undefined ||
    (typeof value === 'object' &&
      value !== null &&
      'push' in value &&
      typeof value.push === 'function' &&
      'end' in value &&
      typeof value.end === 'function')
  )
}

function failing(because: Because): Inspector {
  const fail = (piece: Piece): Inspection => ({
    settled: piece.at + piece.text.length,
    verdict: { kind: 'block', because },
    at: piece.at,
  })
  return { push: fail, end: fail }
}
