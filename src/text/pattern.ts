/** Reading a regular expression: its syntax tree, how long its matches can be and how they can begin. */
import { type AST, RegExpParser, visitRegExpAST } from '@eslint-community/regexpp'

/** A pattern that cannot be used; the message says what is wrong and how to fix it, in one line. */
export class PatternError extends Error {
  override readonly name = 'PatternError'
}

export interface Pattern {
  readonly source: string
  readonly flags: string
  /** `u` or `v`: atoms are code points, up to two units long. */
  readonly unicode: boolean
  readonly tree: AST.Pattern
}

const parser = new RegExpParser({ ecmaVersion: 2025 })

/** A start reads each pattern several times: as a check's option, as one of the scan's rules, once more for its bounds. */
const read = new Map<string, Pattern>()
const MAX_READ = 512

export function parsePattern(source: string, flags: string): Pattern {
  const key = `${flags}/${source}`
  const known = read.get(key)
  if (known !== undefined) return known
  const pattern = parse(source, flags)
  if (read.size >= MAX_READ) read.clear()
  read.set(key, pattern)
  return pattern
}

function parse(source: string, flags: string): Pattern {
  const wrong = [...flags].find((flag, i) => !'imsuv'.includes(flag) || flags.indexOf(flag) !== i)
  if (wrong !== undefined)
    throw new PatternError(`flag '${wrong}' is not usable: use each of i, m, s, u, v at most once`)
  // ECMA-262 annex B reads it as a backslash and a `c`; a part cut out of such a pattern is no pattern.
  if (/(?<!\\)(?:\\\\)*\\c(?![A-Za-z])/.test(source))
    throw new PatternError('\\c without a letter after it: write \\\\c for a backslash and a c')
  const unicodeSets = flags.includes('v')
  try {
    new RegExp(source, flags)
    const tree = parser.parsePattern(source, 0, source.length, { unicode: flags.includes('u'), unicodeSets })
    refuseCaseModifiers(tree)
    return { source, flags, unicode: unicodeSets || flags.includes('u'), tree }
  } catch (error) {
    if (error instanceof PatternError) throw error
    const why = error instanceof Error ? error.message.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ') : 'syntax error'
    throw new PatternError(`not a valid regular expression (${why}): correct the pattern or its flags`)
  }
}

/**
 * V8 compiles a long expression, or any once a process has compiled many, without optimising it, and such code forgets a
 * group's own `i`: `(?i:A|B)b` then misses `ab` (`node --no-regexp-optimization` shows it). A rule that stops matching
 * when the process is busy is worse than none.
 */
function refuseCaseModifiers(tree: AST.Pattern): void {
  visitRegExpAST(tree, {
    onModifiersEnter({ add, remove }) {
      if (add.ignoreCase || remove?.ignoreCase === true) {
        throw new PatternError(
          `(?${add.raw}${remove === null ? '' : `-${remove.raw}`}:...) changes the case sensitivity of a part, which the engine does not do reliably: give the whole pattern the flag i, or write both cases as [Aa]`,
        )
      }
    },
  })
}

/** An element that always consumes exactly one character: no choice inside, so it can be split off a partial match. */
export type Single = AST.Character | AST.CharacterSet | AST.CharacterClass | AST.ExpressionCharacterClass

export function isSingle(element: AST.Element): element is Single {
  switch (element.type) {
    case 'Character':
    case 'CharacterSet':
    case 'CharacterClass':
    case 'ExpressionCharacterClass':
      refuseStrings(element)
      return true
    default:
      return false
  }
}

/** `v`-flag classes may hold whole strings; written out as alternatives they are supported. */
function refuseStrings(node: Single): void {
  if (/\\q\{|\\p\{(?:Basic_Emoji|Emoji_Keycap|RGI_)/.test(node.raw)) {
    throw new PatternError(
      'a character class holds strings (\\q{...} or an emoji property): write them as alternatives (?:...|...)',
    )
  }
}

/** Longest text one character of the pattern can take, in UTF-16 units. */
function widthOf(node: Single, unicode: boolean): number {
  if (!unicode) return 1
  if (node.type === 'Character') return node.value > 0xffff ? 2 : 1
  if (node.type === 'CharacterSet')
    return (node.kind === 'digit' || node.kind === 'space' || node.kind === 'word') && !node.negate ? 1 : 2
  if (node.type !== 'CharacterClass' || node.negate) return 2
  for (const part of node.elements) {
    if (
      part.type === 'Character'
        ? part.value > 0xffff
        : part.type === 'CharacterClassRange'
          ? part.max.value > 0xffff
          : true
    ) {
      const narrow = part.type === 'CharacterSet' && part.kind !== 'property' && !part.negate
      if (!narrow) return 2
    }
  }
  return 1
}

/** Units, `Infinity` when unbounded. */
export interface Measure {
  readonly max: number
  /** How far beyond its own end the pattern looks. */
  readonly ahead: number
  /** How far before its start the pattern looks. */
  readonly behind: number
  readonly backreferences: boolean
}

const EMPTY: Measure = { max: 0, ahead: 0, behind: 0, backreferences: false }

export function measure(pattern: Pattern): Measure {
  return measureAny(pattern.tree.alternatives, pattern.unicode)
}

function measureAny(alternatives: readonly AST.Alternative[], unicode: boolean): Measure {
  let out = EMPTY
  for (const { elements } of alternatives) {
    let sum = EMPTY
    for (const element of elements) {
      const one = measureElement(element, unicode)
      sum = { ...widest(sum, one), max: sum.max + one.max }
    }
    out = widest(out, sum)
  }
  return out
}

function widest(a: Measure, b: Measure): Measure {
  return {
    max: Math.max(a.max, b.max),
    ahead: Math.max(a.ahead, b.ahead),
    behind: Math.max(a.behind, b.behind),
    backreferences: a.backreferences || b.backreferences,
  }
}

export function measureElement(element: AST.Element, unicode: boolean): Measure {
  if (isSingle(element)) return { ...EMPTY, max: widthOf(element, unicode) }
  switch (element.type) {
    case 'Group':
    case 'CapturingGroup':
      return measureAny(element.alternatives, unicode)
    case 'Quantifier': {
      const one = measureElement(element.element, unicode)
      return { ...one, max: one.max === 0 || element.max === 0 ? 0 : one.max * element.max }
    }
    case 'Backreference':
      return { ...EMPTY, max: Number.POSITIVE_INFINITY, backreferences: true }
    case 'Assertion':
      return measureAssertion(element, unicode)
    default:
      throw new PatternError('unsupported syntax: rewrite the pattern without it')
  }
}

function measureAssertion(assertion: AST.Assertion, unicode: boolean): Measure {
  switch (assertion.kind) {
    case 'start':
      return { ...EMPTY, behind: 1 }
    case 'end':
      return { ...EMPTY, ahead: 1 }
    case 'word':
      return { ...EMPTY, ahead: 1, behind: 1 }
    case 'lookahead': {
      const inner = measureAny(assertion.alternatives, unicode)
      return { ...inner, max: 0, ahead: inner.max + inner.ahead }
    }
    case 'lookbehind': {
      const inner = measureAny(assertion.alternatives, unicode)
      if (inner.max + inner.behind > MOST_BEHIND) {
        throw new PatternError(
          `a lookbehind looks back without bound or more than ${MOST_BEHIND} units: bound its quantifiers`,
        )
      }
      if (inner.ahead > 1) throw new PatternError('a lookahead inside a lookbehind is not supported: move it outside')
      return { ...inner, max: 0, behind: inner.max + inner.behind }
    }
    default:
      throw new PatternError('unsupported assertion: rewrite the pattern without it')
  }
}

/** A stream keeps this much settled text for lookbehinds. */
const MOST_BEHIND = 1024

interface Prefixes {
  readonly words: readonly string[]
  /** The words are all the element can match, so the next element continues them. */
  readonly whole: boolean
}

const STOP: Prefixes = { words: [''], whole: false }
const MOST_WORDS = 32
const LONGEST_WORD = 64

/**
 * ASCII words one of which begins every match, so that an automaton can say where matches may begin. Empty when the
 * pattern has no such beginning of at least two characters.
 */
export function prefixesOf(pattern: Pattern): readonly string[] {
  const { words } = prefixesAny(pattern.tree.alternatives)
  const unique = [...new Set(pattern.flags.includes('i') ? words.map(word => word.toLowerCase()) : words)]
  return unique.every(word => word.length >= 2) ? unique : []
}

function prefixesAny(alternatives: readonly AST.Alternative[]): Prefixes {
  const words: string[] = []
  let whole = true
  for (const { elements } of alternatives) {
    const one = prefixesOfSequence(elements)
    words.push(...one.words)
    whole &&= one.whole
  }
  return words.length > MOST_WORDS ? STOP : { words, whole }
}

function prefixesOfSequence(elements: readonly AST.Element[]): Prefixes {
  let words: readonly string[] = ['']
  for (const element of elements) {
    const next = prefixesOfElement(element)
    if (words.length * next.words.length > MOST_WORDS) return { words, whole: false }
    words = words.flatMap(head => next.words.map(tail => head + tail))
    if (!next.whole || words.some(word => word.length > LONGEST_WORD)) return { words, whole: false }
  }
  return { words, whole: true }
}

function prefixesOfElement(element: AST.Element): Prefixes {
  switch (element.type) {
    case 'Assertion':
      return { words: [''], whole: true }
    case 'Character':
      return element.value < 0x80 ? { words: [String.fromCharCode(element.value)], whole: true } : STOP
    case 'CharacterClass': {
      if (element.negate || element.elements.length > 4) return STOP
      const words: string[] = []
      for (const part of element.elements) {
        if (part.type !== 'Character' || part.value > 0x7f) return STOP
        words.push(String.fromCharCode(part.value))
      }
      return words.length === 0 ? STOP : { words, whole: true }
    }
    case 'Group':
      return element.modifiers === null ? prefixesAny(element.alternatives) : STOP
    case 'CapturingGroup':
      return prefixesAny(element.alternatives)
    case 'Quantifier': {
      if (element.min === 0 || element.element.type === 'Assertion') return STOP
      const times = Math.min(element.min, LONGEST_WORD)
      const run = prefixesOfSequence(new Array<AST.QuantifiableElement>(times).fill(element.element))
      return { words: run.words, whole: run.whole && element.max === times }
    }
    default:
      return STOP
  }
}

/** Tests one character: can a match begin with it? May say yes too often, never no wrongly. */
export function firstTest(pattern: Pattern): (character: string) => boolean {
  const firsts = firstOfAny(pattern.tree.alternatives)
  if (firsts === undefined || firsts.atoms.length === 0) return () => true
  const test = new RegExp(`^(?:${[...new Set(firsts.atoms)].join('|')})`, pattern.flags)
  return character => test.test(character)
}

interface Firsts {
  readonly atoms: readonly string[]
  /** Can match nothing, so what follows can come first too. */
  readonly nullable: boolean
}

function firstOfAny(alternatives: readonly AST.Alternative[]): Firsts | undefined {
  const atoms: string[] = []
  let nullable = false
  for (const { elements } of alternatives) {
    let empty = true
    for (const element of elements) {
      const one = firstOfElement(element)
      if (one === undefined) return undefined
      atoms.push(...one.atoms)
      if (!one.nullable) {
        empty = false
        break
      }
    }
    nullable ||= empty
  }
  return { atoms, nullable }
}

function firstOfElement(element: AST.Element): Firsts | undefined {
  if (isSingle(element)) return { atoms: [element.raw], nullable: false }
  switch (element.type) {
    case 'Assertion':
      return { atoms: [], nullable: true }
    case 'Group':
      return element.modifiers === null ? firstOfAny(element.alternatives) : undefined
    case 'CapturingGroup':
      return firstOfAny(element.alternatives)
    case 'Quantifier': {
      const one = firstOfElement(element.element)
      return one === undefined ? undefined : { atoms: one.atoms, nullable: one.nullable || element.min === 0 }
    }
    default:
      return undefined
  }
}

/** An assertion may stand within the first word. Later ones cannot fail before the word is complete. */
export function holdsLead(elements: readonly AST.Element[]): boolean {
  for (const element of elements) {
    if (element.type === 'Assertion') return true
    if (element.type === 'Character') return false
    if (element.type === 'CharacterClass') return false
    if (element.type === 'Group' || element.type === 'CapturingGroup') {
      return element.alternatives.some(
        alternative => alternative.elements.length === 0 || holdsLead(alternative.elements),
      )
    }
    if (element.type === 'Quantifier') return holdsLead([element.element])
  }
  return false
}
