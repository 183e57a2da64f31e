/** From resolved settings to a gate that listens. What cannot work is a one-line error before anything listens. */
import { randomBytes } from 'node:crypto'
import { type AuditLog, openAuditLog } from '../audit/open.ts'
import type { PipelineConfig } from '../config/pipeline.ts'
import { ConfigError, errorCode, oneLine } from '../config/problem.ts'
import type { Resolved } from '../config/resolve.ts'
import { VERSION } from '../config/version.ts'
import { DIALECTS } from '../dialects/registry.ts'
import { startGate } from '../gate/start.ts'
import { openIdentity } from '../identity/open.ts'
import { type Egress, openEgress } from '../plugins/egress.ts'
import { systemClock } from '../state/system.ts'
import type { DemoUpstream } from '../upstream/demo/server.ts'
import type { Credential } from '../upstream/headers.ts'
import { createUpstream } from '../upstream/pool.ts'
import { type GateKeys, openGateKeys } from './gate-keys.ts'

export interface Serving {
  /** Where it listens. */
  readonly url: string
  /** The model API behind it; the demo's own when that was asked for. */
  readonly upstreamUrl: string
  readonly upstreamLabel: string
  /** Of the model API that has the Anthropic surfaces to itself, if there is one. */
  readonly anthropicUpstreamLabel: string | undefined
  /** How callers are known. */
  readonly identity: { readonly name: string; readonly verified: boolean }
  readonly policyDigest: string
  /** The audit key, when it dies with this process and was not given: to verify the log later. */
  readonly ephemeralKey: { readonly id: string; readonly hex: string } | undefined
  /** Looks for new keys now (SIGHUP). */
  reload(): void
  close(): Promise<void>
}

export interface ServingEvents {
  /** Keys were read anew or could not be, or the signer process stopped or is back. */
  readonly onKeys?: (ok: boolean, message: string) => void
  /** The audit log stopped being writable, or is again. */
  readonly onAuditState?: (ok: boolean, reason: string) => void
}

/** `folder`: the project folder, where `--dev` keeps keys. */
export async function startServing(
  resolved: Resolved,
  pipeline: PipelineConfig,
  folder: string,
  events: ServingEvents = {},
): Promise<Serving> {
  const { settings, tls } = resolved
  let keys: GateKeys | undefined
  let demo: DemoUpstream | undefined
  let audit: AuditLog | undefined
  let egress: Egress | undefined
  try {
    keys = await openGateKeys(resolved, {
      clock: systemClock,
      folder,
      environment: process.env,
      onEvent: (ok, message) => events.onKeys?.(ok, message),
    })
    const { ring, receipts, ephemeralKey } = keys
    egress = openEgress()
    const identity = await openIdentity(settings.identity, { egress, now: Date.now, randomBytes })
    if (settings.upstreamUrl === 'demo') {
      const { startDemoUpstream } = await import('../upstream/demo/server.ts')
      demo = await startDemoUpstream()
    }
    const upstreamUrl = demo?.url ?? settings.upstreamUrl
    const limits = {
      requestTimeoutMs: settings.requestTimeoutS * 1000,
      connections: settings.upstreamPoolMaxConnections,
    }
    const upstream = createUpstream({ url: upstreamUrl, ...limits, ...labelFor(settings.upstreamLabel, demo) })
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
    audit = await openAuditLog({
      path: settings.auditLogPath,
      ring,
      ...(events.onAuditState === undefined ? {} : { onState: events.onAuditState }),
    })
    const gate = await startGate({
      checks: pipeline.checks,
      shadow: settings.shadow,
      dialects: DIALECTS,
      upstream,
      credential: credentialFor(upstreamUrl, settings.upstreamApiKey),
      ...(anthropic === undefined ? {} : { upstreams: { anthropic } }),
      forwardHeaders: settings.extraForwardHeaders,
      identity,
      audit,
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
        beforeForward: settings.auditBeforeForward,
      },
      escalationTtlMs: settings.escalationTtlS * 1000,
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
      ephemeralKey,
      reload: () => keys?.look(),
      close: async () => {
        await gate.close()
        await keys?.close()
        await egress?.close()
        await demo?.close()
      },
    }
  } catch (error) {
    await audit?.close().catch(() => undefined)
    await keys?.close()
    await egress?.close()
    await demo?.close()
    throw startProblem(error)
  }

  function startProblem(error: unknown): unknown {
    if (error instanceof ConfigError) return error
    switch (errorCode(error)) {
      case 'EADDRINUSE':
        return new ConfigError([
          `port ${settings.port} on ${settings.host} is taken; stop what listens there or choose another with --port`,
        ])
      case 'EADDRNOTAVAIL':
      case 'ENOTFOUND':
        return new ConfigError([`${settings.host} is no address of this machine; choose another with --host`])
      case 'EACCES':
        return new ConfigError([
          `port ${settings.port} on ${settings.host} may not be used by this user; choose one above 1023 with --port`,
        ])
      default:
        return new ConfigError([oneLine(error)])
    }
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
function labelFor(label: string | undefined, demo: DemoUpstream | undefined): { readonly label?: string } {
  if (label !== undefined) return { label }
  return demo === undefined ? {} : { label: 'demo' }
}
