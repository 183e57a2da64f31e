/**
 * Every operator setting: its name in `pipeline.ts`, its `SIGNET_*` variable, its flag, its default and its shape.
 * Precedence: flags, then environment, then `.env`, then `pipeline.ts`, then the default. Nothing here reads a file or the environment.
 */
import { DEFAULT_FORWARD_HEADERS } from '../upstream/headers.ts'
import { ConfigError, nearest, shown } from './problem.ts'
import { asBoolean, asInteger, asKeys, asList, asNumber, asText, type Reading, trimBlanks } from './reading.ts'
import * as value from './values.ts'

const SHAPE = {
  upstreamUrl: value.upstreamUrl,
  upstreamApiKey: value.credential,
  upstreamApiKeyFile: value.path,
  upstreamLabel: value.asciiName,
  upstreamPoolMaxConnections: value.wholeNumber(1, 100_000),
  extraForwardHeaders: value.forwardedHeaders,
  host: value.host,
  port: value.port,
  allowedHosts: value.hosts,
  allowedOrigins: value.origins,
  trustedProxies: value.cidrs,
  requestTimeoutS: value.waitSeconds,
  shutdownGraceSeconds: value.graceSeconds,
  maxRequestBodyBytes: value.wholeNumber(1, 1 << 30),
  maxConcurrent: value.wholeNumber(1, 1_000_000),
  identity: value.oneOf('asserted'),
  onEscalate: value.oneOf('202', '403'),
  shadow: value.flag,
  strictErrorRedaction: value.flag,
  auditLogPath: value.path,
  auditBeforeForward: value.oneOf('auto', 'always', 'never'),
  hmacKeyId: value.keyId,
  hmacSecret: value.hexSecret,
  hmacSecretFile: value.path,
  hmacLegacyKeys: value.legacyKeys,
  allowEphemeralKey: value.flag,
  emitReceipts: value.flag,
  receipts: value.oneOf('jws', 'signet-v1'),
  receiptHeaderName: value.receiptHeaderName,
  receiptKeyFile: value.path,
  issuer: value.name,
  corsAllowedOrigins: value.origins,
  corsAllowedMethods: value.methods,
  corsAllowedHeaders: value.headerNames,
  corsAllowCredentials: value.flag,
  logFormat: value.oneOf('text', 'json'),
} as const

export type SettingName = keyof typeof SHAPE

interface Spec {
  readonly read: (text: string) => Reading
  readonly expected: string
  readonly flag?: string
  /** A secret's value never appears in an error. */
  readonly secret?: true
}

const SPECS: Readonly<Record<SettingName, Spec>> = {
  upstreamUrl: { read: asText, expected: 'an http:// or https:// URL', flag: '--upstream' },
  upstreamApiKey: { read: asText, expected: 'a key', secret: true },
  upstreamApiKeyFile: { read: asText, expected: 'a path' },
  upstreamLabel: { read: asText, expected: 'a short ASCII name', flag: '--upstream-label' },
  upstreamPoolMaxConnections: { read: asInteger, expected: 'a whole number from 1 to 100000' },
  extraForwardHeaders: { read: asList, expected: 'a list of header names' },
  host: { read: asText, expected: 'a host name or an address', flag: '--host' },
  port: { read: asInteger, expected: 'a whole number from 0 to 65535', flag: '--port' },
  allowedHosts: { read: asList, expected: 'a list of host names' },
  allowedOrigins: { read: asList, expected: 'a list of origins' },
  trustedProxies: { read: asList, expected: 'a list of address ranges' },
  requestTimeoutS: { read: asNumber, expected: 'a number of seconds above 0, at most 2147483' },
  shutdownGraceSeconds: { read: asNumber, expected: 'a number of seconds from 0 to 2147483' },
  maxRequestBodyBytes: { read: asInteger, expected: 'a whole number from 1 to 1073741824' },
  maxConcurrent: { read: asInteger, expected: 'a whole number from 1 to 1000000' },
  identity: { read: asText, expected: '"asserted"' },
  onEscalate: { read: asText, expected: '"202" or "403"' },
  shadow: { read: asBoolean, expected: 'true or false', flag: '--shadow' },
  strictErrorRedaction: { read: asBoolean, expected: 'true or false', flag: '--strict-error-redaction' },
  auditLogPath: { read: asText, expected: 'a path', flag: '--audit-log' },
  auditBeforeForward: { read: asText, expected: '"auto", "always" or "never"' },
  hmacKeyId: { read: asText, expected: 'a key id', flag: '--key-id' },
  hmacSecret: { read: asText, expected: 'at least 32 bytes of hex', flag: '--hmac-secret', secret: true },
  hmacSecretFile: { read: asText, expected: 'a path', flag: '--hmac-secret-file' },
  hmacLegacyKeys: { read: asKeys, expected: 'key ids with hex secrets', secret: true },
  allowEphemeralKey: { read: asBoolean, expected: 'true or false', flag: '--allow-ephemeral-key' },
  emitReceipts: { read: asBoolean, expected: 'true or false' },
  receipts: { read: asText, expected: '"jws" or "signet-v1"' },
  receiptHeaderName: { read: asText, expected: 'a header name' },
  receiptKeyFile: { read: asText, expected: 'a path' },
  issuer: { read: asText, expected: 'a short name or URL' },
  corsAllowedOrigins: { read: asList, expected: 'a list of origins' },
  corsAllowedMethods: { read: asList, expected: 'a list of methods' },
  corsAllowedHeaders: { read: asList, expected: 'a list of header names' },
  corsAllowCredentials: { read: asBoolean, expected: 'true or false' },
  logFormat: { read: asText, expected: '"text" or "json"', flag: '--log-format' },
}

type Values = { readonly [K in SettingName]: (typeof SHAPE)[K] extends value.Shape<infer T> ? T : never }

/** Settings without a default: absent unless somebody sets them. */
type Absent =
  | 'upstreamApiKey'
  | 'upstreamApiKeyFile'
  | 'upstreamLabel'
  | 'hmacSecret'
  | 'hmacSecretFile'
  | 'receiptKeyFile'
  | 'identity'

/** What was set, each value checked on its own; rules between settings are `resolve.ts`. */
export type Settings = { readonly [K in Exclude<SettingName, Absent>]: Values[K] } & {
  readonly [K in Absent]?: Values[K]
}

/** What `pipeline.ts` may say. */
export type SettingsInput = { readonly [K in SettingName]?: Values[K] }

export const DEFAULTS: Settings = Object.freeze({
  upstreamUrl: 'http://localhost:11434/v1',
  upstreamPoolMaxConnections: 100,
  extraForwardHeaders: [...DEFAULT_FORWARD_HEADERS],
  host: '127.0.0.1',
  port: 8443,
  allowedHosts: [],
  allowedOrigins: [],
  trustedProxies: [],
  requestTimeoutS: 120,
  shutdownGraceSeconds: 10,
  maxRequestBodyBytes: 4_194_304,
  maxConcurrent: 1024,
  onEscalate: '202',
  shadow: false,
  strictErrorRedaction: true,
  auditLogPath: 'audit.jsonl',
  auditBeforeForward: 'auto',
  hmacKeyId: 'k1',
  hmacLegacyKeys: {},
  allowEphemeralKey: false,
  emitReceipts: true,
  receipts: 'jws',
  receiptHeaderName: 'X-Signet-Receipt',
  issuer: 'signet',
  corsAllowedOrigins: [],
  corsAllowedMethods: ['GET', 'POST', 'OPTIONS'],
  corsAllowedHeaders: [
    'Authorization',
    'Content-Type',
    'X-Commit-Owner',
    'X-Agent-Id',
    'X-Policy-Name',
    'X-Policy-Version',
    'X-Classification',
    'X-Caller-Clearance',
    'X-Signet-Session',
  ],
  corsAllowCredentials: false,
  logFormat: 'text',
})

export const SETTING_NAMES: readonly SettingName[] = Object.keys(SHAPE).filter(isSettingName)

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(SHAPE, name)
}

/** `upstreamUrl` is `SIGNET_UPSTREAM_URL`. */
export function environmentName(name: SettingName): string {
  return variableName(name)
}

function variableName(name: string): string {
  return `SIGNET_${name.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()}`
}

const BY_ENVIRONMENT_NAME: ReadonlyMap<string, SettingName> = new Map(
  SETTING_NAMES.map(name => [environmentName(name), name]),
)

/** Read by one command only; not settings of the gate. */
const COMMAND_VARIABLES = new Set(['SIGNET_ANONYMIZE_SALT'])

/** Kubernetes puts these into every pod beside a Service called "signet". */
const SERVICE_LINK =
  /^SIGNET_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_[0-9]+_(?:TCP|UDP)(?:_(?:PROTO|PORT|ADDR))?)$/

/** Settings of the Python implementation that have no counterpart, and why. */
const RETIRED: ReadonlyMap<string, string> = new Map([
  ['inspectAllSseLines', 'every line of a stream is inspected, always; remove the setting'],
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
    if (!isSettingName(name)) {
      problems.push(
        `${from}: ${RETIRED.get(name) ?? `unknown setting${suggestion(name, SETTING_NAMES)}; correct the name or remove it`}`,
      )
    } else if (given !== undefined) values.set(name, { value: given, from })
  }
  return { values, problems }
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
  return given.replace(/\/\/[^/]*@/, '//***@').replace(/([?#]).+$/s, '$1***')
}
