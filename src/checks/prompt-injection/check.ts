/**
 * `prompt_injection`: refuses requests whose text tries to override the operator's instructions.
 *
 * Every segment of the chosen roles is looked at by itself, and so is every seam between neighbouring segments of one role, as
 * written and as decoded. Guarantees: the same request gets the same verdict, whatever else runs and whatever was seen before;
 * text that cannot be seen (beyond the character limit, beyond the work limit) is never taken for harmless by default; large
 * requests are worked through in slices that let others run. Does not guarantee to recognise an attack that no rule describes:
 * this is a filter for the known, not the boundary. The boundary is the tool gate.
 */
import type { Check, Ctx, MaybeAsync } from '../../core/check.ts'
import type { Exchange } from '../../core/exchange.ts'
import { ALLOW, block, type Code, type Details, escalate, type Verdict, worse } from '../../core/verdict.ts'
import type { Segment } from '../../core/wire.ts'
import { CheckOptions, type Common, type CommonOptions, description } from '../options.ts'
import { type Detection, type DetectOptions, detect, type Finding } from './detect.ts'
import { inflate } from './inflate.ts'
import { Remembered } from './remembered.ts'
import { SEVERITIES, type Severity } from './rule.ts'
import { type Seam, seams } from './seams.ts'

export type InjectionAction = 'block' | 'escalate' | 'allow'
const ACTIONS: readonly InjectionAction[] = ['block', 'escalate', 'allow']
const ROLES: readonly Segment['role'][] = ['system', 'developer', 'user', 'assistant', 'tool', 'schema', 'other']
/** The operator's own prompt says "ignore" and "never reveal your instructions" for good reasons. */
const DEFAULT_ROLES: readonly Segment['role'][] = ['user', 'assistant', 'tool', 'schema', 'other']

export interface PromptInjectionOptions extends CommonOptions {
  /** Default: high `block`, medium `escalate`, low `allow`. A severity left out keeps its default. */
  readonly severityActions?: Partial<Readonly<Record<Severity, InjectionAction>>>
  /** Characters looked at in one request, over all segments. Default 524,288. */
  readonly scanMaxChars?: number
  /** What happens to a request that is longer, when nothing was found in the part looked at. Default `block`. */
  readonly onScanTruncated?: InjectionAction
  /** What happens when decoding takes more work than allowed, or meets a decompression bomb. Default `block`. */
  readonly onDecodeBudgetExceeded?: InjectionAction
  /** Look into encodings at all. Default true. */
  readonly scanDecoded?: boolean
  /** Shortest base64 run that is decoded. Default 8. */
  readonly base64MinLength?: number
  /** Characters of work for one text; 0 (the default) means 8,388,608 and 64 for each character of the text. */
  readonly decodeBudget?: number
  /** Segments that are looked at. Default: all but `system` and `developer`. */
  readonly roles?: readonly Segment['role'][]
}

/** Up to this much is looked at in one go; more is worked through in slices. */
const AT_ONCE = 65_536
/** Shorter texts are scanned again rather than hashed. */
const WORTH_REMEMBERING = 1024

interface Found {
  readonly segment: Segment
  readonly detection: Detection
}

export class PromptInjectionCheck implements Check {
  readonly name = 'prompt_injection'
  readonly priority: number
  readonly timeLimitMs: number
  readonly shadow: boolean
  readonly #common: Common
  readonly #actions: Readonly<Record<Severity, InjectionAction>>
  readonly #scanMaxChars: number
  readonly #onScanTruncated: InjectionAction
  readonly #onDecodeBudgetExceeded: InjectionAction
  readonly #roles: ReadonlySet<string>
  readonly #detect: Omit<DetectOptions, 'toolResult'>
  readonly #remembered = new Remembered()
  readonly #yieldNow: () => Promise<void>

  constructor(options: PromptInjectionOptions = {}, yieldNow: () => Promise<void> = immediate) {
    const read = new CheckOptions(this.name, options, [
      'severityActions',
      'scanMaxChars',
      'onScanTruncated',
      'onDecodeBudgetExceeded',
      'scanDecoded',
      'base64MinLength',
      'decodeBudget',
      'roles',
    ])
    this.#common = read.common(50)
    ;({ priority: this.priority, timeLimitMs: this.timeLimitMs, shadow: this.shadow } = this.#common)
    this.#actions = readActions(read)
    this.#scanMaxChars = read.whole('scanMaxChars', 524_288, 1)
    this.#onScanTruncated = read.choice('onScanTruncated', 'block', ACTIONS)
    this.#onDecodeBudgetExceeded = read.choice('onDecodeBudgetExceeded', 'block', ACTIONS)
    this.#detect = {
      decode: read.flag('scanDecoded', true),
      base64MinLength: read.whole('base64MinLength', 8, 4),
      budget: read.whole('decodeBudget', 0, 0),
      inflate,
    }
    this.#roles = new Set(readRoles(read))
    this.#yieldNow = yieldNow
  }

  describe(): Readonly<Record<string, unknown>> {
    return description(this.name, ['admission'], this.#common, {
      severityActions: { ...this.#actions },
      scanMaxChars: this.#scanMaxChars,
      onScanTruncated: this.#onScanTruncated,
      onDecodeBudgetExceeded: this.#onDecodeBudgetExceeded,
      scanDecoded: this.#detect.decode,
      base64MinLength: this.#detect.base64MinLength,
      decodeBudget: this.#detect.budget,
      roles: ROLES.filter(role => this.#roles.has(role)),
    })
  }

  admit(x: Exchange, ctx: Ctx): MaybeAsync<Verdict> {
    const { segments, characters, truncated } = this.#chosen(x.request.segments)
    const work = this.#judge(segments, truncated)
    return characters <= AT_ONCE ? straight(work) : this.#inSlices(work, ctx)
  }

  /** Segments of the chosen roles, cut at the limit. */
  #chosen(all: readonly Segment[]): { segments: readonly Segment[]; characters: number; truncated: boolean } {
    const segments: Segment[] = []
    let characters = 0
    for (const segment of all) {
      // Borders between texts are seams, which are looked at below.
      if (!this.#roles.has(segment.role) || segment.text === '' || segment.breaks !== undefined) continue
      const room = this.#scanMaxChars - characters
      if (segment.text.length > room) {
        if (room > 0) segments.push({ ...segment, text: segment.text.slice(0, room) })
        return { segments, characters: this.#scanMaxChars, truncated: true }
      }
      segments.push(segment)
      characters += segment.text.length
    }
    return { segments, characters, truncated: false }
  }

  async #inSlices(work: Generator<void, Verdict, undefined>, ctx: Ctx): Promise<Verdict> {
    for (;;) {
      const step = work.next()
      if (step.done) return step.value
      await this.#yieldNow()
      ctx.signal.throwIfAborted()
    }
  }

  *#judge(segments: readonly Segment[], truncated: boolean): Generator<void, Verdict, undefined> {
    let verdict: Verdict = ALLOW
    let exhausted: Segment | undefined
    const consider = (found: Found, where: Details): boolean => {
      if (found.detection.exhausted) exhausted ??= found.segment
      const said = this.#verdict(found, where)
      verdict = worse(verdict, said)
      return verdict.kind === 'block'
    }
    for (const segment of segments) {
      const detection = yield* this.#look(segment.text, segment.role === 'tool')
      if (consider({ segment, detection }, { pointer: segment.pointer, role: segment.role })) return verdict
    }
    for (const seam of seams(segments)) {
      const detection = yield* this.#look(seam.text, seam.segment.role === 'tool')
      if (consider({ segment: seam.segment, detection: unplaced(detection) }, atSeam(seam))) return verdict
    }
    if (exhausted !== undefined) {
      verdict = worse(
        verdict,
        act(this.#onDecodeBudgetExceeded, 'decode_budget_exceeded', 'decoding the text takes more work than allowed', {
          pointer: exhausted.pointer,
          role: exhausted.role,
          match_source: 'decode-budget-exceeded',
        }),
      )
    }
    if (truncated) {
      verdict = worse(
        verdict,
        act(
          this.#onScanTruncated,
          'scan_truncated',
          `the request has more text than the ${this.#scanMaxChars} characters that are scanned`,
          {
            scan_truncated: true,
            scan_max_chars: this.#scanMaxChars,
            match_source: 'truncation-fail-closed',
          },
        ),
      )
    }
    return verdict
  }

  *#look(text: string, toolResult: boolean): Generator<void, Detection, undefined> {
    const options = { ...this.#detect, toolResult }
    if (text.length < WORTH_REMEMBERING) return yield* detect(text, options)
    const key = Remembered.key(text, toolResult)
    const known = this.#remembered.get(key)
    if (known !== undefined) return known
    const detection = yield* detect(text, options)
    this.#remembered.set(key, detection)
    return detection
  }

  /** The worst finding speaks; all of them are named. */
  #verdict({ detection }: Found, where: Details): Verdict {
    let verdict: Verdict = ALLOW
    for (const f of detection.findings) {
      const action = this.#actions[f.severity]
      if (action === 'allow') continue
      verdict = worse(
        verdict,
        act(action, 'prompt_injection', `prompt-injection rule '${f.rule}' fired (${f.severity})`, {
          rule: f.rule,
          severity: f.severity,
          match_count: detection.findings.length,
          all_rules_hit: rulesHit(detection.findings),
          match_source: f.source,
          ...where,
          ...(f.offset === undefined ? {} : { offset: f.offset }),
        }),
      )
    }
    return verdict
  }
}

function act(action: InjectionAction, code: Code, reason: string, details: Details): Verdict {
  if (action === 'allow') return ALLOW
  return action === 'block' ? block(code, reason, details) : escalate(code, reason, details)
}

function rulesHit(findings: readonly Finding[]): readonly string[] {
  return [...new Set(findings.map(f => f.rule))].sort()
}

/** An offset in a joined text is an offset in no segment. */
function unplaced(detection: Detection): Detection {
  return { ...detection, findings: detection.findings.map(({ offset: _, ...rest }) => rest) }
}

function atSeam(seam: Seam): Details {
  return { pointer: seam.segment.pointer, role: seam.segment.role, joined_with: seam.with.pointer }
}

function straight(work: Generator<void, Verdict, undefined>): Verdict {
  for (;;) {
    const step = work.next()
    if (step.done) return step.value
  }
}

function immediate(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

function readActions(read: CheckOptions): Readonly<Record<Severity, InjectionAction>> {
  const actions: Record<Severity, InjectionAction> = { high: 'block', medium: 'escalate', low: 'allow' }
  if (!read.given('severityActions')) return actions
  const given = read.raw('severityActions')
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    throw read.wrong('severityActions', "an object such as { high: 'block', medium: 'escalate', low: 'allow' }", given)
  }
  for (const [key, value] of Object.entries(given)) {
    const severity = SEVERITIES.find(s => s === key)
    if (severity === undefined) throw read.wrong('severityActions', `keyed by ${SEVERITIES.join(', ')}`, key)
    const action = ACTIONS.find(a => a === value)
    if (action === undefined) throw read.wrong(`severityActions.${severity}`, `one of ${ACTIONS.join(', ')}`, value)
    actions[severity] = action
  }
  return actions
}

function readRoles(read: CheckOptions): readonly Segment['role'][] {
  if (!read.given('roles')) return DEFAULT_ROLES
  const roles = read.strings('roles').map(role => {
    const known = ROLES.find(r => r === role)
    if (known === undefined) throw read.wrong('roles', `made of ${ROLES.join(', ')}`, role)
    return known
  })
  if (roles.length === 0) throw read.wrong('roles', 'left out or a non-empty list', 'an empty list')
  return roles
}
