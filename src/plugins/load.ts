/**
 * From a plugin's export to a check the pipeline can hold: every property is read once, in one place, and copied. An
 * object whose getters answer differently each time, or throw, can then neither change its name later nor stop the gate.
 */
import { types } from 'node:util'
import type { ApproverAuths, Assurances, Audiences, Check } from '../core/check.ts'
import { ASSURANCES, type Assurance } from '../core/row.ts'
import type { SharedState } from '../core/state.ts'
import type { PatternSet } from '../text/scan.ts'
import { describeThrown, plainText } from './plain-text.ts'

export type PluginUnavailableCode = 'not_found' | 'malformed' | 'incompatible_abi' | 'duplicate_name' | 'load_error'

export class PluginUnavailable extends Error {
  override readonly name = 'PluginUnavailable'
  readonly code: PluginUnavailableCode

  constructor(code: PluginUnavailableCode, message: string) {
    super(message)
    this.code = code
  }
}

export interface LoadedPlugin {
  readonly name: string
  /** Constructs the check with the operator's options. Throws `PluginUnavailable` when the constructor does. */
  make(options?: unknown): Check
}

/** Imports the module and finds the class. Runs the plugin's code. */
export async function readExport(name: string, href: string, exported: string, limitMs: number): Promise<LoadedPlugin> {
  const unavailable = (why: string) => new PluginUnavailable('load_error', `${name}: ${why}`)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unavailable(`its code did not finish loading within ${limitMs} ms`)), limitMs)
  })
  let made: unknown
  try {
    // A module may export `then` and so stand in for the import's own promise, or await something for ever.
    const module: unknown = await Promise.race([import(href), late])
    made =
      typeof module === 'object' && module !== null
        ? Object.getOwnPropertyDescriptor(module, exported)?.value
        : undefined
  } catch (error) {
    throw isOurs(error) ? error : unavailable(`loading it failed: ${describeThrown(error)}`)
  } finally {
    clearTimeout(timer)
  }
  if (typeof made !== 'function') throw unavailable(`expected its export ${exported} to be a class`)
  const Class = made
  return {
    name,
    make: options => {
      try {
        return adoptCheck(Reflect.construct(Class, [options]), name)
      } catch (error) {
        throw error instanceof PluginUnavailable
          ? error
          : unavailable(`constructing it failed: ${describeThrown(error)}`)
      }
    },
  }
}

/** `instanceof` would run a thrown Proxy's trap. */
function isOurs(error: unknown): error is PluginUnavailable {
  return !types.isProxy(error) && error instanceof PluginUnavailable
}

const HOOKS = ['admit', 'inspect', 'commit', 'record'] as const

/**
 * The check as plain, frozen data and bound hooks. `name` must be the one it was declared under: the pipeline, the row
 * and the operator all know it by that.
 */
export function adoptCheck(plugin: unknown, declaredName: string): Check {
  const fault = (why: string) => new PluginUnavailable('load_error', `${declaredName}: ${why}`)
  if (typeof plugin !== 'object' || plugin === null) throw fault('expected the class to make an object')
  const read = (property: string): unknown => {
    try {
      return Reflect.get(plugin, property)
    } catch (error) {
      throw fault(`reading \`${property}\` failed: ${describeThrown(error)}`)
    }
  }
  const name = read('name')
  if (name !== declaredName)
    throw fault(`the check calls itself ${plainText(name, 256)}; package.json declares it otherwise`)
  const priority = read('priority')
  if (typeof priority !== 'number' || !Number.isFinite(priority))
    throw fault('expected `priority` to be a finite number')
  const timeLimitMs = read('timeLimitMs')
  if (typeof timeLimitMs !== 'number' || !(timeLimitMs > 0 && timeLimitMs <= 600_000))
    throw fault('expected `timeLimitMs` to be above 0 and at most 600000')
  const shadow = read('shadow')
  if (shadow !== undefined && typeof shadow !== 'boolean') throw fault('expected `shadow` to be true, false or absent')
  const canEscalate = read('canEscalate')
  if (canEscalate !== undefined && typeof canEscalate !== 'boolean')
    throw fault('expected `canEscalate` to be true, false or absent')
  const snapshots = read('snapshots')
  if (snapshots !== undefined && snapshots !== 'all' && snapshots !== 'hits' && snapshots !== 'none')
    throw fault("expected `snapshots` to be 'all', 'hits', 'none' or absent")
  const patterns = read('patterns')
  if (patterns !== undefined && !isPatternSet(patterns)) throw fault('expected `patterns` to be a pattern set')
  const describe = read('describe')
  if (typeof describe !== 'function') throw fault('expected a method `describe`')
  const bound = (name: string): ((...args: readonly unknown[]) => unknown) | undefined => {
    const method = read(name)
    if (method === undefined) return undefined
    if (typeof method !== 'function') throw fault(`expected \`${name}\` to be a method`)
    return (...args) => Reflect.apply(method, plugin, args)
  }
  const hooks: Record<string, unknown> = {}
  for (const hook of HOOKS) {
    const method = bound(hook)
    if (method !== undefined) hooks[hook] = method
  }
  const shareState = bound('shareState')
  const assurance = read('assurance')
  if (assurance !== undefined && !isAssurances(assurance))
    throw fault(`expected \`assurance\` to have \`of(tool)\` and \`highest\`, one of ${ASSURANCES.join(', ')}`)
  const audience = read('audience')
  if (audience !== undefined && !isAudiences(audience)) throw fault('expected `audience` to have `any` and `of(tool)`')
  const approverAuth = read('approverAuth')
  if (approverAuth !== undefined && !isApproverAuths(approverAuth))
    throw fault('expected `approverAuth` to have `any` and `of(tool)`')
  if (Object.keys(hooks).length === 0) throw fault(`expected at least one of the methods ${HOOKS.join(', ')}`)
  return Object.freeze({
    ...hooks,
    name: declaredName,
    priority,
    timeLimitMs,
    ...(shadow === undefined ? {} : { shadow }),
    ...(canEscalate === undefined ? {} : { canEscalate }),
    ...(snapshots === undefined ? {} : { snapshots }),
    ...(patterns === undefined ? {} : { patterns }),
    ...(shareState === undefined ? {} : { shareState: (shared: SharedState) => void shareState(shared) }),
    ...(assurance === undefined ? {} : { assurance: adoptAssurances(assurance) }),
    ...(audience === undefined
      ? {}
      : { audience: { any: audience.any, of: (tool: string) => named(audience.of(tool)) } }),
    ...(approverAuth === undefined ? {} : { approverAuth: adoptApproverAuths(approverAuth) }),
    describe: () => plainDescription(Reflect.apply(describe, plugin, []), declaredName),
  })
}

/** The policy digest is over this: it must be JSON and nothing that changes as it is read. */
function plainDescription(value: unknown, name: string): Readonly<Record<string, unknown>> {
  const text = JSON.stringify(value)
  const copy: unknown = text === undefined || text.length > 65_536 ? undefined : JSON.parse(text)
  if (typeof copy !== 'object' || copy === null || Array.isArray(copy))
    throw new TypeError(`${name}: expected describe() to give a JSON object of at most 65536 characters`)
  return { ...copy, name }
}

function isAssurances(value: unknown): value is Assurances {
  return (
    typeof value === 'object' &&
    value !== null &&
    isAssurance(Reflect.get(value, 'highest')) &&
    typeof Reflect.get(value, 'of') === 'function'
  )
}

function isAssurance(value: unknown): value is Assurance {
  return ASSURANCES.some(level => level === value)
}

/** What start was told holds: a level that is none, or above `highest`, throws, and the call does not leave. */
function adoptAssurances(of: Assurances): Assurances {
  const { highest } = of
  return {
    highest,
    of: tool => {
      const level: unknown = of.of(tool)
      if (isAssurance(level) && ASSURANCES.indexOf(level) <= ASSURANCES.indexOf(highest)) return level
      throw new TypeError(`expected the assurance of a tool to be one of ${ASSURANCES.join(', ')}, at most ${highest}`)
    },
  }
}

function isAudiences(value: unknown): value is Audiences {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof Reflect.get(value, 'any') === 'boolean' &&
    typeof Reflect.get(value, 'of') === 'function'
  )
}

function isApproverAuths(value: unknown): value is ApproverAuths {
  return isAudiences(value)
}

/** What start was not told of, or what is no demand, throws, and the call does not leave. */
function adoptApproverAuths(auths: ApproverAuths): ApproverAuths {
  const { any } = auths
  return {
    any,
    of: tool => {
      const demand: unknown = auths.of(tool)
      if (demand === undefined || (demand === 'passkey' && any)) return demand
      throw new TypeError("expected the approverAuth of a tool to be 'passkey' or undefined, and `any` to announce it")
    },
  }
}

/** What is no name must not become a capability for anybody: it throws, and the call does not leave. */
function named(audience: unknown): string | undefined {
  if (audience === undefined || (typeof audience === 'string' && audience !== '')) return audience
  throw new TypeError('expected the audience of a tool to be a non-empty string or undefined')
}

function isPatternSet(value: unknown): value is PatternSet {
  return typeof value === 'object' && value !== null
}
