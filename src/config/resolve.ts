/** From layers of values to settings that can be started with: secrets read from their files, the rules between settings checked. */
import { existsSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { RelyingParty } from '../escalation/passkeys.ts'
import type { IdentitySetting } from '../identity/open.ts'
import { readSecretFile } from '../keys/store.ts'
import type { Notifications } from '../notify/open.ts'
import { type ConsoleOidc, resolveConsoleOidc } from './console-oidc.ts'
import { identityFrom, readIdentityFile } from './identity.ts'
import { type LogOutside, resolveLogOutside } from './log-outside.ts'
import { isLoopbackHost } from './network-names.ts'
import { resolveNotifications } from './notifications.ts'
import { ConfigError, errorCode, oneLine } from './problem.ts'
import { environmentName, type Layer, type SettingName, type Settings, settle } from './settings.ts'
import { readAuthorities, readCertificate, readKey, readRevocations, type TlsFiles } from './tls.ts'
import { credential, hexSecret, password, type Shape } from './values.ts'

/** Where the key of the audit chain comes from. */
export type KeySource = 'given' | 'kept in .signet' | 'in the key folder' | 'ephemeral'

/** Where the control plane listens when nobody says. */
export const DEFAULT_CONTROL_PORT = 8444

export interface RedisSetting {
  readonly url: string
  readonly username?: string
  readonly password?: string
  /** PEM. */
  readonly ca?: string
  readonly keyPrefix: string
  readonly timeoutMs: number
}

export interface Resolved {
  readonly dev: boolean
  readonly settings: Settings & { readonly identity: IdentitySetting }
  /** What the listener speaks TLS with; `undefined`: plain http. */
  readonly tls: TlsFiles | undefined
  /** Where state is that several gates share; `undefined`: in this process. */
  readonly redis: RedisSetting | undefined
  /** Who outside vouches for the transparency log. */
  readonly outside: LogOutside
  /** How people at the control plane are known; `undefined`: nobody is, and nothing there but the log is served. */
  readonly controlIdentity: IdentitySetting | undefined
  /** Where people sign in to the console; `undefined`: they paste tokens. */
  readonly consoleOidc: ConsoleOidc | undefined
  /** Whose passkeys approvers use; `undefined`: there are none. */
  readonly passkeys: RelyingParty | undefined
  /** Who is told of escalations; `undefined`: nobody. */
  readonly notifications: Notifications | undefined
  readonly hmacKey: KeySource
  readonly receiptKey: KeySource | 'another process' | 'off'
  /** Wraps the owners' keys, hex; `undefined`: kept in .signet, or nothing is sealed. */
  readonly sealingKey: string | undefined
  /** One line each: allowed, but worth knowing. */
  readonly warnings: readonly string[]
}

/** Secrets that stand in a setting or in a file of their own. */
type SecretName =
  | 'hmacSecret'
  | 'upstreamApiKey'
  | 'anthropicUpstreamApiKey'
  | 'redisPassword'
  | 'slackBotToken'
  | 'slackSigningSecret'
  | 'smtpPassword'
  | 'consoleOidcClientSecret'

const FROM_DEV = '--dev'

/** Below `pipeline.ts`, above the defaults: what `--dev` changes unless somebody says otherwise. */
const DEV: Layer = {
  values: new Map<SettingName, { value: unknown; from: string }>([
    ['identity', { value: 'asserted', from: FROM_DEV }],
    ['strictErrorRedaction', { value: false, from: FROM_DEV }],
  ]),
  problems: [],
}

export function resolveSettings(layers: readonly Layer[], dev: boolean): Resolved {
  const { settings: chosen, from } = settle(dev ? [...layers, DEV] : layers)
  const problems: string[] = []
  const warnings: string[] = []
  const name = (setting: SettingName): string => from.get(setting) ?? environmentName(setting)

  const hmacSecret = secret('hmacSecret', 'hmacSecretFile', hexSecret)
  const upstreamApiKey = secret('upstreamApiKey', 'upstreamApiKeyFile', credential)
  const anthropicUpstreamApiKey = secret('anthropicUpstreamApiKey', 'anthropicUpstreamApiKeyFile', credential)
  const redisPassword = secret('redisPassword', 'redisPasswordFile', password)
  const redis = resolveRedis()
  const notifications = resolveNotifications(
    chosen,
    {
      slackBotToken: secret('slackBotToken', 'slackBotTokenFile', credential),
      slackSigningSecret: secret('slackSigningSecret', 'slackSigningSecretFile', credential),
      smtpPassword: secret('smtpPassword', 'smtpPasswordFile', password),
    },
    { name, attempt, problem: text => problems.push(text), warning: text => warnings.push(text) },
  )
  const outside = resolveLogOutside(chosen, { name, attempt, problem: text => problems.push(text) })
  if (chosen.anthropicUpstreamUrl === undefined) {
    for (const setting of [
      'anthropicUpstreamApiKey',
      'anthropicUpstreamApiKeyFile',
      'anthropicUpstreamLabel',
    ] as const) {
      if (chosen[setting] !== undefined)
        problems.push(`${name(setting)}: set without anthropicUpstreamUrl; set that too, or remove this`)
    }
  }

  const kept = chosen.keyFolder !== undefined ? 'in the key folder' : dev ? 'kept in .signet' : undefined
  const hmacKey: KeySource = hmacSecret !== undefined ? 'given' : (kept ?? 'ephemeral')
  if (hmacKey === 'ephemeral' && !chosen.allowEphemeralKey && !from.has('hmacSecret') && !from.has('hmacSecretFile')) {
    problems.push(
      'SIGNET_HMAC_SECRET: not set, and the audit log needs a key; run "signet init", or pass --hmac-secret-file, --allow-ephemeral-key or --dev, or set SIGNET_KEY_FOLDER',
    )
  }
  if (Object.hasOwn(chosen.hmacLegacyKeys, chosen.hmacKeyId)) {
    problems.push(
      `${name('hmacLegacyKeys')}: holds the active key id "${chosen.hmacKeyId}"; give the new key another id with --key-id`,
    )
  }

  const receiptKey = receiptKeySource()
  const sealingKey = resolveSealing()

  const identity = resolveIdentity()
  if (
    identity !== undefined &&
    identity !== 'asserted' &&
    identity.jwt?.issuers.some(i => i.claims?.role !== undefined)
  )
    problems.push(`${name('identity')}: claims.role is for the control plane; move it to controlIdentity`)
  const controlIdentity = resolveControlIdentity()
  const consoleOidc = resolveConsoleOidc(chosen, {
    identity: controlIdentity,
    secret: secret('consoleOidcClientSecret', 'consoleOidcClientSecretFile', password),
    name,
    problem: text => problems.push(text),
  })
  const passkeys = resolvePasskeys()
  const tls = resolveTls()
  exposure()

  if ((chosen.host === '0.0.0.0' || chosen.host === '::') && chosen.allowedHosts.length === 0) {
    warnings.push(
      'no allowedHosts are set: callers that use another name than localhost are refused; set SIGNET_ALLOWED_HOSTS to the names they use',
    )
  }

  const folder = dirname(chosen.auditLogPath)
  if (!isFolder(folder))
    problems.push(`${name('auditLogPath')}: the folder "${folder}" does not exist or is no folder; create it`)
  const segments = chosen.auditSegmentFolder
  if (segments !== undefined && !isFolder(segments)) {
    problems.push(`${name('auditSegmentFolder')}: the folder "${segments}" does not exist or is no folder; create it`)
  }
  // Lines of another kind between the rows would be rows that somebody forged.
  if (chosen.accessLogPath !== undefined && resolve(chosen.accessLogPath) === resolve(chosen.auditLogPath))
    problems.push(`${name('accessLogPath')}: is the audit log; give the access log a file of its own`)
  if (chosen.shadow) warnings.push('shadow is on: policy verdicts are recorded and not enforced')
  for (const [key, url] of [
    [upstreamApiKey, chosen.upstreamUrl],
    [anthropicUpstreamApiKey, chosen.anthropicUpstreamUrl],
  ] as const) {
    if (key !== undefined && url?.startsWith('http:') === true && !isLoopbackHost(new URL(url).hostname))
      warnings.push(`an upstream key travels over plain http to ${new URL(url).host}; use https`)
  }
  if (chosen.maxHeldBytesTotal < chosen.maxHeldBytes) {
    problems.push(
      `${name('maxHeldBytesTotal')}: ${chosen.maxHeldBytesTotal} is less than one answer may hold (maxHeldBytes, ${chosen.maxHeldBytes}); raise the one or lower the other`,
    )
  }
  // Each worker has its share; what cannot be shared out is said here instead of being more, or nothing, in the end.
  const share = (whole: number): number => Math.floor(whole / chosen.workers)
  for (const setting of ['maxConcurrent', 'upstreamPoolMaxConnections'] as const) {
    if (share(chosen[setting]) < 1)
      problems.push(
        `${name(setting)}: ${chosen[setting]} cannot be shared by ${chosen.workers} workers; raise it or start fewer`,
      )
  }
  if (share(chosen.maxHeldBytesTotal) < chosen.maxHeldBytes && chosen.workers > 1) {
    problems.push(
      `${name('maxHeldBytesTotal')}: the share of one of ${chosen.workers} workers is less than one answer may hold (maxHeldBytes, ${chosen.maxHeldBytes}); raise it or start fewer`,
    )
  }
  if (hmacKey === 'ephemeral')
    warnings.push(
      'the audit key lives only as long as this process; keep the key printed above to verify the log later',
    )

  if (problems.length > 0 || identity === undefined) throw new ConfigError(problems)
  const settings = {
    ...chosen,
    identity,
    ...(hmacSecret === undefined ? {} : { hmacSecret }),
    ...(upstreamApiKey === undefined ? {} : { upstreamApiKey }),
    ...(anthropicUpstreamApiKey === undefined ? {} : { anthropicUpstreamApiKey }),
  }
  return {
    dev,
    settings: Object.freeze(settings),
    passkeys,
    tls,
    redis,
    outside,
    controlIdentity,
    notifications,
    consoleOidc,
    hmacKey,
    receiptKey,
    sealingKey,
    warnings,
  }

  function resolveIdentity(): IdentitySetting | undefined {
    const { identity: given, identityFile: path } = chosen
    const isOwn = given !== undefined && from.get('identity') !== FROM_DEV
    if (path !== undefined) {
      if (isOwn) problems.push(`${name('identity')}: set together with ${name('identityFile')}; keep one of them`)
      return attempt('identityFile', () => readIdentityFile(path))
    }
    if (given === undefined) {
      problems.push(
        'SIGNET_IDENTITY: not set, and outside --dev nobody is believed by default; set identity in pipeline.ts, or SIGNET_IDENTITY_FILE; set it to "asserted" if something in front of the gate authenticates callers and sets the owner headers',
      )
      return undefined
    }
    if (given === 'asserted' && layers.some(layer => typeof layer.values.get('identity')?.value === 'object')) {
      warnings.push(
        `${name('identity')}: "asserted" stands in for the identity that another place sets, and callers are believed without a credential`,
      )
    }
    return attempt('identity', () => identityFrom(given))
  }

  function resolveControlIdentity(): IdentitySetting | undefined {
    const { controlIdentity: given, controlIdentityFile: path } = chosen
    if (given !== undefined && path !== undefined)
      problems.push(`${name('controlIdentity')}: set together with ${name('controlIdentityFile')}; keep one of them`)
    const read =
      path !== undefined
        ? attempt('controlIdentityFile', () => readIdentityFile(path))
        : given === undefined
          ? undefined
          : attempt('controlIdentity', () => identityFrom(given))
    if (read === 'asserted') {
      problems.push(
        `${name(path === undefined ? 'controlIdentity' : 'controlIdentityFile')}: "asserted" would let anybody approve in anybody's name; give jwt or apiKey`,
      )
      return undefined
    }
    if (read?.mtls !== undefined || read?.trustedProxy !== undefined) {
      problems.push(`${name('controlIdentity')}: the control plane knows jwt and apiKey only; remove the others`)
      return undefined
    }
    if (read === undefined && !dev && chosen.approvers.length > 0)
      warnings.push('approvers are set, and nothing says how they prove who they are; set controlIdentity')
    return read
  }

  function resolvePasskeys(): RelyingParty | undefined {
    const { passkeyRpId: id, passkeyOrigins: given } = chosen
    if (id === undefined) {
      if (given.length > 0)
        problems.push(`${name('passkeyOrigins')}: set without passkeyRpId; set that, or remove this`)
      if (chosen.approverAuth === 'passkey')
        problems.push(
          `${name('approverAuth')}: "passkey" needs passkeyRpId, the host name of the page that asks for them`,
        )
      return undefined
    }
    // A browser takes plain http for this machine only.
    const here = id === 'localhost' ? [`http://localhost:${chosen.controlPort ?? DEFAULT_CONTROL_PORT}`] : []
    const origins = given.length > 0 ? given : [`https://${id}`, ...here]
    for (const origin of origins) {
      const { protocol, hostname } = new URL(origin)
      if (hostname !== id && !hostname.endsWith(`.${id}`))
        problems.push(`${name('passkeyOrigins')}: a page of ${hostname} cannot use passkeys of "${id}"`)
      if (protocol !== 'https:' && hostname !== 'localhost' && !hostname.endsWith('.localhost'))
        problems.push(`${name('passkeyOrigins')}: browsers offer passkeys to https pages only; ${origin} is none`)
    }
    return { id, origins }
  }

  function resolveRedis(): RedisSetting | undefined {
    const { redisUrl: url, redisUsername: username, redisCaFile: caFile } = chosen
    if (url === undefined) {
      for (const setting of ['redisUsername', 'redisPassword', 'redisPasswordFile', 'redisCaFile'] as const) {
        if (chosen[setting] !== undefined)
          problems.push(`${name(setting)}: set without redisUrl; set that too, or remove this`)
      }
      return undefined
    }
    const tls = /^rediss:/i.test(url)
    if (username !== undefined && redisPassword === undefined)
      problems.push(`${name('redisUsername')}: set without a password; set SIGNET_REDIS_PASSWORD_FILE too`)
    if (caFile !== undefined && !tls)
      problems.push(
        `${name('redisCaFile')}: set, but redisUrl does not speak TLS; write it as rediss://, or remove this`,
      )
    const ca = caFile === undefined ? undefined : attempt('redisCaFile', () => readAuthorities(caFile))
    const { host, hostname } = new URL(url)
    if (!tls && !isLoopbackHost(hostname.replace(/^\[(.*)\]$/, '$1')))
      warnings.push(`shared state travels over plain TCP to ${host}; use rediss://`)
    return {
      url,
      ...(username === undefined ? {} : { username }),
      ...(redisPassword === undefined ? {} : { password: redisPassword }),
      ...(ca === undefined ? {} : { ca }),
      keyPrefix: chosen.redisKeyPrefix,
      timeoutMs: chosen.redisTimeoutMs,
    }
  }

  function resolveTls(): TlsFiles | undefined {
    const { tlsCertFile, tlsKeyFile, tlsClientCaFile, tlsClientCrlFile } = chosen
    const mtls = identity !== undefined && identity !== 'asserted' && identity.mtls !== undefined
    if (mtls && tlsClientCaFile === undefined) {
      problems.push(
        'SIGNET_TLS_CLIENT_CA_FILE: not set, and identity.mtls needs the authorities whose client certificates count; set it, with tlsCertFile and tlsKeyFile',
      )
    }
    // A protection that somebody believes is there.
    if (!mtls && identity !== undefined && tlsClientCaFile !== undefined) {
      problems.push(
        `${name('tlsClientCaFile')}: set, but identity has no mtls, so nobody is asked for a certificate; add it or remove this`,
      )
    }
    if (tlsClientCrlFile !== undefined && tlsClientCaFile === undefined)
      problems.push(`${name('tlsClientCrlFile')}: set without tlsClientCaFile; set that too, or remove this`)
    if (tlsCertFile === undefined || tlsKeyFile === undefined) {
      for (const setting of ['tlsCertFile', 'tlsKeyFile', 'tlsClientCaFile'] as const) {
        if (chosen[setting] !== undefined)
          problems.push(
            `${name(setting)}: set without ${tlsCertFile === undefined ? 'tlsCertFile' : 'tlsKeyFile'}; set both`,
          )
      }
      return undefined
    }
    const certificate = attempt('tlsCertFile', () => readCertificate(tlsCertFile))
    const key = attempt('tlsKeyFile', () => readKey(tlsKeyFile, certificate?.first))
    const clientCa =
      tlsClientCaFile === undefined ? undefined : attempt('tlsClientCaFile', () => readAuthorities(tlsClientCaFile))
    const clientCrl =
      tlsClientCrlFile === undefined ? undefined : attempt('tlsClientCrlFile', () => readRevocations(tlsClientCrlFile))
    if (certificate === undefined || key === undefined) return undefined
    return {
      cert: certificate.pem,
      key,
      ...(clientCa === undefined ? {} : { clientCa }),
      ...(clientCrl === undefined ? {} : { clientCrl }),
    }
  }

  /** Who can reach the port, and what they could do there. */
  function exposure(): void {
    if (identity === undefined || isLoopbackHost(chosen.host)) return
    if (identity !== 'asserted') {
      if (chosen.tlsCertFile === undefined && (identity.jwt !== undefined || identity.apiKey !== undefined))
        warnings.push(
          `callers' credentials travel over plain http to ${chosen.host}; set tlsCertFile and tlsKeyFile, or let something in front end TLS on the way`,
        )
      return
    }
    if (upstreamApiKey !== undefined || anthropicUpstreamApiKey !== undefined) {
      problems.push(
        `${name('identity')}: "asserted" believes any caller's owner header, and with a stored upstream key on ${chosen.host} anybody who reaches the port spends it; verify callers, bind to 127.0.0.1, or let callers bring their own key`,
      )
    } else
      warnings.push(
        `owners are asserted, not authenticated, and ${chosen.host} is reachable from outside; verify callers, or put real authentication in front`,
      )
  }

  function attempt<T>(setting: SettingName, read: () => T): T | undefined {
    try {
      return read()
    } catch (error) {
      problems.push(`${name(setting)}: ${oneLine(error).replace(/^identity: /, '')}`)
      return undefined
    }
  }

  function resolveSealing(): string | undefined {
    const { auditSealingKeyFile: path } = chosen
    if (!chosen.auditSealing) return undefined
    if (path === undefined) {
      if (!dev) {
        problems.push(
          'SIGNET_AUDIT_SEALING_KEY_FILE: not set, and auditSealing needs a key; run "signet keys generate --kind hmac", keep it in a file and name that',
        )
      }
      return undefined
    }
    const text = attempt('auditSealingKeyFile', () => readSecretFile(path))
    if (text === undefined) return undefined
    const checked = hexSecret(text)
    if (checked.ok) return checked.value
    problems.push(`${name('auditSealingKeyFile')}: the secret in "${path}" ${checked.problem ?? 'is not valid'}`)
    return undefined
  }

  function receiptKeySource(): Resolved['receiptKey'] {
    const own = (['receiptKeyFile', 'receiptSigner'] as const).filter(setting => chosen[setting] !== undefined)
    if (own.length === 2)
      problems.push(`${name('receiptSigner')}: set together with ${name('receiptKeyFile')}; keep one of them`)
    // A key that stands alone would take the place of those that verifiers know, without anybody having rotated.
    else if (
      own[0] !== undefined &&
      chosen.keyFolder !== undefined &&
      chosen.emitReceipts &&
      holdsReceiptKeys(chosen.keyFolder)
    )
      problems.push(
        `${name(own[0])}: set, and ${name('keyFolder')} holds receipt keys too; keep one of them, so that verifiers go on finding the keys they know`,
      )
    if (!chosen.emitReceipts) return 'off'
    if (chosen.receiptSigner !== undefined) return 'another process'
    if (chosen.receiptKeyFile !== undefined) return 'given'
    if (kept !== undefined) return kept
    if (!chosen.allowEphemeralKey) {
      problems.push(
        'SIGNET_RECEIPT_KEY_FILE: not set, and receipts need a signing key; run "signet keys generate --kind ed25519 --out receipt-key.pem" and set it, or set SIGNET_KEY_FOLDER or SIGNET_EMIT_RECEIPTS=0',
      )
    }
    return 'ephemeral'
  }

  function secret(value: SecretName, file: `${SecretName}File`, check: Shape<string>): string | undefined {
    const path = chosen[file]
    if (path === undefined) return chosen[value]
    if (chosen[value] !== undefined) {
      problems.push(`${name(value)}: set together with ${name(file)}; keep one of them`)
      return undefined
    }
    const text = attempt(file, () => readSecretFile(path))
    if (text === undefined) return undefined
    const checked = check(text)
    if (checked.ok) return checked.value
    problems.push(`${name(file)}: the secret in "${path}" ${checked.problem ?? 'is not valid'}`)
    return undefined
  }
}

function holdsReceiptKeys(folder: string): boolean {
  return existsSync(join(folder, 'receipts.1.json'))
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch (error) {
    // A folder that may not be looked into still exists; opening the log will say what is wrong.
    return errorCode(error) === 'EACCES'
  }
}
