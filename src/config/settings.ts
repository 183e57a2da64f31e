/**
 * From flags, variables and `pipeline.ts` to settings whose values are each valid by themselves. Precedence: flags, then
 * environment, then `.env`, then `pipeline.ts`, then the default. Nothing here reads a file or the environment.
 */
import { ConfigError, nearest, shown } from './problem.ts'
import { asBoolean, type Reading, trimBlanks } from './reading.ts'
import {
  DEFAULTS,
  environmentName,
  isSettingName,
  SETTING_NAMES,
  type SettingName,
  type Settings,
  SHAPE,
  SPECS,
  type Values,
  variableName,
} from './setting-table.ts'

import { TRUST_VARIABLE } from './trusted-file.ts'

export {
  DEFAULTS,
  environmentName,
  flagName,
  isSecret,
  isSettingName,
  SETTING_NAMES,
  type SettingName,
  type Settings,
  type SettingsInput,
} from './setting-table.ts'

const BY_ENVIRONMENT_NAME: ReadonlyMap<string, SettingName> = new Map(
  SETTING_NAMES.map(name => [environmentName(name), name]),
)

/** Read by one command only; not settings of the gate. */
const COMMAND_VARIABLES = new Set(['SIGNET_ANONYMIZE_SALT', TRUST_VARIABLE])

/** Kubernetes puts these into every pod beside a Service called "signet". */
const SERVICE_LINK =
  /^SIGNET_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_[0-9]+_(?:TCP|UDP)(?:_(?:PROTO|PORT|ADDR))?)$/

/** Of the Python implementation; what it asks for when it is on cannot be turned off here. */
const ALWAYS = 'inspectAllSseLines'

/** Settings of the Python implementation that have no counterpart, and why. */
const RETIRED: ReadonlyMap<string, string> = new Map([
  [ALWAYS, 'every line of a stream is inspected, always; remove the setting, or set it to true'],
  ['realtimeEnabled', 'there is no realtime endpoint to turn on or off; remove the setting'],
  [
    'upstreamPoolMaxKeepaliveConnections',
    'idle connections are bounded by upstreamPoolMaxConnections; remove the setting',
  ],
])
const RETIRED_VARIABLES: ReadonlyMap<string, string> = new Map(
  [...RETIRED].map(([name, why]) => [variableName(name), why]),
)

/** One source of values: which setting, which value, and how an error names the place. */
export interface Layer {
  readonly values: ReadonlyMap<SettingName, { readonly value: unknown; readonly from: string }>
  readonly problems: readonly string[]
}

/** Flags as the command line parsed them: text, or a boolean for a switch. `undefined` is unset. */
export function fromFlags(flags: { readonly [K in SettingName]?: string | boolean | undefined }): Layer {
  const values = new Map<SettingName, { value: unknown; from: string }>()
  const problems: string[] = []
  for (const [name, given] of Object.entries(flags)) {
    if (!isSettingName(name) || given === undefined) continue
    const from = SPECS[name].flag ?? name
    if (typeof given === 'boolean') values.set(name, { value: given, from })
    else readText(name, given, from, values, problems)
  }
  return { values, problems }
}

/** `SIGNET_*` variables. An empty value is unset; an unknown name is an error, for a misspelt protection protects nothing. */
export function fromEnvironment(environment: Readonly<Record<string, string | undefined>>, where: string): Layer {
  const values = new Map<SettingName, { value: unknown; from: string }>()
  const problems: string[] = []
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.toUpperCase().startsWith('SIGNET_') || text === undefined || trimBlanks(text) === '') continue
    const name = BY_ENVIRONMENT_NAME.get(variable)
    const from = where === '' ? variable : `${variable} (${where})`
    if (name !== undefined) readText(name, text, from, values, problems)
    else if (variable === TRUST_VARIABLE && where !== '')
      problems.push(`${from}: a file cannot vouch for itself; set it in the environment of the process`)
    else if (variable === variableName(ALWAYS) && isOn(asBoolean(text))) continue
    else if (!COMMAND_VARIABLES.has(variable) && !SERVICE_LINK.test(variable)) {
      const retired = RETIRED_VARIABLES.get(variable)
      problems.push(
        `${from}: ${retired ?? `unknown setting${suggestion(variable, BY_ENVIRONMENT_NAME.keys())}; correct the name or unset it`}`,
      )
    }
  }
  return { values, problems }
}

/** The settings beside `checks` in a pipeline definition. */
export function fromPipeline(settings: Readonly<Record<string, unknown>>, where: string): Layer {
  const values = new Map<SettingName, { value: unknown; from: string }>()
  const problems: string[] = []
  for (const [name, given] of Object.entries(settings)) {
    const from = where === '' ? name.slice(0, 80) : `${name.slice(0, 80)} (${where})`
    if (name === ALWAYS && given === true) continue
    if (!isSettingName(name)) {
      problems.push(
        `${from}: ${RETIRED.get(name) ?? `unknown setting${suggestion(name, SETTING_NAMES)}; correct the name or remove it`}`,
      )
    } else if (given !== undefined) values.set(name, { value: given, from })
  }
  return { values, problems }
}

/** Read as every switch is. */
function isOn(reading: Reading): boolean {
  return 'value' in reading && reading.value === true
}

function suggestion(name: string, known: Iterable<string>): string {
  const near = nearest(name, known)
  return near === undefined ? '' : `, did you mean ${near}`
}

function readText(
  name: SettingName,
  text: string,
  from: string,
  values: Map<SettingName, { value: unknown; from: string }>,
  problems: string[],
): void {
  const reading = SPECS[name].read(text)
  if ('value' in reading) values.set(name, { value: reading.value, from })
  else if (name === 'port' && /^(?:tcp|udp):\/\//.test(text)) {
    problems.push(
      `${from}: Kubernetes set this for a Service called "signet"; set enableServiceLinks: false in the pod, or pass --port`,
    )
  } else
    problems.push(
      `${from}: ${reading.problem}${SPECS[name].secret === true ? '' : `, got ${shown(withoutSecrets(text))}`}`,
    )
}

/** The layers joined, first one wins, every value checked by its own shape. Also says where each value came from. */
export function settle(layers: readonly Layer[]): {
  readonly settings: Settings
  readonly from: ReadonlyMap<SettingName, string>
} {
  const problems = layers.flatMap(layer => layer.problems)
  const from = new Map<SettingName, string>()
  const chosen: Record<string, unknown> = {}
  for (const name of SETTING_NAMES) {
    const entry = layers.find(layer => layer.values.has(name))?.values.get(name)
    if (entry === undefined) continue
    from.set(name, entry.from)
    const checked = SHAPE[name](entry.value)
    if (checked.ok) chosen[name] = checked.value
    else problems.push(`${entry.from}: ${problemText(name, checked.problem, entry.value)}`)
  }
  if (problems.length > 0) throw new ConfigError(problems)
  // Each value has the type of its own shape.
  return { settings: Object.freeze({ ...DEFAULTS, ...(chosen as Partial<Values>) }), from }
}

function problemText(name: SettingName, problem: string | undefined, given: unknown): string {
  const { expected, secret } = SPECS[name]
  if (problem === undefined)
    return secret === true ? `expected ${expected}` : `expected ${expected}, got ${shown(withoutSecrets(given))}`
  const about = secret !== true && typeof given === 'string' && /^(?:is|has|holds) /.test(problem)
  return about ? `${shown(withoutSecrets(given))} ${problem}` : problem
}

/** People paste URLs with a password or a key in them; the error goes to a terminal, a log, a CI page. */
function withoutSecrets(given: unknown): unknown {
  if (typeof given !== 'string') return given
  // Up to the last "@": a password may hold a slash or another "@".
  return given.replace(/\/\/.*@/s, '//***@').replace(/([?#]).+$/s, '$1***')
}
