/** One gate that listens, from resolved settings and from what stands behind it: here, or in the primary process. */
import { randomBytes } from 'node:crypto'
import type { PipelineConfig } from '../config/pipeline.ts'
import { ConfigError, oneLine } from '../config/problem.ts'
import type { Resolved } from '../config/resolve.ts'
import { VERSION } from '../config/version.ts'
import type { AuditWriter } from '../core/row.ts'
import type { SharedState } from '../core/state.ts'
import type { CheckTimes } from '../core/timing.ts'
import { DIALECTS } from '../dialects/registry.ts'
import type { Gate } from '../gate/gate.ts'
import { type CapabilityOptions, type EscalationOptions, type StartOptions, startGate } from '../gate/start.ts'
import { openIdentity } from '../identity/open.ts'
import type { SigningKeys } from '../keys/signing-keys.ts'
import type { Egress } from '../plugins/egress.ts'
import { systemClock } from '../state/system.ts'
import { AccessLog, type LineSink } from '../telemetry/access-log.ts'
import type { ExchangeCounter } from '../telemetry/counters.ts'
import { openLineFile, standardError } from '../telemetry/line-sinks.ts'
import type { Credential } from '../upstream/headers.ts'
import { createUpstream } from '../upstream/pool.ts'

/** What a gate stands on and does not make itself. */
export interface Ground {
  readonly audit: AuditWriter
  /** `undefined`: no receipts are issued. */
  readonly receipts: SigningKeys | undefined
  /** `undefined`: all state is this gate's own. */
  readonly shared: SharedState | undefined
  /** `undefined`: there is no transparency log. */
  readonly log: StartOptions['log']
  readonly escalations: EscalationOptions
  /** `undefined`: none is issued. */
  readonly capabilities: CapabilityOptions | undefined
  readonly counter: ExchangeCounter
  readonly times: CheckTimes
  readonly egress: Egress
  /** Lines of the access log stopped being written, or are again. */
  readonly onAccessState?: ((ok: boolean, reason: string) => void) | undefined
  /** Where the demo model listens, when it stands in for the model API. */
  readonly demoUrl: string | undefined
}

/** Where it listens and what it stands for. */
export interface Listening {
  readonly url: string
  /** The model API behind it; the demo's own when that was asked for. */
  readonly upstreamUrl: string
  readonly upstreamLabel: string
  /** Of the model API that has the Anthropic surfaces to itself, if there is one. */
  readonly anthropicUpstreamLabel: string | undefined
  /** How callers are known. */
  readonly identity: { readonly name: string; readonly verified: boolean }
  readonly policyDigest: string
}

export interface ListeningGate extends Listening {
  readonly gate: Pick<Gate, 'desk' | 'load'>
  /** Lets running exchanges end, then closes the audit writer and the store of escalations too. */
  close(): Promise<void>
}

export async function listen(
  { settings, tls }: Pick<Resolved, 'settings' | 'tls'>,
  pipeline: PipelineConfig,
  { audit, receipts, shared, log, escalations, capabilities, counter, times, egress, onAccessState, demoUrl }: Ground,
): Promise<ListeningGate> {
  const identity = await openIdentity(settings.identity, { egress, now: Date.now, randomBytes })
  const upstreamUrl = demoUrl ?? settings.upstreamUrl
  const limits = {
    requestTimeoutMs: settings.requestTimeoutS * 1000,
    connections: settings.upstreamPoolMaxConnections,
  }
  const upstream = createUpstream({ url: upstreamUrl, ...limits, ...labelFor(settings.upstreamLabel, demoUrl) })
  const anthropic =
    settings.anthropicUpstreamUrl === undefined
      ? undefined
      : {
          upstream: createUpstream({
            url: settings.anthropicUpstreamUrl,
            ...limits,
            ...labelFor(settings.anthropicUpstreamLabel, undefined),
          }),
          credential: anthropicCredential(settings.anthropicUpstreamApiKey),
        }
  const access = await accessLogOf(settings, onAccessState)
  const gate = await startGate({
    checks: pipeline.checks,
    shadow: settings.shadow,
    dialects: DIALECTS,
    upstream,
    credential: credentialFor(upstreamUrl, settings.upstreamApiKey),
    ...(anthropic === undefined ? {} : { upstreams: { anthropic } }),
    forwardHeaders: settings.extraForwardHeaders,
    identity,
    audit: audit,
    counter,
    times,
    ...(access === undefined ? {} : { access }),
    ...(log === undefined ? {} : { log }),
    ...(shared === undefined ? {} : { shared }),
    ...(tls === undefined ? {} : { tls }),
    ...(receipts === undefined
      ? {}
      : {
          receipts: {
            signer: receipts,
            issuer: settings.issuer,
            headerName: settings.receiptHeaderName,
            form: settings.receipts,
          },
        }),
    ...(capabilities === undefined ? {} : { capabilities }),
    host: settings.host,
    port: settings.port,
    allowedHosts: settings.allowedHosts,
    allowedOrigins: settings.allowedOrigins,
    trustedProxies: settings.trustedProxies,
    ...(settings.corsAllowedOrigins.length === 0
      ? {}
      : {
          cors: {
            origins: settings.corsAllowedOrigins,
            methods: settings.corsAllowedMethods,
            headers: settings.corsAllowedHeaders,
            credentials: settings.corsAllowCredentials,
          },
        }),
    settings: {
      strict: settings.strictErrorRedaction,
      maxBodyBytes: settings.maxRequestBodyBytes,
      maxConcurrent: settings.maxConcurrent,
      maxHeldBytes: settings.maxHeldBytes,
      maxHeldBytesTotal: settings.maxHeldBytesTotal,
      onEscalate: settings.onEscalate,
      onRefuse: settings.onRefuse,
      beforeForward: settings.auditBeforeForward,
    },
    escalations,
    references: {
      allowKinds: settings.allowReferenceKinds,
      allowOpaque: settings.allowOpaqueInputs,
      allowBackground: settings.allowBackgroundRuns,
    },
    shutdownGraceMs: settings.shutdownGraceSeconds * 1000,
    version: VERSION,
  })
  return {
    url: gate.url,
    upstreamUrl,
    upstreamLabel: upstream.label,
    anthropicUpstreamLabel: anthropic?.upstream.label,
    identity,
    policyDigest: gate.gate.pipeline.digest,
    gate: gate.gate,
    close: () => gate.close(),
  }
}

/** Where owners can be erased from the audit log, another file must not keep their names. */
async function accessLogOf(
  { accessLogPath: path, auditSealing }: Resolved['settings'],
  onState: Ground['onAccessState'],
): Promise<AccessLog | undefined> {
  if (path === undefined) return undefined
  return new AccessLog({
    sink: path === '-' ? standardError(systemClock) : await accessFile(path),
    clock: systemClock,
    owners: !auditSealing,
    ...(onState === undefined ? {} : { onState }),
  })
}

async function accessFile(path: string): Promise<LineSink> {
  try {
    return await openLineFile(path)
  } catch (error) {
    throw new ConfigError([
      `SIGNET_ACCESS_LOG_PATH: "${path}" cannot be written (${oneLine(error)}); give the path of a regular file in a folder that exists, or "-" for standard error`,
    ])
  }
}

/** The operator's key, in the header its provider reads. Callers' own credentials are then left behind. */
function credentialFor(upstreamUrl: string, key: string | undefined): Credential {
  if (key === undefined) return { kind: 'passthrough' }
  const { hostname } = new URL(upstreamUrl)
  if (hostname === 'anthropic.com' || hostname.endsWith('.anthropic.com'))
    return { kind: 'stored', header: 'x-api-key', value: key }
  if (hostname.endsWith('.azure.com')) return { kind: 'stored', header: 'api-key', value: key }
  return { kind: 'stored', header: 'authorization', value: `Bearer ${key}` }
}

/** Anthropic's own header, wherever the surface is served: https://docs.anthropic.com/en/api/overview#authentication. */
function anthropicCredential(key: string | undefined): Credential {
  return key === undefined ? { kind: 'passthrough' } : { kind: 'stored', header: 'x-api-key', value: key }
}

/** The demo model listens on a port of no interest to anybody. */
function labelFor(label: string | undefined, demo: string | undefined): { readonly label?: string } {
  if (label !== undefined) return { label }
  return demo === undefined ? {} : { label: 'demo' }
}
