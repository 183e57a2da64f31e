/**
 * Rules on the arguments of a tool: bounds, lists and patterns at JSON Pointers.
 *
 * Guaranteed: numbers are compared exactly, as the model wrote them: arguments that hold one which no double holds as written
 * are ambiguous before any rule is asked, and amounts may be strings. A value that a rule cannot read breaks the rule, and so
 * does a key beside the one it names that differs only in case or in look-alike letters. Reasons never hold the value.
 * Not guaranteed: anything about arguments that no rule names.
 */
import { compareDecimals, type Decimal, readDecimal } from '../core/decimal.ts'
import { fold as foldText } from '../text/fold.ts'
import { assertLinearEnough } from '../text/linear.ts'
import type { CheckOptions } from './options.ts'

export type Scalar = string | number | boolean | null

export interface ArgumentRule {
  /** JSON Pointer (RFC 6901) into the arguments; the step `*` is every member of a list. */
  readonly path: string
  /** Bounds, inclusive. A string is a decimal number too, for bounds that a double cannot hold. */
  readonly max?: number | string
  readonly min?: number | string
  readonly oneOf?: readonly Scalar[]
  /** Strings are compared folded: case and look-alike letters are no way round. */
  readonly noneOf?: readonly Scalar[]
  /** The whole string must match. */
  readonly pattern?: string
  /** In UTF-16 units. */
  readonly maxLength?: number
  /** Default true: an absent value breaks the rule. */
  readonly required?: boolean
  /** Default `block`. */
  readonly action?: 'block' | 'escalate'
  /** What rows and answers call the rule. Default: its pointer. */
  readonly name?: string
}

export type Broken = 'missing' | 'type' | 'look_alike' | 'max' | 'min' | 'oneOf' | 'noneOf' | 'pattern' | 'maxLength'

export interface ReadRule {
  readonly name: string
  readonly action: 'block' | 'escalate'
  /** The rule as given, for the policy digest. */
  readonly given: Readonly<Record<string, unknown>>
  /** `undefined`: the arguments keep the rule. */
  broken(args: unknown): Broken | undefined
}

const FIELDS = ['path', 'max', 'min', 'oneOf', 'noneOf', 'pattern', 'maxLength', 'required', 'action', 'name']
/** JavaScript's matcher cannot be interrupted: a longer string matches no pattern. */
const LONGEST_MATCHED = 4_096

export function readRules(read: CheckOptions, at: string, given: unknown): readonly ReadRule[] {
  if (given === undefined) return []
  if (!Array.isArray(given)) throw read.wrong(at, "a list of rules, e.g. [{ path: '/amount', max: 100 }]", given)
  return given.map((rule: unknown, i) => readRule(read, `${at}[${i}]`, rule))
}

function readRule(read: CheckOptions, at: string, given: unknown): ReadRule {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    throw read.wrong(at, "a rule, e.g. { path: '/amount', max: 100 }", given)
  }
  const rule: Readonly<Record<string, unknown>> = { ...given }
  for (const field of Object.keys(rule)) {
    if (!FIELDS.includes(field)) throw read.wrong(at, `made of ${FIELDS.join(', ')} only`, field)
  }
  const { path, pattern, maxLength, required = true, action = 'block', name = path } = rule
  if (typeof path !== 'string' || !/^(?:\/(?:[^~/]|~[01])*)+$/.test(path)) {
    throw read.wrong(`${at}.path`, "a JSON Pointer (RFC 6901), e.g. '/amount' or '/items/*/price'", path)
  }
  if (typeof name !== 'string' || name === '') throw read.wrong(`${at}.name`, 'a non-empty string', name)
  if (typeof required !== 'boolean') throw read.wrong(`${at}.required`, 'true or false', required)
  if (action !== 'block' && action !== 'escalate') throw read.wrong(`${at}.action`, "'block' or 'escalate'", action)
  if (maxLength !== undefined && (typeof maxLength !== 'number' || !Number.isSafeInteger(maxLength) || maxLength < 0)) {
    throw read.wrong(`${at}.maxLength`, 'a whole number >= 0', maxLength)
  }
  const whole = readPattern(read, `${at}.pattern`, pattern)
  const max = bound(read, `${at}.max`, rule['max'])
  const min = bound(read, `${at}.min`, rule['min'])
  const oneOf = scalars(read, `${at}.oneOf`, rule['oneOf'])
  const noneOf = scalars(read, `${at}.noneOf`, rule['noneOf'])
  const one = (value: unknown): Broken | undefined => {
    if (max !== undefined || min !== undefined) {
      const number = decimalOf(value)
      if (number === undefined) return 'type'
      if (max !== undefined && compareDecimals(number, max) > 0) return 'max'
      if (min !== undefined && compareDecimals(number, min) < 0) return 'min'
    }
    const isScalar = typeof value !== 'object' || value === null
    if (!isScalar && (oneOf ?? noneOf ?? whole ?? maxLength) !== undefined) return 'type'
    if (oneOf !== undefined && !oneOf.some(allowed => same(allowed, value))) return 'oneOf'
    if (noneOf?.some(refused => alike(refused, value))) return 'noneOf'
    if (whole === undefined && maxLength === undefined) return undefined
    if (typeof value !== 'string') return 'type'
    if (maxLength !== undefined && value.length > maxLength) return 'maxLength'
    if (whole !== undefined && (value.length > LONGEST_MATCHED || !whole.test(value))) return 'pattern'
    return undefined
  }
  // Fields that are there and undefined are not part of the policy; the list given stays its owner's to change.
  const plain: Readonly<Record<string, unknown>> = JSON.parse(JSON.stringify(rule))
  const steps = path
    .slice(1)
    .split('/')
    .map(step => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  return { name, action, given: plain, broken: args => walk(args, steps, 0, required, one) }
}

function walk(
  value: unknown,
  steps: readonly string[],
  at: number,
  required: boolean,
  one: (value: unknown) => Broken | undefined,
): Broken | undefined {
  const step = steps[at]
  if (step === undefined) return one(value)
  if (step === '*') {
    if (!Array.isArray(value)) return 'type'
    for (const member of value) {
      const broken = walk(member, steps, at + 1, required, one)
      if (broken !== undefined) return broken
    }
    return undefined
  }
  if (Array.isArray(value)) {
    if (!/^(?:0|[1-9][0-9]{0,8})$/.test(step)) return 'type'
    const index = Number(step)
    if (index >= value.length) return required ? 'missing' : undefined
    return walk(value[index], steps, at + 1, required, one)
  }
  if (!isObject(value)) return 'type'
  const folded = fold(step)
  let found: { readonly value: unknown } | undefined
  for (const [key, member] of Object.entries(value)) {
    if (key === step) found = { value: member }
    else if (fold(key) === folded) return 'look_alike'
  }
  if (found === undefined) return required ? 'missing' : undefined
  return walk(found.value, steps, at + 1, required, one)
}

function readPattern(read: CheckOptions, at: string, source: unknown): RegExp | undefined {
  if (source === undefined) return undefined
  if (typeof source !== 'string') throw read.wrong(at, 'a regular expression as a string', source)
  try {
    assertLinearEnough(source, 'u')
    return new RegExp(`^(?:${source})$`, 'u')
  } catch (error) {
    const why = error instanceof Error ? error.message : 'it cannot be read'
    throw read.wrong(at, `a regular expression that cannot backtrack without bound (${why})`, source)
  }
}

function bound(read: CheckOptions, at: string, value: unknown): Decimal | undefined {
  if (value === undefined) return undefined
  const number = decimalOf(value)
  if (number === undefined) throw read.wrong(at, "a number, or one as a string, e.g. 100 or '0.10'", value)
  return number
}

function scalars(read: CheckOptions, at: string, list: unknown): readonly Scalar[] | undefined {
  if (list === undefined) return undefined
  if (!Array.isArray(list) || list.length === 0) throw read.wrong(at, 'a list of one value or more', list)
  return list.map((value: unknown, i) => {
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
    if (typeof value === 'number' && Number.isFinite(value)) return value
    throw read.wrong(`${at}[${i}]`, 'a string, a number, true, false or null', value)
  })
}

function decimalOf(value: unknown): Decimal | undefined {
  return typeof value === 'number' || typeof value === 'string' ? readDecimal(String(value)) : undefined
}

function same(known: Scalar, value: unknown): boolean {
  return known === value
}

/** For refusals, stricter than `same`: `"5"` is 5 here. */
function alike(refused: Scalar, value: unknown): boolean {
  if (refused === null || typeof refused === 'boolean') return refused === value
  if (equal(refused, value)) return true
  return typeof refused === 'string' && typeof value === 'string' && fold(refused) === fold(value)
}

function equal(known: string | number, value: unknown): boolean {
  const a = readDecimal(String(known))
  const b = decimalOf(value)
  return a !== undefined && b !== undefined && compareDecimals(a, b) === 0
}

function fold(text: string): string {
  return foldText(text).lower
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
