/**
 * The prefix-closed form of a regular expression: run on a text that may go on, it finds the first place where the
 * pattern matches OR where the text ends before the pattern could decide.
 *
 * Every character X becomes "X, or the end of the text"; once at the end every later element passes too. Alternatives
 * keep the original's order of preference, so what the form finds without touching the end is exactly what the original
 * finds, whatever text follows. Where the end was touched, an empty marker group is set.
 *
 * Exact in one direction: a match that could still come is never missed. It may stay undecided one character too long
 * (contradicting assertions, the last round of a bounded, repeated group).
 */
import type { AST } from '@eslint-community/regexpp'
import { isSingle, measureElement, type Pattern, PatternError, type Single } from './pattern.ts'

export interface PrefixClosed {
  readonly source: string
  /** Numbers of the groups that are set when the end of the text was touched. */
  readonly markers: readonly number[]
}

/** `partial`: the end passes and is marked. `possible`: passes unmarked. `certain`: only what no further text can change. `plain`: the original. */
type Mode = 'partial' | 'possible' | 'certain' | 'plain'

type Token = string | { readonly open: number } | { readonly reference: number } | typeof MARK

const MARK = { mark: true } as const
const END = '(?![^])'
const MORE = '(?=[^])'
/** Of a group without a longest match: what its beginning is taken to be, at most, where a full window ends. */
const SHORT = 64

export interface Options {
  /**
   * For a text that is cut off and not to be waited for: a lookahead holds as far as it surely does, and only what is
   * shorter than its group is taken for the beginning of a backreference.
   */
  readonly fullWindow?: boolean
}

export function prefixClosed(pattern: Pattern, options: Options = {}): PrefixClosed {
  const writer = new Writer(pattern, options.fullWindow === true)
  writer.put(MORE, '(?:')
  writer.any(pattern.tree.alternatives, 'partial', true)
  writer.put(')')
  return writer.finish()
}

class Writer {
  readonly #tokens: Token[] = []
  readonly #fullWindow: boolean
  readonly #unicode: boolean
  /** Capturing groups in order of their number; kept capturing only when referred to. */
  readonly #groups: readonly AST.CapturingGroup[]
  readonly #kept: ReadonlySet<number>
  /** How many bodies that run more than once are being written. */
  #rounds = 0

  constructor(pattern: Pattern, fullWindow: boolean) {
    this.#fullWindow = fullWindow
    this.#unicode = pattern.unicode
    const groups: AST.CapturingGroup[] = []
    collectGroups(pattern.tree.alternatives, groups)
    this.#groups = groups
    const kept = new Set<number>()
    groups.forEach((group, i) => {
      if (group.references.length === 0) return
      for (let up: AST.Node | null = group.parent; up !== null; up = up.parent) {
        if (up.type === 'Assertion') {
          throw new PatternError('a backreference to a group inside a lookaround is not supported: rewrite it without')
        }
      }
      kept.add(i)
    })
    this.#kept = kept
  }

  put(...tokens: Token[]): void {
    this.#tokens.push(...tokens)
  }

  /** Joins the tokens, numbering groups and markers in the order they stand. */
  finish(): PrefixClosed {
    const markers: number[] = []
    const numbers = new Map<number, number>()
    let last = 0
    for (const token of this.#tokens) {
      if (typeof token === 'string' || 'reference' in token) continue
      last++
      if ('open' in token) numbers.set(token.open, last)
      else markers.push(last)
    }
    let source = ''
    for (const token of this.#tokens) {
      if (typeof token === 'string') source += token
      else if ('open' in token) source += '('
      else if ('reference' in token) source += `(?:\\${numbers.get(token.reference) ?? 0})`
      else source += '()'
    }
    return { source, markers }
  }

  /** `captures`: this is the one copy of the subtree that may keep its capturing groups. */
  any(alternatives: readonly AST.Alternative[], mode: Mode, captures: boolean): void {
    alternatives.forEach((alternative, i) => {
      if (i > 0) this.put('|')
      this.#sequence(alternative.elements, mode, captures)
    })
  }

  #end(mode: Mode): void {
    this.put(END)
    if (mode === 'partial') this.put(MARK)
  }

  #sequence(elements: readonly AST.Element[], mode: Mode, captures: boolean): void {
    let run: Single[] = []
    for (const element of elements) {
      if (isSingle(element)) {
        run.push(element)
        continue
      }
      this.#run(run, mode)
      run = []
      this.#element(element, mode, captures)
    }
    this.#run(run, mode)
  }

  /** abc becomes (?:abc|(?:a(?:b)?)?END): all of it, or as much as there is. */
  #run(run: readonly Single[], mode: Mode): void {
    if (run.length === 0) return
    const whole = run.map(written).join('')
    if (mode === 'plain' || mode === 'certain') {
      this.put(`(?:${whole})`)
      return
    }
    const head = run.slice(0, -1).reduceRight((tail, single) => `(?:${written(single)}${tail})?`, '')
    this.put(`(?:${whole}|${head}`)
    this.#end(mode)
    this.put(')')
  }

  #element(element: Exclude<AST.Element, Single>, mode: Mode, captures: boolean): void {
    switch (element.type) {
      case 'Group':
        this.put(modifierPrefix(element))
        this.any(element.alternatives, mode, captures)
        this.put(')')
        return
      case 'CapturingGroup': {
        const index = this.#groups.indexOf(element)
        this.put(captures && this.#kept.has(index) ? { open: index } : '(?:')
        this.any(element.alternatives, mode, captures)
        this.put(')')
        return
      }
      case 'Quantifier':
        this.#quantifier(element, mode, captures)
        return
      case 'Backreference':
        this.#backreference(element, mode)
        return
      case 'Assertion':
        this.#assertion(element, mode, captures)
        return
      default:
        throw new PatternError('unsupported syntax: rewrite the pattern without it')
    }
  }

  #backreference(element: AST.Backreference, mode: Mode): void {
    const targets = Array.isArray(element.resolved) ? element.resolved : [element.resolved]
    const target = targets[0]
    if (targets.length !== 1 || target === undefined) {
      throw new PatternError(
        'a backreference to several groups of one name is not supported: give them different names',
      )
    }
    const reference = { reference: this.#groups.indexOf(target) }
    if (mode === 'plain' || mode === 'certain') {
      if (mode === 'certain') this.put(MORE)
      this.put(reference)
      return
    }
    // What a group captured cannot be cut in pieces here: whatever is left may be the beginning of it. In a full window
    // that is only what is too short to be all of it.
    const rest = this.#fullWindow ? `[^]{0,${this.#shortOf(target)}}` : '[^]*'
    this.put('(?:', reference, `|${rest}`)
    this.#end(mode)
    this.put(')')
  }

  /** The most units that may be the beginning of what the group took and not all of it. */
  #shortOf(group: AST.CapturingGroup): number {
    const { max } = measureElement(group, this.#unicode)
    return Number.isFinite(max) ? Math.max(0, max - 1) : SHORT
  }

  #quantifier(quantifier: AST.Quantifier, mode: Mode, captures: boolean): void {
    const { element, min, max, greedy } = quantifier
    if (max === 0) return
    if (element.type === 'Assertion') {
      if (min > 0) this.#assertion(element, mode, captures)
      return
    }
    if (mode === 'plain' || mode === 'certain') {
      this.put('(?:')
      this.#sequence([element], mode, captures)
      this.put(`)${times(min, max)}${greedy ? '' : '?'}`)
      return
    }
    if (isSingle(element)) {
      this.#repeatSingle(written(element), quantifier, mode)
      return
    }
    const optional = max - min
    const copies = optional + (min > 0 ? 1 : 0)
    const short = copies <= 1 || (copies <= 4 && quantifier.raw.length <= 60 && !this.#holdsKept(element))
    // A round that takes nothing is refused by a quantifier, and by nothing else.
    if (short && (optional === 0 || !nullable(element))) {
      this.#unrolled(quantifier, optional, mode, captures)
      return
    }
    this.#repeated(element, mode, captures)
    this.put(`${times(min, max)}${greedy ? '' : '?'}`)
    this.#maybeMore(greedy, mode)
  }

  #repeated(element: AST.QuantifiableElement, mode: Mode, captures: boolean): void {
    this.#rounds++
    this.put('(?:')
    this.#sequence([element], mode, captures)
    this.put(')')
    this.#rounds--
  }

  /** One more round would need text that is not there: preferred to leaving when greedy, the other way round when lazy. */
  #maybeMore(greedy: boolean, mode: Mode): void {
    this.put(greedy ? '(?:' : '(?:|')
    this.#end(mode)
    this.put(greedy ? '|)' : ')')
  }

  #repeatSingle(raw: string, { min, max, greedy }: AST.Quantifier, mode: Mode): void {
    this.put('(?:')
    if (min === max) {
      this.put(`${raw}{${min}}`)
    } else if (!greedy) {
      this.put(`${raw}${times(min, max)}?`)
      this.#maybeMore(greedy, mode)
    } else if (max === Number.POSITIVE_INFINITY) {
      this.put(`${raw}${times(min, max)}`)
      this.#maybeMore(greedy, mode)
    } else {
      this.put(`${raw}{${max}}|${raw}${times(min, max - 1)}`)
      this.#maybeMore(greedy, mode)
    }
    if (min > 0) {
      this.put(`|${min > 1 ? `${raw}{0,${min - 1}}` : ''}`)
      this.#end(mode)
    }
    this.put(')')
  }

  /** B{2,4} as BB(?:B(?:B|)|): the same order of preference, and no doubt left after the last round. */
  #unrolled(quantifier: AST.Quantifier, optional: number, mode: Mode, captures: boolean): void {
    const { element, min, greedy } = quantifier
    if (min === 1) this.#sequence([element], mode, captures)
    else if (min > 1) {
      this.#repeated(element, mode, captures)
      this.put(times(min, min))
    }
    for (let i = 0; i < optional; i++) {
      this.put(greedy ? '(?:' : '(?:|')
      this.#sequence([element], mode, captures)
    }
    for (let i = 0; i < optional; i++) this.put(greedy ? '|)' : ')')
  }

  /** Repeating a subtree would repeat a group that a backreference needs to be single. */
  #holdsKept(element: AST.Element): boolean {
    return this.#groups.some(
      (group, i) => this.#kept.has(i) && group.start >= element.start && group.end <= element.end,
    )
  }

  #assertion(assertion: AST.Assertion, mode: Mode, captures: boolean): void {
    switch (assertion.kind) {
      case 'start':
        this.#decided('^', false, mode)
        return
      case 'end':
        this.#decided('$', true, mode)
        return
      case 'word':
        this.#decided(assertion.negate ? '\\B' : '\\b', true, mode)
        return
      case 'lookbehind':
        this.#lookbehind(assertion, mode)
        return
      case 'lookahead':
        this.#lookahead(assertion, mode, captures)
        return
      default:
        throw new PatternError('unsupported assertion: rewrite the pattern without it')
    }
  }

  /** An assertion about the place itself. At the end of the text it may be about characters that have not come yet. */
  #decided(assertion: string, needsNext: boolean, mode: Mode): void {
    const guarded = needsNext || this.#doubtsEnd(mode) ? MORE + assertion : assertion
    if (mode === 'plain') {
      this.put(assertion)
      return
    }
    if (mode === 'certain') {
      this.put(guarded)
      return
    }
    this.put(`(?:${guarded}|`)
    this.#end(mode)
    this.put(')')
  }

  /**
   * At the end the characters behind may be ones that have not come, when an earlier element passed without its own.
   * Nothing is certain there; and in a body that runs more than once the mark of that element may be forgotten.
   */
  #doubtsEnd(mode: Mode): boolean {
    return mode === 'certain' || (mode === 'partial' && this.#rounds > 0)
  }

  #lookbehind(assertion: AST.LookbehindAssertion, mode: Mode): void {
    const open = assertion.negate ? '(?<!' : '(?<='
    const guard = this.#doubtsEnd(mode) || (mode !== 'plain' && looksForward(assertion)) ? MORE : ''
    if (mode === 'partial' || mode === 'possible') this.put('(?:')
    this.put(guard, open)
    this.any(assertion.alternatives, 'plain', false)
    this.put(')')
    if (mode !== 'partial' && mode !== 'possible') return
    this.put('|')
    this.#end(mode)
    this.put(')')
  }

  #lookahead(assertion: AST.LookaheadAssertion, mode: Mode, captures: boolean): void {
    const is = (how: Mode): void => {
      this.put('(?=')
      this.any(assertion.alternatives, how, captures)
      this.put(')')
    }
    const not = (how: Mode): void => {
      this.put('(?!')
      this.any(assertion.alternatives, how, false)
      this.put(')')
    }
    if (this.#fullWindow && mode === 'partial') {
      if (assertion.negate) not('certain')
      else is('certain')
      return
    }
    if (!assertion.negate) {
      if (mode !== 'partial' || this.#rounds === 0) {
        is(mode)
        return
      }
      // Each case excludes the other: one that is settled must not be tried again as open when what follows fails.
      this.put('(?:')
      is('certain')
      this.put('|')
      not('certain')
      is('possible')
      this.#undecided()
      this.put(')')
      return
    }
    switch (mode) {
      case 'plain':
        not('plain')
        return
      case 'certain':
        not('possible')
        return
      case 'possible':
        not('certain')
        return
      case 'partial':
        // Surely absent; or neither that nor surely present, which the missing text decides.
        this.put('(?:')
        not('possible')
        this.put('|')
        is('possible')
        not('certain')
        this.#undecided()
        this.put(')')
        return
      default:
        mode satisfies never
    }
  }

  /**
   * What a lookahead says depends on text that is not there. Its mark would be lost in a body that runs more than once,
   * since a group forgets what it captured when the next round begins; there the rest of the text is taken, so that
   * every later round stands at the end as well, and marks.
   */
  #undecided(): void {
    if (this.#rounds > 0) this.put('[^]*', END)
    this.put(MARK)
  }
}

/** `\1` is a character where there is no such group (ECMA-262 annex B), and here there are more groups than there were. */
function written(single: Single): string {
  if (single.type !== 'Character' || !/^\\[0-9]/.test(single.raw)) return single.raw
  return `\\x${single.value.toString(16).padStart(2, '0')}`
}

/** Whether it can match nothing. */
function nullable(element: AST.Element): boolean {
  switch (element.type) {
    case 'Group':
    case 'CapturingGroup':
      return element.alternatives.some(({ elements }) => elements.every(nullable))
    case 'Quantifier':
      return element.min === 0 || nullable(element.element)
    case 'Assertion':
    case 'Backreference':
      return true
    default:
      return false
  }
}

function times(min: number, max: number): string {
  if (max === Number.POSITIVE_INFINITY) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`
  return min === max ? `{${min}}` : `{${min},${max}}`
}

function modifierPrefix(group: AST.Group): string {
  if (group.modifiers === null) return '(?:'
  const { add, remove } = group.modifiers
  return `(?${add.raw}${remove === null ? '' : `-${remove.raw}`}:`
}

function collectGroups(alternatives: readonly AST.Alternative[], into: AST.CapturingGroup[]): void {
  for (const { elements } of alternatives) for (const element of elements) collectGroup(element, into)
}

function collectGroup(element: AST.Element, into: AST.CapturingGroup[]): void {
  if (element.type === 'CapturingGroup') into.push(element)
  if (element.type === 'Quantifier') collectGroup(element.element, into)
  else if ('alternatives' in element) collectGroups(element.alternatives, into)
}

/** The lookbehind's own end depends on the next character. */
function looksForward(assertion: AST.LookbehindAssertion): boolean {
  return /\\b|\\B|\$|\(\?[=!]/.test(assertion.raw)
}
