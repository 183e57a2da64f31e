/**
 * Every operator setting: its name in `pipeline.ts`, its `SIGNET_*` variable, its flag, its default and its shape. What
 * is said about them in docs/configuration.md is compared with this table by a test.
 */
import { DEFAULT_FORWARD_HEADERS } from '../upstream/headers.ts'
import {
  asBoolean,
  asHashes,
  asInteger,
  asJson,
  asKeys,
  asList,
  asNamedSecrets,
  asNumber,
  asText,
  type Reading,
} from './reading.ts'
import * as value from './values.ts'

/** 64 GiB: more is a slip of the finger. */
const MOST_HELD = 64 * 1024 ** 3
/** More processes than that wait for the one sequencer. */
const MOST_WORKERS = 64

export const SHAPE = {
  upstreamUrl: value.upstreamUrl,
  upstreamApiKey: value.credential,
  upstreamApiKeyFile: value.path,
  upstreamLabel: value.asciiName,
  anthropicUpstreamUrl: value.baseUrl,
  anthropicUpstreamApiKey: value.credential,
  anthropicUpstreamApiKeyFile: value.path,
  anthropicUpstreamLabel: value.asciiName,
  upstreamPoolMaxConnections: value.wholeNumber(1, 100_000),
  extraForwardHeaders: value.forwardedHeaders,
  host: value.host,
  port: value.port,
  workers: value.wholeNumber(1, MOST_WORKERS),
  tlsCertFile: value.path,
  tlsKeyFile: value.path,
  tlsClientCaFile: value.path,
  tlsClientCrlFile: value.path,
  allowedHosts: value.hosts,
  allowedOrigins: value.origins,
  trustedProxies: value.cidrs,
  requestTimeoutS: value.waitSeconds,
  shutdownGraceSeconds: value.graceSeconds,
  maxRequestBodyBytes: value.wholeNumber(1, 1 << 30),
  maxConcurrent: value.wholeNumber(1, 1_000_000),
  maxHeldBytes: value.wholeNumber(1, MOST_HELD),
  maxHeldBytesTotal: value.wholeNumber(1, MOST_HELD),
  identity: value.identity,
  identityFile: value.path,
  onEscalate: value.oneOf('202', '403', 'hold'),
  onRefuse: value.oneOf('deliver', 'continue'),
  escalationTtlS: value.waitSeconds,
  escalationStorePath: value.path,
  approvers: value.principals,
  approvalQuorum: value.wholeNumber(1, 100),
  approverAuth: value.oneOf('any', 'passkey'),
  passkeyRpId: value.hostName,
  passkeyOrigins: value.origins,
  passkeyRegistration: value.oneOf('invited', 'self'),
  passkeyStorePath: value.path,
  viewers: value.principals,
  admins: value.principals,
  controlIdentity: value.identity,
  controlIdentityFile: value.path,
  notifications: value.notifications,
  notificationsFile: value.path,
  noticeStorePath: value.path,
  webhookSecrets: value.namedSecrets,
  slackBotToken: value.credential,
  slackBotTokenFile: value.path,
  slackSigningSecret: value.credential,
  slackSigningSecretFile: value.path,
  smtpPassword: value.password,
  smtpPasswordFile: value.path,
  redisUrl: value.redisUrl,
  redisUsername: value.name,
  redisPassword: value.password,
  redisPasswordFile: value.path,
  redisCaFile: value.path,
  redisKeyPrefix: value.redisKeyPrefix,
  redisTimeoutMs: value.wholeNumber(1, 5_000),
  allowReferenceKinds: value.referenceKinds,
  allowOpaqueInputs: value.flag,
  allowBackgroundRuns: value.flag,
  shadow: value.flag,
  strictErrorRedaction: value.flag,
  auditLogPath: value.path,
  auditBeforeForward: value.oneOf('auto', 'always', 'never'),
  auditSegmentBytes: value.wholeNumber(1, MOST_HELD),
  auditSegmentAgeS: value.wholeNumber(0, 3_155_760_000),
  auditSegmentFolder: value.path,
  auditIndex: value.flag,
  auditSealing: value.flag,
  auditSealingFolder: value.path,
  auditSealingKeyFile: value.path,
  transparencyLog: value.flag,
  transparencyLogPath: value.path,
  transparencyLogOrigin: value.logOrigin,
  transparencyLogKeyFile: value.path,
  checkpointIntervalS: value.waitSeconds,
  witnessPolicyFile: value.path,
  anchorUrls: value.egressUrls,
  anchorCaFile: value.path,
  anchorPolicy: value.objectIdentifier,
  anchorIntervalS: value.waitSeconds,
  anchorEveryRows: value.wholeNumber(1, Number.MAX_SAFE_INTEGER),
  assuranceTimeoutS: value.waitSeconds,
  controlHost: value.host,
  controlPort: value.port,
  controlAllowedHosts: value.hosts,
  console: value.flag,
  consoleSessionS: value.waitSeconds,
  consoleIdleS: value.waitSeconds,
  consoleOidcClientId: value.asciiName,
  consoleOidcClientSecret: value.password,
  consoleOidcClientSecretFile: value.path,
  consoleOidcIssuer: value.asciiName,
  consoleOidcScopes: value.oidcScopes,
  consoleOidcToken: value.oneOf('id_token', 'access_token'),
  hmacKeyId: value.keyId,
  hmacSecret: value.hexSecret,
  hmacSecretFile: value.path,
  hmacLegacyKeys: value.legacyKeys,
  keyFolder: value.path,
  allowEphemeralKey: value.flag,
  emitReceipts: value.flag,
  receipts: value.oneOf('jws', 'signet-v1'),
  receiptHeaderName: value.receiptHeaderName,
  receiptKeyFile: value.path,
  receiptSigner: value.signerCommand,
  issuer: value.name,
  capabilityKeyFile: value.path,
  capabilityTtlS: value.wholeNumber(1, 3_600),
  redeemers: value.redeemers,
  redemptionStorePath: value.path,
  corsAllowedOrigins: value.origins,
  corsAllowedMethods: value.methods,
  corsAllowedHeaders: value.headerNames,
  corsAllowCredentials: value.flag,
  logFormat: value.oneOf('text', 'json'),
  accessLogPath: value.path,
} as const

export type SettingName = keyof typeof SHAPE

export interface Spec {
  readonly read: (text: string) => Reading
  readonly expected: string
  readonly flag?: string
  /** A secret's value never appears in an error. */
  readonly secret?: true
}

export const SPECS: Readonly<Record<SettingName, Spec>> = {
  upstreamUrl: { read: asText, expected: 'an http:// or https:// URL', flag: '--upstream' },
  upstreamApiKey: { read: asText, expected: 'a key', secret: true },
  upstreamApiKeyFile: { read: asText, expected: 'a path' },
  upstreamLabel: { read: asText, expected: 'a short ASCII name', flag: '--upstream-label' },
  anthropicUpstreamUrl: { read: asText, expected: 'an http:// or https:// URL' },
  anthropicUpstreamApiKey: { read: asText, expected: 'a key', secret: true },
  anthropicUpstreamApiKeyFile: { read: asText, expected: 'a path' },
  anthropicUpstreamLabel: { read: asText, expected: 'a short ASCII name' },
  upstreamPoolMaxConnections: { read: asInteger, expected: 'a whole number from 1 to 100000' },
  extraForwardHeaders: { read: asList, expected: 'a list of header names' },
  host: { read: asText, expected: 'a host name or an address', flag: '--host' },
  port: { read: asInteger, expected: 'a whole number from 0 to 65535', flag: '--port' },
  workers: { read: asInteger, expected: `a whole number from 1 to ${MOST_WORKERS}`, flag: '--workers' },
  tlsCertFile: { read: asText, expected: 'a path' },
  tlsKeyFile: { read: asText, expected: 'a path' },
  tlsClientCaFile: { read: asText, expected: 'a path' },
  tlsClientCrlFile: { read: asText, expected: 'a path' },
  allowedHosts: { read: asList, expected: 'a list of host names' },
  allowedOrigins: { read: asList, expected: 'a list of origins' },
  trustedProxies: { read: asList, expected: 'a list of address ranges' },
  requestTimeoutS: { read: asNumber, expected: 'a number of seconds above 0, at most 2147483' },
  shutdownGraceSeconds: { read: asNumber, expected: 'a number of seconds from 0 to 2147483' },
  maxRequestBodyBytes: { read: asInteger, expected: 'a whole number from 1 to 1073741824' },
  maxConcurrent: { read: asInteger, expected: 'a whole number from 1 to 1000000' },
  maxHeldBytes: { read: asInteger, expected: `a whole number from 1 to ${MOST_HELD}` },
  maxHeldBytesTotal: { read: asInteger, expected: `a whole number from 1 to ${MOST_HELD}` },
  identity: {
    read: asText,
    expected: '"asserted", or an object in pipeline.ts or in the file that SIGNET_IDENTITY_FILE names',
  },
  identityFile: { read: asText, expected: 'a path' },
  onEscalate: { read: asText, expected: '"202", "403" or "hold"', flag: '--on-escalate' },
  onRefuse: { read: asText, expected: '"deliver" or "continue"' },
  escalationTtlS: { read: asNumber, expected: 'a number of seconds above 0, at most 2147483' },
  escalationStorePath: { read: asText, expected: 'a path' },
  approvers: { read: asList, expected: 'a list of principals such as human:bob@example.com' },
  approvalQuorum: { read: asInteger, expected: 'a whole number from 1 to 100' },
  approverAuth: { read: asText, expected: '"any" or "passkey"' },
  passkeyRpId: { read: asText, expected: 'a host name' },
  passkeyOrigins: { read: asList, expected: 'a list of origins such as https://signet.example.com' },
  passkeyRegistration: { read: asText, expected: '"invited" or "self"' },
  passkeyStorePath: { read: asText, expected: 'a path' },
  viewers: { read: asList, expected: 'a list of principals such as human:bob@example.com' },
  admins: { read: asList, expected: 'a list of principals such as human:bob@example.com' },
  controlIdentity: {
    read: asText,
    expected: 'an object in pipeline.ts or in the file that SIGNET_CONTROL_IDENTITY_FILE names',
  },
  controlIdentityFile: { read: asText, expected: 'a path' },
  notifications: {
    read: asJson,
    expected: 'an object in pipeline.ts or in the file that SIGNET_NOTIFICATIONS_FILE names',
  },
  notificationsFile: { read: asText, expected: 'a path' },
  noticeStorePath: { read: asText, expected: 'a path' },
  webhookSecrets: { read: asNamedSecrets, expected: 'names of webhooks with whsec_ secrets', secret: true },
  slackBotToken: { read: asText, expected: 'a token', secret: true },
  slackBotTokenFile: { read: asText, expected: 'a path' },
  slackSigningSecret: { read: asText, expected: 'a secret', secret: true },
  slackSigningSecretFile: { read: asText, expected: 'a path' },
  smtpPassword: { read: asText, expected: 'a password', secret: true },
  smtpPasswordFile: { read: asText, expected: 'a path' },
  redisUrl: { read: asText, expected: 'a redis:// or rediss:// URL', flag: '--redis-url' },
  redisUsername: { read: asText, expected: 'a user name' },
  redisPassword: { read: asText, expected: 'a password', secret: true },
  redisPasswordFile: { read: asText, expected: 'a path' },
  redisCaFile: { read: asText, expected: 'a path' },
  redisKeyPrefix: { read: asText, expected: 'letters, digits and "_", ".", ":", "-", at most 64' },
  redisTimeoutMs: { read: asInteger, expected: 'a whole number from 1 to 5000' },
  allowReferenceKinds: { read: asList, expected: 'a list of kinds of upstream state' },
  allowOpaqueInputs: { read: asBoolean, expected: 'true or false' },
  allowBackgroundRuns: { read: asBoolean, expected: 'true or false' },
  shadow: { read: asBoolean, expected: 'true or false', flag: '--shadow' },
  strictErrorRedaction: { read: asBoolean, expected: 'true or false', flag: '--strict-error-redaction' },
  auditLogPath: { read: asText, expected: 'a path', flag: '--audit-log' },
  auditBeforeForward: { read: asText, expected: '"auto", "always" or "never"' },
  auditSegmentBytes: { read: asInteger, expected: `a whole number from 1 to ${MOST_HELD}` },
  auditSegmentAgeS: { read: asInteger, expected: 'a whole number of seconds from 0 to 3155760000' },
  auditSegmentFolder: { read: asText, expected: 'a path' },
  auditIndex: { read: asBoolean, expected: 'true or false' },
  auditSealing: { read: asBoolean, expected: 'true or false' },
  auditSealingFolder: { read: asText, expected: 'a path' },
  auditSealingKeyFile: { read: asText, expected: 'a path' },
  transparencyLog: { read: asBoolean, expected: 'true or false' },
  transparencyLogPath: { read: asText, expected: 'a path' },
  transparencyLogOrigin: { read: asText, expected: 'a URL without its scheme, such as log.example.com/signet' },
  transparencyLogKeyFile: { read: asText, expected: 'a path' },
  checkpointIntervalS: { read: asNumber, expected: 'a number of seconds above 0, at most 2147483' },
  witnessPolicyFile: { read: asText, expected: 'a path' },
  anchorUrls: { read: asList, expected: 'a list of https:// URLs' },
  anchorCaFile: { read: asText, expected: 'a path' },
  anchorPolicy: { read: asText, expected: 'an object identifier, such as 1.2.3.4.1' },
  anchorIntervalS: { read: asNumber, expected: 'a number of seconds above 0, at most 2147483' },
  anchorEveryRows: { read: asInteger, expected: 'a whole number above 0' },
  assuranceTimeoutS: { read: asNumber, expected: 'a number of seconds above 0, at most 2147483' },
  controlHost: { read: asText, expected: 'a host name or an address', flag: '--control-host' },
  controlPort: { read: asInteger, expected: 'a whole number from 0 to 65535', flag: '--control-port' },
  controlAllowedHosts: { read: asList, expected: 'a list of host names' },
  console: { read: asBoolean, expected: 'true or false' },
  consoleSessionS: { read: asNumber, expected: 'a number of seconds above 0, at most 2147483' },
  consoleIdleS: { read: asNumber, expected: 'a number of seconds above 0, at most 2147483' },
  consoleOidcClientId: { read: asText, expected: 'the client id that the identity provider knows this gate by' },
  consoleOidcClientSecret: { read: asText, expected: 'a client secret', secret: true },
  consoleOidcClientSecretFile: { read: asText, expected: 'a path' },
  consoleOidcIssuer: { read: asText, expected: 'an issuer of controlIdentity, exactly as it stands there' },
  consoleOidcScopes: { read: asList, expected: 'a list of scopes, openid among them' },
  consoleOidcToken: { read: asText, expected: '"id_token" or "access_token"' },
  hmacKeyId: { read: asText, expected: 'a key id', flag: '--key-id' },
  hmacSecret: { read: asText, expected: 'at least 32 bytes of hex', flag: '--hmac-secret', secret: true },
  hmacSecretFile: { read: asText, expected: 'a path', flag: '--hmac-secret-file' },
  hmacLegacyKeys: { read: asKeys, expected: 'key ids with hex secrets', secret: true },
  keyFolder: { read: asText, expected: 'a path' },
  allowEphemeralKey: { read: asBoolean, expected: 'true or false', flag: '--allow-ephemeral-key' },
  emitReceipts: { read: asBoolean, expected: 'true or false' },
  receipts: { read: asText, expected: '"jws" or "signet-v1"' },
  receiptHeaderName: { read: asText, expected: 'a header name' },
  receiptKeyFile: { read: asText, expected: 'a path' },
  receiptSigner: { read: asJson, expected: 'a program and its arguments, { command, args } as JSON' },
  issuer: { read: asText, expected: 'a short name or URL' },
  capabilityKeyFile: { read: asText, expected: 'a path' },
  capabilityTtlS: { read: asInteger, expected: 'a whole number from 1 to 3600' },
  redeemers: { read: asHashes, expected: 'audiences with the sha256 of a secret', secret: true },
  redemptionStorePath: { read: asText, expected: 'a path' },
  corsAllowedOrigins: { read: asList, expected: 'a list of origins' },
  corsAllowedMethods: { read: asList, expected: 'a list of methods' },
  corsAllowedHeaders: { read: asList, expected: 'a list of header names' },
  corsAllowCredentials: { read: asBoolean, expected: 'true or false' },
  logFormat: { read: asText, expected: '"text" or "json"', flag: '--log-format' },
  accessLogPath: { read: asText, expected: 'a path, or "-"', flag: '--access-log' },
}

export type Values = { readonly [K in SettingName]: (typeof SHAPE)[K] extends value.Shape<infer T> ? T : never }

/** Settings without a default: absent unless somebody sets them. */
type Absent =
  | 'upstreamApiKey'
  | 'upstreamApiKeyFile'
  | 'upstreamLabel'
  | 'anthropicUpstreamUrl'
  | 'anthropicUpstreamApiKey'
  | 'anthropicUpstreamApiKeyFile'
  | 'anthropicUpstreamLabel'
  | 'tlsCertFile'
  | 'tlsKeyFile'
  | 'tlsClientCaFile'
  | 'tlsClientCrlFile'
  | 'escalationStorePath'
  | 'approvalQuorum'
  | 'passkeyRpId'
  | 'passkeyStorePath'
  | 'controlIdentity'
  | 'controlIdentityFile'
  | 'notifications'
  | 'notificationsFile'
  | 'noticeStorePath'
  | 'slackBotToken'
  | 'slackBotTokenFile'
  | 'slackSigningSecret'
  | 'slackSigningSecretFile'
  | 'smtpPassword'
  | 'smtpPasswordFile'
  | 'identity'
  | 'identityFile'
  | 'auditSegmentFolder'
  | 'auditSealingFolder'
  | 'auditSealingKeyFile'
  | 'transparencyLogPath'
  | 'transparencyLogOrigin'
  | 'transparencyLogKeyFile'
  | 'witnessPolicyFile'
  | 'anchorCaFile'
  | 'anchorPolicy'
  | 'anchorEveryRows'
  | 'controlPort'
  | 'consoleOidcClientId'
  | 'consoleOidcClientSecret'
  | 'consoleOidcClientSecretFile'
  | 'consoleOidcIssuer'
  | 'redisUrl'
  | 'redisUsername'
  | 'redisPassword'
  | 'redisPasswordFile'
  | 'redisCaFile'
  | 'hmacSecret'
  | 'hmacSecretFile'
  | 'receiptKeyFile'
  | 'receiptSigner'
  | 'keyFolder'
  | 'accessLogPath'
  | 'capabilityKeyFile'
  | 'redemptionStorePath'

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
  workers: 1,
  allowedHosts: [],
  allowedOrigins: [],
  trustedProxies: [],
  requestTimeoutS: 120,
  shutdownGraceSeconds: 10,
  maxRequestBodyBytes: 4_194_304,
  maxConcurrent: 1024,
  maxHeldBytes: 33_554_432,
  maxHeldBytesTotal: 268_435_456,
  onEscalate: '202',
  onRefuse: 'deliver',
  escalationTtlS: 900,
  approvers: [],
  approverAuth: 'any',
  passkeyOrigins: [],
  passkeyRegistration: 'invited',
  viewers: [],
  admins: [],
  webhookSecrets: {},
  redisKeyPrefix: 'signet:',
  redisTimeoutMs: 1_000,
  allowReferenceKinds: [],
  allowOpaqueInputs: false,
  allowBackgroundRuns: false,
  shadow: false,
  strictErrorRedaction: true,
  auditLogPath: 'audit.jsonl',
  auditBeforeForward: 'auto',
  auditSegmentBytes: 268_435_456,
  auditSegmentAgeS: 0,
  auditIndex: false,
  auditSealing: false,
  transparencyLog: true,
  checkpointIntervalS: 1,
  anchorUrls: [],
  anchorIntervalS: 3600,
  assuranceTimeoutS: 10,
  controlHost: '127.0.0.1',
  controlAllowedHosts: [],
  console: true,
  consoleSessionS: 28_800,
  consoleIdleS: 1_800,
  consoleOidcScopes: ['openid', 'email', 'profile'],
  consoleOidcToken: 'id_token',
  hmacKeyId: 'k1',
  hmacLegacyKeys: {},
  allowEphemeralKey: false,
  emitReceipts: true,
  receipts: 'jws',
  receiptHeaderName: 'X-Signet-Receipt',
  issuer: 'signet',
  capabilityTtlS: 120,
  redeemers: {},
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
    'X-Signet-Escalation',
    'Prefer',
  ],
  corsAllowCredentials: false,
  logFormat: 'text',
})

export const SETTING_NAMES: readonly SettingName[] = Object.keys(SHAPE).filter(isSettingName)

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(SHAPE, name)
}

export function isSecret(name: SettingName): boolean {
  return SPECS[name].secret === true
}

/** `upstreamUrl` is `SIGNET_UPSTREAM_URL`. */
export function environmentName(name: SettingName): string {
  return variableName(name)
}

/** `--upstream`; `undefined` for a setting without a flag. */
export function flagName(name: SettingName): string | undefined {
  return SPECS[name].flag
}

export function variableName(name: string): string {
  return `SIGNET_${name.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()}`
}
