/** The definition of a pipeline: what `pipeline.ts` exports. Validated where it is made, so that the mistake is shown at its line. */
import type { Check } from '../core/check.ts'
import { ConfigError, oneLine, shown } from './problem.ts'
import { fromPipeline, type SettingsInput } from './settings.ts'

/** `Symbol.for`: a pipeline made with another copy of the package is still recognised. */
const TAG = Symbol.for('signet.pipeline')

export type PipelineDefinition = { readonly checks: readonly Check[] } & SettingsInput

export interface PipelineConfig {
  readonly [TAG]: true
  readonly checks: readonly Check[]
  readonly settings: SettingsInput
}

/** `export default definePipeline({ checks: [ ... ], ...settings })` */
export function definePipeline(definition: PipelineDefinition): PipelineConfig {
  if (typeof definition !== 'object' || definition === null || Array.isArray(definition)) {
    throw new ConfigError([`definePipeline: expected an object with "checks", got ${shown(definition)}`])
  }
  const { checks, ...settings } = definition
  const problems = [...checkProblems(checks), ...fromPipeline(settings, '').problems]
  if (problems.length > 0) throw new ConfigError(problems)
  return Object.freeze({ [TAG]: true as const, checks: Object.freeze([...checks]), settings: Object.freeze(settings) })
}

export function isPipelineConfig(value: unknown): value is PipelineConfig {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, TAG) && Object.isFrozen(value)
}

const HOOKS = ['admit', 'inspect', 'commit', 'record'] as const

function checkProblems(checks: unknown): readonly string[] {
  if (!Array.isArray(checks)) return [`checks: expected a list of checks, got ${shown(checks)}`]
  if (checks.length === 0)
    return ['checks: the list is empty, and a gate without checks gates nothing; name at least one']
  const problems: string[] = []
  const seen = new Set<string>()
  for (const [index, check] of checks.entries()) {
    let problem: string | undefined
    try {
      problem = checkProblem(check)
      if (problem === undefined) {
        const name = String((check as Check).name)
        if (seen.has(name)) problem = `the name "${name}" is taken by an earlier check; give one of them another name`
        seen.add(name)
      }
    } catch (error) {
      problem = `reading it throws: ${oneLine(error)}`
    }
    if (problem !== undefined) problems.push(`checks[${index}]: ${problem}`)
  }
  return problems
}

function checkProblem(value: unknown): string | undefined {
  if (typeof value === 'function')
    return `expected a check, got the class or function ${shown(value.name)}; write "new" in front and "()" behind`
  if (typeof value !== 'object' || value === null) return `expected a check, got ${shown(value)}`
  const check = value as Readonly<Record<string, unknown>>
  const { name, priority, timeLimitMs, shadow } = check
  if (typeof name !== 'string' || !/^[a-z][a-z0-9_]{0,63}$/.test(name)) {
    return `expected a name of lower-case letters, digits and "_", got ${shown(name)}`
  }
  if (typeof priority !== 'number' || !Number.isFinite(priority))
    return `"${name}": expected a finite number as priority, got ${shown(priority)}`
  if (typeof timeLimitMs !== 'number' || !(timeLimitMs > 0 && timeLimitMs <= 2_147_483_647)) {
    return `"${name}": expected timeLimitMs from 1 to 2147483647, got ${shown(timeLimitMs)}`
  }
  if (shadow !== undefined && typeof shadow !== 'boolean')
    return `"${name}": expected shadow to be true or false, got ${shown(shadow)}`
  for (const hook of HOOKS) {
    if (check[hook] !== undefined && typeof check[hook] !== 'function')
      return `"${name}": expected ${hook} to be a function, got ${shown(check[hook])}`
  }
  if (check['shareState'] !== undefined && typeof check['shareState'] !== 'function')
    return `"${name}": expected shareState to be a function, got ${shown(check['shareState'])}`
  const { audience } = check
  if (
    audience !== undefined &&
    (typeof audience !== 'object' || audience === null || !('of' in audience && 'any' in audience))
  )
    return `"${name}": expected audience to have \`any\` and \`of(tool)\`, got ${shown(audience)}`
  const { approverAuth } = check
  if (
    approverAuth !== undefined &&
    (typeof approverAuth !== 'object' || approverAuth === null || !('of' in approverAuth && 'any' in approverAuth))
  )
    return `"${name}": expected approverAuth to have \`any\` and \`of(tool)\`, got ${shown(approverAuth)}`
  if (HOOKS.every(hook => check[hook] === undefined))
    return `"${name}": has no hook; give it at least one of admit, inspect, commit and record`
  return descriptionProblem(name, check['describe'], value)
}

/** The policy digest, lint and replay read the description, so it must be plain JSON. */
function descriptionProblem(name: string, describe: unknown, check: object): string | undefined {
  if (typeof describe !== 'function') return `"${name}": expected a describe() function, got ${shown(describe)}`
  let text: string | undefined
  try {
    text = JSON.stringify(Reflect.apply(describe, check, []))
  } catch (error) {
    return `"${name}": describe() throws or is no JSON: ${oneLine(error)}`
  }
  return text?.startsWith('{') === true ? undefined : `"${name}": expected describe() to return a plain object`
}
