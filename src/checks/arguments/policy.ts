/**
 * The argument policy of one tool: its JSON Schema and its value rules.
 *
 * Guarantees: all of them are asked; a block outweighs an escalation, and of two alike the earlier stands (keys, schema, rules
 * in their order). Judging is synchronous, bounded by the arguments, and never throws. What is said names the rule and never
 * the value.
 */
import type { Owner } from '../../core/exchange.ts'
import { ALLOW, block, type Details, escalate, type Verdict, worse } from '../../core/verdict.ts'
import type { ToolCall } from '../../core/wire.ts'
import { type CheckOptions, printable } from '../options.ts'
import { isRecord } from './json-value.ts'
import { judgeRule } from './judge-rule.ts'
import { keyProblem, type NamedKeys, namedKeys } from './look-alike-keys.ts'
import { nameKeys } from './place.ts'
import { type ArgumentRule, type ReadRule, RuleProblem, readRule } from './rules.ts'
import { type ArgumentSchema, compileSchema } from './schema.ts'
import { SchemaProblem } from './schema-walk.ts'

export interface ArgumentOptions {
  /** JSON Schema 2020-12 of the arguments. Whether properties it does not name may be there is for it to say. */
  readonly schema?: Readonly<Record<string, unknown>>
  /** Value rules, all of which must hold. */
  readonly rules?: readonly ArgumentRule[]
}

export interface ArgumentPolicy {
  readonly schema: ArgumentSchema | undefined
  readonly rules: readonly ReadRule[]
  readonly named: NamedKeys
}

const MEMBERS = ['schema', 'rules']

/** Throws the check's own kind of error, naming tool and path. */
export function readArgumentPolicy(read: CheckOptions, at: string, given: unknown): ArgumentPolicy | undefined {
  if (given === undefined) return undefined
  if (!isRecord(given)) throw read.wrong(at, 'an object with schema, rules or both', given)
  const unknown = Object.keys(given).find(key => !MEMBERS.includes(key))
  if (unknown !== undefined) throw read.wrong(at, `made of ${MEMBERS.join(', ')} only`, unknown)
  const { schema, rules = [] } = given
  if (schema === undefined && given['rules'] === undefined)
    throw read.wrong(at, 'given schema, rules or both', undefined)
  if (!Array.isArray(rules)) throw read.wrong(`${at}.rules`, 'a list of rules', rules)
  const named = namedKeys()
  const compiled = schema === undefined ? undefined : readSchema(read, `${at}.schema`, schema, named)
  const list = rules.map((rule: unknown, index) => readOne(read, `${at}.rules[${index}]`, rule))
  const ids = new Set<string>()
  for (const { id, place } of list) {
    if (ids.has(id)) throw read.wrong(`${at}.rules`, 'rules with an id each', id)
    ids.add(id)
    nameKeys(place, named)
  }
  return { schema: compiled, rules: list, named }
}

/** Plain JSON, for the policy digest. */
export function describeArguments(policy: ArgumentPolicy): Readonly<Record<string, unknown>> {
  return {
    schema: policy.schema?.json ?? null,
    rules: policy.rules.map(rule => ({ ...(isRecord(rule.json) ? rule.json : {}), id: rule.id })),
  }
}

export function canEscalate(policy: ArgumentPolicy | undefined): boolean {
  return policy?.rules.some(rule => rule.action === 'escalate') === true
}

export interface Approvers {
  readonly requires_approval_from: readonly string[]
  readonly current_approver: string | null
}

/** `call.arguments` must be there: ambiguous ones are refused before. */
export function judgeArguments(policy: ArgumentPolicy, call: ToolCall, owner: Owner, approvers: Approvers): Verdict {
  const tool = printable(call.name)
  const problem = keyProblem(call.arguments, policy.named)
  if (problem !== undefined) {
    return block(
      'arguments_ambiguous',
      `the arguments of tool '${tool}' have keys that can be taken for others (${problem})`,
      {
        tool,
        problem,
        hint: 'spell each key exactly as declared, once',
      },
    )
  }
  const keyword = policy.schema?.broken(call.arguments)
  if (keyword !== undefined) {
    return block('arguments_schema', `the arguments of tool '${tool}' break its schema at ${printable(keyword, 160)}`, {
      tool,
      rule: 'schema',
      schema_path: printable(keyword, 160),
    })
  }
  let verdict: Verdict = ALLOW
  for (const rule of policy.rules) verdict = worse(verdict, judgeOne(rule, call, tool, owner, approvers))
  return verdict
}

function judgeOne(rule: ReadRule, call: ToolCall, tool: string, owner: Owner, approvers: Approvers): Verdict {
  const facts: Details = { tool, rule: rule.id, pointer: rule.place.pointer }
  const said = judgeRule(rule, call.arguments, owner)
  switch (said.kind) {
    case 'kept':
      return ALLOW
    case 'unjudged': {
      const code = said.problem === 'claim_missing' ? 'claim_missing' : 'arguments_rule'
      return block(code, `an argument of tool '${tool}' cannot be judged by the rule '${rule.id}' (${said.problem})`, {
        ...facts,
        problem: said.problem,
      })
    }
    case 'broken':
      if (rule.action === 'block') {
        return block('arguments_rule', `an argument of tool '${tool}' breaks the rule '${rule.id}' (${said.problem})`, {
          ...facts,
          problem: said.problem,
        })
      }
      return escalate(
        'arguments_rule',
        `an argument of tool '${tool}' is beyond the rule '${rule.id}' (${said.problem}) and needs a human's approval`,
        { ...facts, problem: said.problem, ...approvers },
      )
  }
}

function readSchema(read: CheckOptions, at: string, given: unknown, named: NamedKeys): ArgumentSchema {
  try {
    return compileSchema(given, named)
  } catch (error) {
    if (!(error instanceof SchemaProblem)) throw error
    throw read.wrong(
      `${at}${error.path === '' ? '' : ` at ${error.path}`}`,
      `a usable JSON Schema (${error.message})`,
      given,
    )
  }
}

function readOne(read: CheckOptions, at: string, given: unknown): ReadRule {
  try {
    return readRule(given)
  } catch (error) {
    if (!(error instanceof RuleProblem)) throw error
    throw read.wrong(error.member === '' ? at : `${at}.${error.member}`, error.message, error.got)
  }
}
