/** The value rules of a tool as configured: read and checked once, at start. */
import { type Decimal, readDecimal } from '../../core/decimal.ts'
import { isRecord, isScalar, jsonCopy, type Scalar } from './json-value.ts'
import { type LinearPattern, linearPattern } from './linear-pattern.ts'
import { type Place, readPlace } from './place.ts'

/** What a rule demands of the value: one demand (`min` and `max` are one), or only that it is there. */
interface Demands {
  /** At least, as a number or, where a double cannot hold it, as a text: `'10000.05'`. */
  readonly min?: number | string
  /** At most. */
  readonly max?: number | string
  /** One of these, exactly: a number by its value, a text letter by letter. */
  readonly allow?: readonly Scalar[]
  /** None of these, nor anything a reader would take for one of them. */
  readonly deny?: readonly Scalar[]
  /** A regular expression of JavaScript, without look-around and back-references, that must match the whole text. */
  readonly pattern?: string
  /** Characters (Unicode code points) at most. */
  readonly maxLength?: number
  /** The same as this claim of the owner, or as one of its members where it is a list. */
  readonly claim?: string
}

export interface ArgumentRule extends Demands {
  // No block comment: `*/` would end it.
  // JSON Pointer into the arguments; `*` stands for every member of an array: `/items/*/amount`.
  readonly at: string
  /** Names the rule in rows and answers. Default: its place and its demand, `/amount max`. */
  readonly id?: string
  /** Must the value be there? `null` is not there, nor is a member of an empty list. Default true. */
  readonly required?: boolean
  /** What becomes of a call whose value breaks the rule. A value that cannot be judged blocks in any case. Default `block`. */
  readonly action?: 'block' | 'escalate'
  /** With `claim`: `owner` and `owner_id` also of an owner that no credential stands behind. Default false. */
  readonly asserted?: boolean
}

export type Demand =
  | { readonly kind: 'range'; readonly min: Decimal | undefined; readonly max: Decimal | undefined }
  | { readonly kind: 'allow'; readonly values: readonly Scalar[] }
  | { readonly kind: 'deny'; readonly values: readonly Scalar[] }
  | { readonly kind: 'pattern'; readonly pattern: LinearPattern }
  | { readonly kind: 'maxLength'; readonly most: number }
  | { readonly kind: 'present' }
  | { readonly kind: 'claim'; readonly claim: string; readonly asserted: boolean }

export interface ReadRule {
  readonly id: string
  readonly place: Place
  readonly demand: Demand
  readonly required: boolean
  readonly action: 'block' | 'escalate'
  /** As configured, for the policy digest. */
  readonly json: unknown
}

/** What is wrong with a rule: which member, what was expected. */
export class RuleProblem extends Error {
  override readonly name = 'RuleProblem'
  readonly member: string
  readonly got: unknown

  constructor(member: string, expected: string, got: unknown) {
    super(expected)
    this.member = member
    this.got = got
  }
}

const DEMANDS = ['min', 'max', 'allow', 'deny', 'pattern', 'maxLength', 'claim'] as const
const MEMBERS: readonly string[] = ['at', 'id', 'required', 'action', 'asserted', ...DEMANDS]

/** Throws a `RuleProblem`. */
export function readRule(given: unknown): ReadRule {
  if (!isRecord(given)) throw new RuleProblem('', "a rule, e.g. { at: '/amount', max: 100 }", given)
  const unknown = Object.keys(given).find(key => !MEMBERS.includes(key))
  if (unknown !== undefined) throw new RuleProblem('', `made of ${MEMBERS.join(', ')} only`, unknown)
  const { at, required = true, action = 'block' } = given
  const place = typeof at === 'string' ? readPlace(at) : undefined
  if (place === undefined) throw new RuleProblem('at', "a JSON Pointer, e.g. '/amount' or '/items/*/amount'", at)
  if (typeof required !== 'boolean') throw new RuleProblem('required', 'true or false', required)
  if (action !== 'block' && action !== 'escalate') throw new RuleProblem('action', "'block' or 'escalate'", action)
  const demand = readDemand(given)
  const { id = `${place.pointer} ${nameOf(demand)}` } = given
  if (typeof id !== 'string' || !/^[\x20-\x7e]{1,128}$/.test(id)) {
    throw new RuleProblem('id', '1 to 128 printable ASCII characters', id)
  }
  return Object.freeze({ id, place, demand, required, action, json: jsonCopy(given) })
}

function nameOf(demand: Demand): string {
  if (demand.kind !== 'range') return demand.kind
  return demand.min === undefined ? 'max' : demand.max === undefined ? 'min' : 'range'
}

function readDemand(given: Readonly<Record<string, unknown>>): Demand {
  const made = DEMANDS.filter(key => given[key] !== undefined)
  const first = made[0]
  const isRange = made.every(key => key === 'min' || key === 'max')
  if (made.length > 1 && !isRange) {
    throw new RuleProblem(
      '',
      `given one demand: min and max, or one of ${DEMANDS.slice(2).join(', ')}`,
      made.join(', '),
    )
  }
  const { asserted = false } = given
  if (typeof asserted !== 'boolean' || (asserted && first !== 'claim')) {
    throw new RuleProblem('asserted', 'true or false, and only beside claim', asserted)
  }
  if (first === undefined) {
    if (given['required'] !== false) return { kind: 'present' }
    throw new RuleProblem('', `given a demand, one of ${DEMANDS.join(', ')}: required: false demands nothing`, given)
  }
  switch (first) {
    case 'min':
    case 'max':
      return readRange(given)
    case 'allow':
    case 'deny':
      return { kind: first, values: readValues(first, given[first]) }
    case 'pattern':
      return { kind: 'pattern', pattern: readPattern(given['pattern']) }
    case 'maxLength': {
      const most = given['maxLength']
      if (typeof most !== 'number' || !Number.isSafeInteger(most) || most < 0) {
        throw new RuleProblem('maxLength', 'a whole number >= 0', most)
      }
      return { kind: 'maxLength', most }
    }
    case 'claim':
      return readClaim(given['claim'], asserted)
  }
}

function readRange(given: Readonly<Record<string, unknown>>): Demand {
  const bound = (member: 'min' | 'max'): Decimal | undefined => {
    const value = given[member]
    if (value === undefined) return undefined
    // Beyond 2^53 the number in the file is not the one that was written there.
    const isExact =
      typeof value === 'string' || (typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER)
    const read = isExact ? readDecimal(String(value)) : undefined
    if (read !== undefined) return read
    throw new RuleProblem(member, "a number up to 2^53, or a text such as '12345678901234567890.05'", value)
  }
  return { kind: 'range', min: bound('min'), max: bound('max') }
}

function readValues(member: 'allow' | 'deny', given: unknown): readonly Scalar[] {
  if (!Array.isArray(given) || given.length === 0)
    throw new RuleProblem(member, 'a list of values, at least one', given)
  return given.map((value: unknown, index) => {
    if (isScalar(value) && (typeof value !== 'number' || Number.isFinite(value))) return value
    throw new RuleProblem(`${member}[${index}]`, 'a text, a number, true, false or null', value)
  })
}

function readPattern(given: unknown): LinearPattern {
  if (typeof given !== 'string' || given === '') throw new RuleProblem('pattern', 'a regular expression as text', given)
  try {
    return linearPattern(given)
  } catch (error) {
    const why = error instanceof Error ? error.message : 'it cannot be used'
    throw new RuleProblem('pattern', `a usable regular expression (${why})`, given)
  }
}

function readClaim(given: unknown, asserted: boolean): Demand {
  if (typeof given !== 'string' || given === '') throw new RuleProblem('claim', 'the name of a claim', given)
  if (asserted && given !== 'owner' && given !== 'owner_id') {
    throw new RuleProblem(
      'asserted',
      "left out: only 'owner' and 'owner_id' are known of an owner nobody vouches for",
      true,
    )
  }
  return { kind: 'claim', claim: given, asserted }
}
