/**
 * `regex_content`: block or redact what an operator's patterns find in a request.
 *
 * Every pattern is looked for in every segment; a block anywhere wins over any redaction; a redaction replaces every
 * occurrence, and the checks behind see the replaced text. Rows name the pattern and the place, never the text.
 */
import { isNew } from '../core/break.ts'
import type { Check, Ctx } from '../core/check.ts'
import type { Exchange } from '../core/exchange.ts'
import { ALLOW, block, type Details, redact, type Verdict } from '../core/verdict.ts'
import type { Segment } from '../core/wire.ts'
import type { Hit } from '../text/scan.ts'
import { CheckOptions, type Common, type CommonOptions, description } from './options.ts'
import { describePatterns, inOrder, type Pattern, type Patterns, readPatterns, redactions } from './pattern.ts'

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'schema', 'other'] as const

export interface RegexContentOptions extends CommonOptions {
  readonly patterns: readonly Pattern[]
  /** Look only at segments of these roles. Default: all of them. */
  readonly roles?: readonly Segment['role'][]
}

interface Found {
  readonly segment: Segment
  readonly hits: readonly Hit[]
}

export class RegexContentCheck implements Check {
  readonly name = 'regex_content'
  readonly priority: number
  readonly timeLimitMs: number
  readonly shadow: boolean
  readonly patterns
  readonly #common: Common
  readonly #patterns: Patterns
  readonly #roles: ReadonlySet<string> | undefined

  constructor(options: RegexContentOptions) {
    const read = new CheckOptions(this.name, options, ['patterns', 'roles'])
    this.#common = read.common(40)
    ;({ priority: this.priority, timeLimitMs: this.timeLimitMs, shadow: this.shadow } = this.#common)
    this.#patterns = readPatterns(read, this.name)
    this.patterns = this.#patterns.set
    const roles = read.given('roles') ? read.strings('roles') : undefined
    for (const role of roles ?? []) {
      if (!ROLES.some(known => known === role)) throw read.wrong('roles', `made of ${ROLES.join(', ')}`, role)
    }
    if (roles?.length === 0) throw read.wrong('roles', 'left out (all roles) or a non-empty list', 'an empty list')
    this.#roles = roles === undefined ? undefined : new Set(roles)
  }

  describe(): Readonly<Record<string, unknown>> {
    return description(this.name, ['admission'], this.#common, {
      patterns: describePatterns(this.#patterns.list),
      roles: this.#roles === undefined ? null : [...this.#roles],
    })
  }

  admit(x: Exchange, ctx: Ctx): Verdict {
    let found: Found[] | undefined
    for (const segment of x.request.segments) {
      if (this.#roles !== undefined && !this.#roles.has(segment.role)) continue
      const hits = ctx
        .scan(segment.text)
        .hits(this.patterns)
        .filter(hit => isNew(segment, hit))
      if (hits.length === 0) continue
      found ??= []
      found.push({ segment, hits: [...hits].sort(inOrder(this.#patterns)) })
    }
    if (found === undefined) return ALLOW
    for (const { segment, hits } of found) {
      const blocking = hits.find(hit => this.#patterns.of(hit).action === 'block')
      if (blocking !== undefined) {
        const { label } = this.#patterns.of(blocking)
        return block('content_pattern', `pattern '${label}' matched`, place(label, segment, blocking))
      }
    }
    return this.#redact(found, ctx)
  }

  #redact(found: readonly Found[], ctx: Ctx): Verdict {
    const short = carriersShort(found)
    for (const one of found) {
      const [first] = one.hits
      if (one.segment.derived !== true || first === undefined || !short.has(one.segment.pointer)) continue
      const { label } = this.#patterns.of(first)
      return block(
        'redaction_unwritable',
        `pattern '${label}' matched in a part of the request that cannot be rewritten`,
        place(label, one.segment, first),
      )
    }
    let matches = 0
    for (const { segment, hits } of found) {
      if (segment.derived === true) continue
      const edits = redactions(hits, this.#patterns)
      matches += edits.length
      ctx.edit(segment, edits)
    }
    const [head] = found
    const hit = head?.hits[0]
    if (head === undefined || hit === undefined) return ALLOW
    const { label } = this.#patterns.of(hit)
    return redact('content_pattern', `pattern '${label}' redacted`, [], { ...place(label, head.segment, hit), matches })
  }
}

function place(label: string, segment: Segment, hit: Hit): Details {
  return {
    pattern_label: label,
    offset: hit.from,
    length: hit.to - hit.from,
    pointer: segment.pointer.slice(0, 256),
    role: segment.role,
  }
}

/**
 * A derived text (a string decoded out of call arguments) is redacted with its carrier, when the carrier shows each of
 * its matches letter for letter. One that is written with escapes there cannot be, and blocks. Returns the pointers of
 * the carriers that show less than was decoded.
 */
function carriersShort(found: readonly Found[]): ReadonlySet<string> {
  const short = new Set<string>()
  if (!found.some(one => one.segment.derived === true)) return short
  const balances = new Map<string, Map<string, number>>()
  for (const { segment, hits } of found) {
    let open = balances.get(segment.pointer)
    if (open === undefined) {
      open = new Map()
      balances.set(segment.pointer, open)
    }
    for (const hit of hits) {
      const key = `${hit.id}:${segment.text.slice(hit.from, hit.to)}`
      open.set(key, (open.get(key) ?? 0) + (segment.derived === true ? -1 : 1))
    }
  }
  for (const [pointer, open] of balances) {
    for (const balance of open.values()) if (balance < 0) short.add(pointer)
  }
  return short
}
