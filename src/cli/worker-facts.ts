/** What the primary tells a worker before it listens, and what the worker tells it back; both are JSON on the way. */
import { identityFrom } from '../config/identity.ts'
import type { Resolved } from '../config/resolve.ts'
import { fromPipeline, isSecret, SETTING_NAMES, type SettingName, settle } from '../config/settings.ts'
import type { TlsFiles } from '../config/tls.ts'
import type { Listening } from './listening.ts'
import type { Project } from './project.ts'

interface More {
  /** 32 bytes that seal escalations. */
  readonly key: Uint8Array
  readonly approvers: readonly string[]
  readonly quorum: number | undefined
  readonly demoUrl: string | undefined
  /** Receipts are issued. */
  readonly receipts: boolean
  /** There is a transparency log. */
  readonly log: { readonly witnesses: boolean } | undefined
  /** Capabilities are issued; does what is known of their use outlive the primary? */
  readonly capabilities: { readonly durable: boolean } | undefined
}

export interface Begin extends Pick<Resolved, 'settings' | 'tls'>, More {
  readonly project: Project
}

/** Settings whose values, or the files they name, are the primary's alone. A worker calls upstream, so that key it has. */
function primarysOwn(name: SettingName): boolean {
  return (
    (isSecret(name) && name !== 'redeemers' && !name.startsWith('upstream') && !name.startsWith('anthropicUpstream')) ||
    /^(?:hmac|keyFolder|receipt(?:KeyFile|Signer)|capabilityKeyFile|redis|auditSealing(?:Folder|KeyFile)|transparencyLogKey|control|passkey|notifications|notice|webhook|slack|smtp|approvers|viewers|admins)/.test(
      name,
    )
  )
}

/** Each worker's share of what all together may use, and none of the keys that only the primary needs. */
export function shareOf({ settings, tls }: Resolved, project: Project, more: More): Readonly<Record<string, unknown>> {
  const rest = Object.fromEntries(SETTING_NAMES.flatMap(name => (primarysOwn(name) ? [] : [[name, settings[name]]])))
  const share = (whole: number): number => Math.floor(whole / settings.workers)
  return {
    settings: {
      ...rest,
      maxConcurrent: share(settings.maxConcurrent),
      upstreamPoolMaxConnections: share(settings.upstreamPoolMaxConnections),
      maxHeldBytesTotal: share(settings.maxHeldBytesTotal),
    },
    ...(tls === undefined ? {} : { tls }),
    // What the pipeline file may want; the gate's own settings, secrets among them, are not for it.
    project: {
      ...project,
      variables: Object.fromEntries(
        Object.entries(project.variables).filter(([name]) => !/^(?:SIGNET_|NODE_)/i.test(name)),
      ),
    },
    ...more,
    key: Buffer.from(more.key).toString('base64'),
  }
}

/** Throws when it is not what `shareOf` makes. */
export function readBegin(facts: Readonly<Record<string, unknown>>): Begin {
  const { settings: given, tls, project, key, approvers, quorum, demoUrl, receipts, log, capabilities } = facts
  const { settings } = settle([fromPipeline(record(given), '')])
  const { folder, file, variables } = record(project)
  const pems = tls === undefined ? undefined : record(tls)
  return {
    settings: { ...settings, identity: identityFrom(settings.identity) },
    tls: pems === undefined ? undefined : tlsOf(pems),
    project: {
      folder: text(folder),
      file: file === undefined ? undefined : text(file),
      variables: Object.fromEntries(Object.entries(record(variables)).map(([name, value]) => [name, text(value)])),
    },
    key: Buffer.from(text(key), 'base64'),
    approvers: Array.isArray(approvers) ? approvers.map(text) : [],
    quorum: typeof quorum === 'number' ? quorum : undefined,
    demoUrl: demoUrl === undefined ? undefined : text(demoUrl),
    receipts: receipts === true,
    log: log === undefined ? undefined : { witnesses: record(log)['witnesses'] === true },
    capabilities: capabilities === undefined ? undefined : { durable: record(capabilities)['durable'] === true },
  }
}

function tlsOf({ cert, key, clientCa, clientCrl }: Readonly<Record<string, unknown>>): TlsFiles {
  return {
    cert: text(cert),
    key: text(key),
    ...(clientCa === undefined ? {} : { clientCa: text(clientCa) }),
    ...(clientCrl === undefined ? {} : { clientCrl: text(clientCrl) }),
  }
}

export function listeningFacts(listening: Listening): Readonly<Record<string, unknown>> {
  const { url, upstreamUrl, upstreamLabel, anthropicUpstreamLabel, identity, policyDigest } = listening
  const { name, verified } = identity
  return {
    url,
    upstreamUrl,
    upstreamLabel,
    ...(anthropicUpstreamLabel === undefined ? {} : { anthropicUpstreamLabel }),
    identity: { name, verified },
    policyDigest,
  }
}

export function readListening(facts: Readonly<Record<string, unknown>>): Listening {
  const { url, upstreamUrl, upstreamLabel, anthropicUpstreamLabel, identity, policyDigest } = facts
  const { name, verified } = record(identity)
  return {
    url: text(url),
    upstreamUrl: text(upstreamUrl),
    upstreamLabel: text(upstreamLabel),
    anthropicUpstreamLabel: anthropicUpstreamLabel === undefined ? undefined : text(anthropicUpstreamLabel),
    identity: { name: text(name), verified: verified === true },
    policyDigest: text(policyDigest),
  }
}

function text(value: unknown): string {
  if (typeof value === 'string') return value
  throw new TypeError('a worker and its primary are not of one version')
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new TypeError('a worker and its primary are not of one version')
}
