/**
 * What a notice shows of an escalation. Everything a model or a caller chose is escaped as everywhere else: control,
 * bidirectional and invisible characters become `\uXXXX`. Each channel adds what its own markup needs.
 */
import type { Escalation, ProposedCall } from '../escalation/escalation.ts'
import { escapeJson, escapeText } from '../text/visible.ts'
import { namesOf } from './names.ts'

/** Blanks side by side, line feeds too, behind which nobody looks for more: the client folds it, or it is far below. */
const GAP = /\s{100}/u

/** Longest piece of text about one thing, such as an owner or the name of a tool. */
const MAX_NAME = 300

export interface ShownCall {
  readonly tool: string
  readonly tier: string | undefined
  readonly digest: string
  readonly audience: string | undefined
  /** Escaped; whole, or cut at `MAX`. */
  readonly text: string
  /** All of it can be read here. */
  readonly whole: boolean
  /** It may look as if it ended where it does not. */
  readonly hasGap: boolean
  /** Characters of the escaped text in all. */
  readonly length: number
}

export interface Shown {
  readonly id: string
  readonly owner: string
  readonly stage: string
  readonly check: string
  readonly reason: string
  readonly surface: string
  readonly upstream: string
  readonly digest: string
  readonly expires: string
  readonly calls: readonly ShownCall[]
  /** Everything that an approver is asked about can be read here. */
  readonly whole: boolean
}

export interface ShowLimits {
  readonly calls: number
  /** Characters of the arguments of one call, and of all of them. */
  readonly perCall: number
  readonly total: number
  /** Names of people are left out, and so nobody has seen the whole of it. */
  readonly sealed: boolean
  /** Arguments in the channel's own form; they stay JSON where they were. */
  readonly form?: (escaped: string) => string
}

export function show(e: Escalation, { calls: most, perCall, total, sealed, form = same }: ShowLimits): Shown {
  let left = total
  const names = namesOf(e, sealed)
  const calls = e.calls.slice(0, most).map((call): ShownCall => {
    const text = form(escapeJson(call.argumentsText))
    const room = Math.min(perCall, left)
    const whole = text.length <= room
    const cut = whole ? text : cutAt(text, room)
    left -= cut.length
    return { ...facts(call, names.within), text: cut, whole, hasGap: GAP.test(text), length: text.length }
  })
  const check = names.within(e.check)
  const reason = names.within(e.reason)
  const named = [names.owner, check, reason, e.surface, e.upstream, ...calls.map(c => c.tool)]
  return {
    id: e.id,
    owner: name(names.owner),
    stage: e.stage,
    check: name(check),
    reason: name(reason),
    surface: name(e.surface),
    upstream: name(e.upstream),
    digest: e.digest,
    expires: new Date(e.expiresAtMs).toISOString(),
    calls: calls.map(c => ({ ...c, tool: name(c.tool) })),
    whole:
      !sealed &&
      e.calls.length <= most &&
      calls.every(c => c.whole && !c.hasGap) &&
      named.every(text => escapeText(text).length <= MAX_NAME),
  }
}

export const GAP_NOTE = 'There is a long gap in it, and more behind. See it in the console.'

/** In one line of at most `MAX_NAME` characters. */
function name(text: string): string {
  const escaped = escapeText(text)
  return escaped.length <= MAX_NAME ? escaped : `${cutAt(escaped, MAX_NAME)}… (${escaped.length} characters)`
}

function facts({ tool, tier, argumentsDigest, audience }: ProposedCall, within: (text: string) => string) {
  return {
    tool: within(tool),
    tier: tier === undefined ? undefined : within(tier),
    digest: argumentsDigest,
    audience: audience === undefined ? undefined : name(within(audience)),
  }
}

/** Never half a surrogate pair: whoever reads the rest would see a character that is not there. */
export function cutAt(text: string, length: number): string {
  const last = text.charCodeAt(length - 1)
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length)
}

function same(text: string): string {
  return text
}

/** The console's page about it, which asks who is there. The address says which escalation and nothing more. */
export function consoleLink(consoleUrl: string | undefined, id: string): string | undefined {
  return consoleUrl === undefined ? undefined : `${consoleUrl}/console/#/approvals/${id}`
}
