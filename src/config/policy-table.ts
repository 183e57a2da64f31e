/** A table of policy tests: calls, and what the pipeline is expected to say of each. Read strictly: a misspelt expectation tests nothing. */
import type { OwnerClaims } from '../core/exchange.ts'
import { parsePrincipal } from '../core/owner.ts'
import { ConfigError, shown } from './problem.ts'

/** How a call is written: its arguments as a value, as the very text a model wrote, or the text for a free-form tool. */
export type WrittenCall = { readonly tool: string } & (
  | { readonly arguments?: Readonly<Record<string, unknown>> }
  | { readonly argumentsText: string }
  | { readonly input: string }
)

export type PolicyCase = WrittenCall & {
  /** Default: the tool. */
  readonly name?: string
  /** A principal, or `unresolved`. Default `human:tester`. */
  readonly owner?: string
  /** What the owner's credential says: the names that rules use. */
  readonly claims?: OwnerClaims
  /** False: nobody vouches for the owner, as with `identity: 'asserted'`. Default true. */
  readonly verified?: boolean
  readonly approvalChain?: readonly string[]
  readonly session?: string
  /** Calls that the conversation in the request already holds. */
  readonly past?: readonly WrittenCall[]
  /** The call is proposed so often, one exchange each; the last one is expected. Default 1. */
  readonly times?: number
  /** Between two of them. Default 0. */
  readonly everySeconds?: number
  readonly expect: 'allow' | 'block' | 'escalate'
  readonly code?: string
  readonly check?: string
  /** The rule's id; `schema` for the schema; `rate`, `duplicates`, `loop` or `repeats` of call_limits. */
  readonly rule?: string
}

export interface PolicyTable {
  readonly cases: readonly PolicyCase[]
}

const MEMBERS = `name tool arguments argumentsText input owner claims verified approvalChain session past times
  everySeconds expect code check rule`.split(/\s+/)
const CALL_MEMBERS = ['tool', 'arguments', 'argumentsText', 'input']
const MOST_TIMES = 10_000

/** Throws a `ConfigError` with every problem. */
export function readPolicyTable(given: unknown): PolicyTable {
  const list: unknown = isRecord(given) ? given['cases'] : given
  if (!Array.isArray(list) || list.length === 0) {
    throw new ConfigError([`policy table: expected { "cases": [ ... ] } with at least one case, got ${shown(given)}`])
  }
  const problems: string[] = []
  const cases: PolicyCase[] = []
  for (const [index, entry] of list.entries()) {
    const problem = caseProblem(entry)
    if (problem !== undefined) problems.push(`cases[${index}]: ${problem}`)
    else if (isCase(entry)) cases.push(entry)
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return { cases }
}

function isCase(entry: unknown): entry is PolicyCase {
  return caseProblem(entry) === undefined
}

function caseProblem(entry: unknown): string | undefined {
  if (!isRecord(entry)) return `expected an object, got ${shown(entry)}`
  const unknown = Object.keys(entry).find(key => !MEMBERS.includes(key))
  if (unknown !== undefined) return `unknown member ${shown(unknown)}; expected ${MEMBERS.join(', ')}`
  const { owner, claims, verified, approvalChain, past, times, everySeconds, expect } = entry
  for (const key of ['name', 'session', 'code', 'check', 'rule']) {
    if (entry[key] !== undefined && typeof entry[key] !== 'string')
      return `${key}: expected text, got ${shown(entry[key])}`
  }
  const call = callProblem(entry)
  if (call !== undefined) return call
  if (expect !== 'allow' && expect !== 'block' && expect !== 'escalate') {
    return `expect: expected 'allow', 'block' or 'escalate', got ${shown(expect)}`
  }
  if (expect === 'allow' && (entry['code'] ?? entry['check'] ?? entry['rule']) !== undefined) {
    return 'expect: an allowed call has no code, check or rule'
  }
  if (owner !== undefined && owner !== 'unresolved') {
    const parsed = typeof owner === 'string' ? parsePrincipal(owner) : undefined
    if (parsed?.ok !== true)
      return `owner: expected a principal such as 'agent:bot', or 'unresolved', got ${shown(owner)}`
  }
  if (verified !== undefined && typeof verified !== 'boolean')
    return `verified: expected true or false, got ${shown(verified)}`
  if (claims !== undefined && (!isRecord(claims) || !Object.values(claims).every(isClaim) || verified === false)) {
    return 'claims: expected an object of texts, numbers or lists of them, of a verified owner'
  }
  if (approvalChain !== undefined && !isTexts(approvalChain)) return 'approvalChain: expected a list of principals'
  if (past !== undefined) {
    if (!Array.isArray(past)) return `past: expected a list of calls, got ${shown(past)}`
    for (const [index, one] of past.entries()) {
      const problem = isRecord(one) ? callProblem(one, CALL_MEMBERS) : `expected a call, got ${shown(one)}`
      if (problem !== undefined) return `past[${index}]: ${problem}`
    }
  }
  if (times !== undefined && !isWhole(times, 1)) return `times: expected a whole number from 1, got ${shown(times)}`
  if (everySeconds !== undefined && !isWhole(everySeconds, 0)) {
    return `everySeconds: expected a whole number from 0, got ${shown(everySeconds)}`
  }
  return undefined
}

function callProblem(call: Readonly<Record<string, unknown>>, members?: readonly string[]): string | undefined {
  const unknown = members === undefined ? undefined : Object.keys(call).find(key => !members.includes(key))
  if (unknown !== undefined) return `unknown member ${shown(unknown)}`
  const { tool, arguments: value, argumentsText, input } = call
  if (typeof tool !== 'string' || tool === '') return `tool: expected the name of a tool, got ${shown(tool)}`
  if (tool.startsWith('upstream:'))
    return 'tool: tools that upstream runs are judged when a request declares them, not as calls'
  if ([value, argumentsText, input].filter(each => each !== undefined).length > 1) {
    return 'give one of arguments, argumentsText and input'
  }
  if (value !== undefined && !isRecord(value))
    return `arguments: expected an object, got ${shown(value)}; anything else goes into argumentsText`
  for (const [key, text] of Object.entries({ argumentsText, input })) {
    if (text !== undefined && typeof text !== 'string') return `${key}: expected text, got ${shown(text)}`
  }
  return undefined
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isClaim(value: unknown): boolean {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  return list.length > 0 && list.every(each => typeof each === 'string' || Number.isSafeInteger(each))
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(each => typeof each === 'string')
}

function isWhole(value: unknown, least: number): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= MOST_TIMES
}
