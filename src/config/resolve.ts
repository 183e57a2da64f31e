/** From layers of values to settings that can be started with: secrets read from their files, the rules between settings checked. */
import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { readSecretFile } from '../keys/store.ts'
import { isLoopbackHost } from './network-names.ts'
import { ConfigError, errorCode, oneLine } from './problem.ts'
import { environmentName, type Layer, type SettingName, type Settings, settle } from './settings.ts'
import { credential, hexSecret, type Shape } from './values.ts'

/** Where the key of the audit chain comes from. */
export type KeySource = 'given' | 'kept in .signet' | 'ephemeral'

export interface Resolved {
  readonly dev: boolean
  readonly settings: Settings & { readonly identity: 'asserted' }
  readonly hmacKey: KeySource
  readonly receiptKey: KeySource | 'off'
  /** One line each: allowed, but worth knowing. */
  readonly warnings: readonly string[]
}

/** Below `pipeline.ts`, above the defaults: what `--dev` changes unless somebody says otherwise. */
const DEV: Layer = {
  values: new Map<SettingName, { value: unknown; from: string }>([
    ['identity', { value: 'asserted', from: '--dev' }],
    ['strictErrorRedaction', { value: false, from: '--dev' }],
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

  const hmacKey: KeySource = hmacSecret !== undefined ? 'given' : dev ? 'kept in .signet' : 'ephemeral'
  if (hmacKey === 'ephemeral' && !chosen.allowEphemeralKey && !from.has('hmacSecret') && !from.has('hmacSecretFile')) {
    problems.push(
      'SIGNET_HMAC_SECRET: not set, and the audit log needs a key; run "signet init", or pass --hmac-secret-file, --allow-ephemeral-key or --dev',
    )
  }
  if (Object.hasOwn(chosen.hmacLegacyKeys, chosen.hmacKeyId)) {
    problems.push(
      `${name('hmacLegacyKeys')}: holds the active key id "${chosen.hmacKeyId}"; give the new key another id with --key-id`,
    )
  }

  const receiptKey = receiptKeySource()

  const loopback = isLoopbackHost(chosen.host)
  if (chosen.identity === undefined) {
    problems.push(
      'SIGNET_IDENTITY: not set, and outside --dev nobody is believed by default; set it to "asserted" if something in front of the gate authenticates callers and sets the owner headers',
    )
  } else if (upstreamApiKey !== undefined && !loopback) {
    problems.push(
      `${name('identity')}: "asserted" believes any caller's owner header, and with a stored upstream key on ${chosen.host} anybody who reaches the port spends it; bind to 127.0.0.1 or let callers bring their own key`,
    )
  } else if (!loopback)
    warnings.push(
      `owners are asserted, not authenticated, and ${chosen.host} is reachable from outside; put real authentication in front`,
    )

  if ((chosen.host === '0.0.0.0' || chosen.host === '::') && chosen.allowedHosts.length === 0) {
    warnings.push(
      'no allowedHosts are set: callers that use another name than localhost are refused; set SIGNET_ALLOWED_HOSTS to the names they use',
    )
  }

  const folder = dirname(chosen.auditLogPath)
  if (!isFolder(folder))
    problems.push(`${name('auditLogPath')}: the folder "${folder}" does not exist or is no folder; create it`)
  if (chosen.shadow) warnings.push('shadow is on: policy verdicts are recorded and not enforced')
  if (
    upstreamApiKey !== undefined &&
    chosen.upstreamUrl.startsWith('http:') &&
    !isLoopbackHost(new URL(chosen.upstreamUrl).hostname)
  ) {
    warnings.push('the upstream key travels over plain http to another machine; use https')
  }
  if (hmacKey === 'ephemeral')
    warnings.push(
      'the audit key lives only as long as this process; keep the key printed above to verify the log later',
    )

  if (problems.length > 0 || chosen.identity === undefined) throw new ConfigError(problems)
  const settings = {
    ...chosen,
    identity: chosen.identity,
    ...(hmacSecret === undefined ? {} : { hmacSecret }),
    ...(upstreamApiKey === undefined ? {} : { upstreamApiKey }),
  }
  return { dev, settings: Object.freeze(settings), hmacKey, receiptKey, warnings }

  function receiptKeySource(): KeySource | 'off' {
    if (!chosen.emitReceipts) return 'off'
    if (chosen.receiptKeyFile !== undefined) return 'given'
    if (dev) return 'kept in .signet'
    if (!chosen.allowEphemeralKey) {
      problems.push(
        'SIGNET_RECEIPT_KEY_FILE: not set, and receipts need a signing key; run "signet keys generate --kind ed25519 --out receipt-key.pem" and set it, or set SIGNET_EMIT_RECEIPTS=0',
      )
    }
    return 'ephemeral'
  }

  function secret(
    value: 'hmacSecret' | 'upstreamApiKey',
    file: 'hmacSecretFile' | 'upstreamApiKeyFile',
    check: Shape<string>,
  ): string | undefined {
    const path = chosen[file]
    if (path === undefined) return chosen[value]
    if (chosen[value] !== undefined) {
      problems.push(`${name(value)}: set together with ${name(file)}; keep one of them`)
      return undefined
    }
    let text: string
    try {
      text = readSecretFile(path)
    } catch (error) {
      problems.push(`${name(file)}: ${oneLine(error)}`)
      return undefined
    }
    const checked = check(text)
    if (checked.ok) return checked.value
    problems.push(`${name(file)}: the secret in "${path}" ${checked.problem ?? 'is not valid'}`)
    return undefined
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch (error) {
    // A folder that may not be looked into still exists; opening the log will say what is wrong.
    return errorCode(error) === 'EACCES'
  }
}
