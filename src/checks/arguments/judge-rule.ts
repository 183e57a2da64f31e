/**
 * Whether the arguments keep to a rule. A value that cannot be judged (the wrong kind, barred on the way, no claim to compare
 * with) breaks the rule for good: only a value that was judged and found outside can be put before a human.
 */
import { compareDecimals, type Decimal, readDecimal } from '../../core/decimal.ts'
import type { Owner } from '../../core/exchange.ts'
import { ownerString } from '../../core/owner.ts'
import { fold } from '../../text/fold.ts'
import { isScalar, type Scalar } from './json-value.ts'
import { valuesAt } from './place.ts'
import type { Demand, ReadRule } from './rules.ts'

export type Judgement =
  | { readonly kind: 'kept' }
  /** Judged, and outside of what the rule allows. */
  | { readonly kind: 'broken'; readonly problem: Exclude<Demand['kind'], 'range' | 'present'> | 'min' | 'max' }
  | { readonly kind: 'unjudged'; readonly problem: Problem }

export type Problem = 'missing' | 'wrong_place' | 'not_a_number' | 'not_a_text' | 'not_a_plain_value' | 'claim_missing'

type Test = (value: unknown) => Judgement

export function judgeRule(rule: ReadRule, value: unknown, owner: Owner): Judgement {
  const test = testOf(rule.demand, owner)
  const found = valuesAt(rule.place, value)
  if (found.length === 0 && rule.required) return unjudged('missing')
  let worst: Judgement = KEPT
  for (const each of found) {
    let said: Judgement
    if (each.kind === 'astray') said = unjudged('wrong_place')
    else if (each.kind === 'missing' || (each.value === null && !allowsNull(rule.demand))) {
      said = rule.required ? unjudged('missing') : KEPT
    } else said = test(each.value)
    if (said.kind === 'unjudged') return said
    if (said.kind === 'broken') worst = said
  }
  return worst
}

const KEPT: Judgement = Object.freeze({ kind: 'kept' })

function unjudged(problem: Problem): Judgement {
  return { kind: 'unjudged', problem }
}

type Breach = Extract<Judgement, { kind: 'broken' }>['problem']

function kept(yes: boolean, problem: Breach): Judgement {
  return yes ? KEPT : { kind: 'broken', problem }
}

/** Models write `null` for what they leave out; only a list that names it makes it a value. */
function allowsNull(demand: Demand): boolean {
  return (demand.kind === 'allow' || demand.kind === 'deny') && demand.values.includes(null)
}

function testOf(demand: Demand, owner: Owner): Test {
  switch (demand.kind) {
    case 'range':
      return value => inRange(demand, value)
    case 'allow': {
      const allowed = new Set(demand.values.map(exactKey))
      return value => (isScalar(value) ? kept(allowed.has(exactKey(value)), 'allow') : unjudged('not_a_plain_value'))
    }
    case 'deny': {
      const denied = new Set(demand.values.map(looseKey))
      return value => (isScalar(value) ? kept(!denied.has(looseKey(value)), 'deny') : unjudged('not_a_plain_value'))
    }
    case 'pattern':
      return value =>
        typeof value === 'string' ? kept(demand.pattern.matches(value), 'pattern') : unjudged('not_a_text')
    case 'maxLength':
      return value =>
        typeof value === 'string' ? kept(noLongerThan(value, demand.most), 'maxLength') : unjudged('not_a_text')
    case 'present':
      return () => KEPT
    case 'claim': {
      const claimed = claimOf(owner, demand.claim, demand.asserted)
      if (claimed === undefined) return () => unjudged('claim_missing')
      const same = new Set(claimed.map(String))
      return value => {
        if (typeof value !== 'string' && typeof value !== 'number') return unjudged('not_a_plain_value')
        return kept(same.has(String(value)), 'claim')
      }
    }
  }
}

/** A number, or a text that is one as JSON writes it: amounts are often texts, because doubles cannot hold them. */
function inRange({ min, max }: Extract<Demand, { kind: 'range' }>, value: unknown): Judgement {
  const number = decimalOf(value)
  if (number === undefined) return unjudged('not_a_number')
  if (min !== undefined && compareDecimals(number, min) < 0) return kept(false, 'min')
  return kept(max === undefined || compareDecimals(number, max) <= 0, 'max')
}

function decimalOf(value: unknown): Decimal | undefined {
  return typeof value === 'string' || typeof value === 'number' ? readDecimal(String(value)) : undefined
}

/** Types apart, numbers by value. */
function exactKey(value: Scalar): string {
  return `${typeof value}:${String(value)}`
}

/**
 * What a reader, or a lenient tool, would take for the same: letters and digits by their fold; case, control characters and
 * blanks at the ends aside; numbers by their value, `42`, `"42.0"`, `" +042"`.
 */
function looseKey(value: Scalar): string {
  const text = fold(String(value))
    .lower.replace(/\p{Cc}+/gu, '')
    .trim()
  const number = readDecimal(text.replace(/^\+/, '').replace(/^(-?)0+(?=[0-9])/, '$1'))
  if (number !== undefined) return `number ${number.negative ? '-' : ''}${number.digits}e${number.point}`
  return `text ${text}`
}

/** Counted only as far as needed. */
function noLongerThan(text: string, most: number): boolean {
  if (text.length <= most) return true
  if (text.length > most * 2) return false
  let count = 0
  for (const _ of text) count += 1
  return count <= most
}

/** What is known of the owner; `undefined`: nothing, or nothing that anybody vouches for. */
function claimOf(owner: Owner, name: string, asserted: boolean): readonly (string | number)[] | undefined {
  if (owner.type === 'unresolved') return undefined
  const { claims } = owner
  if (claims === undefined && !asserted) return undefined
  if (name === 'owner') return [ownerString(owner)]
  if (name === 'owner_id') return [owner.id]
  const value = claims !== undefined && Object.hasOwn(claims, name) ? claims[name] : undefined
  if (value === undefined) return undefined
  return typeof value === 'object' ? value : [value]
}
