/** From resolved settings to a gate that listens. What cannot work is a one-line error before anything listens. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { IndexKeeper } from '../audit/index-thread.ts'
import { formatKey } from '../audit/log/note.ts'
import { type AuditLog, openAuditLog } from '../audit/open.ts'
import { SealingFolder } from '../audit/seal.ts'
import type { PipelineConfig } from '../config/pipeline.ts'
import { ConfigError, errorCode, oneLine } from '../config/problem.ts'
import type { Resolved } from '../config/resolve.ts'
import { VERSION } from '../config/version.ts'
import { Changes } from '../control/changes.ts'
import { type RunningControl, startControl } from '../control/start.ts'
import type { SharedState } from '../core/state.ts'
import { DIALECTS } from '../dialects/registry.ts'
import { type RunningGate, startGate } from '../gate/start.ts'
import { openIdentity } from '../identity/open.ts'
import { Key, KeyRing } from '../keys/ring.ts'
import { SigningKey } from '../keys/signing.ts'
import { KeyFolder, readSecretFile } from '../keys/store.ts'
import { type Egress, openEgress } from '../plugins/egress.ts'
import { systemClock } from '../state/system.ts'
import { GateCounters } from '../telemetry/counters.ts'
import type { DemoUpstream } from '../upstream/demo/server.ts'
import type { Credential } from '../upstream/headers.ts'
import { createUpstream } from '../upstream/pool.ts'
import { openApprovals } from './approvals.ts'
import { openCapabilities } from './capabilities.ts'
import { DEV_FOLDER, devKey } from './chain-keys.ts'
import { type LogParts, noteSigner, openLogOf } from './log-serving.ts'
import { metricsFor } from './metrics-serving.ts'

const DEFAULT_CONTROL_PORT = 8444

export interface Serving {
  /** Where it listens. */
  readonly url: string
  /** Whom `--dev` made to approve, and the file with the token that proves it. */
  readonly devApprover: { readonly token: string } | undefined
  /** The model API behind it; the demo's own when that was asked for. */
  readonly upstreamUrl: string
  readonly upstreamLabel: string
  /** Of the model API that has the Anthropic surfaces to itself, if there is one. */
  readonly anthropicUpstreamLabel: string | undefined
  /** Where the control plane listens; `undefined` when there is nothing to serve there: no log, and no metrics for others. */
  readonly controlUrl: string | undefined
  /** The transparency log's name and public key; `undefined` when it is off. */
  readonly log: { readonly origin: string; readonly key: string } | undefined
  /** How callers are known. */
  readonly identity: { readonly name: string; readonly verified: boolean }
  readonly policyDigest: string
  /** The audit key, when it dies with this process and was not given: to verify the log later. */
  readonly ephemeralKey: { readonly id: string; readonly hex: string } | undefined
  close(): Promise<void>
}

export interface ServingEvents {
  /** The audit log stopped being writable, or is again. */
  readonly onAuditState?: (ok: boolean, reason: string) => void
  /** A log segment was made; or it, or the index, could not be made. */
  readonly onAuditSegment?: (ok: boolean, text: string) => void
  /** The transparency log stopped being written, or is again. Rows are not concerned. */
  readonly onLogState?: (ok: boolean, reason: string) => void
  /** A time-stamping authority does not stamp checkpoints, or does again. */
  readonly onAnchorState?: (ok: boolean, reason: string) => void
  /** The shared state cannot be asked any longer, or can be again. */
  readonly onSharedState?: (ok: boolean, reason: string) => void
  /** The server of the shared state may throw keys away; `policy` is what it calls that. */
  readonly onEviction?: (policy: string) => void
}

/** `folder`: the project folder, where `--dev` keeps keys. */
export async function startServing(
  resolved: Resolved,
  pipeline: PipelineConfig,
  folder: string,
  events: ServingEvents = {},
): Promise<Serving> {
  const { settings, tls, redis, outside, hmacKey, receiptKey, sealingKey } = resolved
  let demo: DemoUpstream | undefined
  let audit: AuditLog | undefined
  let index: IndexKeeper | undefined
  let egress: Egress | undefined
  let log: LogParts | undefined
  let control: RunningControl | undefined
  let gate: RunningGate | undefined
  let shared: SharedState | undefined
  try {
    const { ring, ephemeralKey } = chainKeys()
    const signer = receiptSigner()
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
    shared = await sharedState()
    audit = await openAuditLog({
      path: settings.auditLogPath,
      ring,
      roll: {
        bytes: settings.auditSegmentBytes,
        ageNs: settings.auditSegmentAgeS === 0 ? undefined : BigInt(settings.auditSegmentAgeS) * 1_000_000_000n,
      },
      segmentFolder: settings.auditSegmentFolder,
      sealer: ownerSealer(),
      onDurable: rows => log?.log.push(rows),
      onState: events.onAuditState,
      onSegment: events.onAuditSegment,
    })
    if (settings.auditIndex) {
      const { keepIndex } = await import('../audit/index-thread.ts')
      const folders = settings.auditSegmentFolder === undefined ? [] : [settings.auditSegmentFolder]
      index = keepIndex(settings.auditLogPath, folders, text => events.onAuditSegment?.(false, text))
    }
    const changes = new Changes(systemClock)
    const approvals = await openApprovals(
      resolved,
      pipeline.checks,
      folder,
      { egress, now: Date.now, randomBytes },
      changes,
    )
    const noteKeySigner = settings.transparencyLog ? await noteSigner(settings) : undefined
    if (noteKeySigner !== undefined) {
      const onState = events.onLogState ?? (() => undefined)
      const onAnchorState = events.onAnchorState ?? (() => undefined)
      log = await openLogOf(settings, noteKeySigner, { audit, outside, egress, onState, onAnchorState })
    }
    const counters = new GateCounters()
    const capabilities = await openCapabilities(resolved, pipeline.checks, keyFolder)
    gate = await startGate({
      checks: pipeline.checks,
      shadow: settings.shadow,
      dialects: DIALECTS,
      upstream,
      credential: credentialFor(upstreamUrl, settings.upstreamApiKey),
      ...(anthropic === undefined ? {} : { upstreams: { anthropic } }),
      forwardHeaders: settings.extraForwardHeaders,
      identity,
      audit: counters.counting(audit),
      counter: counters,
      ...(log === undefined
        ? {}
        : {
            log: {
              rows: log.log,
              timeLimitMs: settings.assuranceTimeoutS * 1000,
              witnesses: log.witnesses !== undefined,
            },
          }),
      ...(shared === undefined ? {} : { shared }),
      ...(tls === undefined ? {} : { tls }),
      ...(signer === undefined
        ? {}
        : {
            receipts: {
              signer,
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
        beforeForward: settings.auditBeforeForward,
      },
      escalations: approvals.escalations,
      references: {
        allowKinds: settings.allowReferenceKinds,
        allowOpaque: settings.allowOpaqueInputs,
        allowBackground: settings.allowBackgroundRuns,
      },
      shutdownGraceMs: settings.shutdownGraceSeconds * 1000,
      version: VERSION,
    })
    const { access, devToken } = approvals
    const metrics = metricsFor(settings.controlHost, access, counters, audit, log, gate.gate)
    if (log !== undefined || access !== undefined || metrics !== undefined) {
      control = await startControl({
        host: settings.controlHost,
        port: controlPort(),
        allowedHosts: settings.controlAllowedHosts,
        log: log?.log,
        metrics,
        escalations: access === undefined ? undefined : { desk: gate.gate.desk, access, changes },
        version: VERSION,
      })
    }
    const running = gate
    return {
      url: gate.url,
      controlUrl: control?.url,
      devApprover: devToken === undefined ? undefined : { token: devToken },
      log:
        noteKeySigner === undefined ? undefined : { origin: noteKeySigner.key.name, key: formatKey(noteKeySigner.key) },
      upstreamUrl,
      upstreamLabel: upstream.label,
      anthropicUpstreamLabel: anthropic?.upstream.label,
      identity,
      policyDigest: gate.gate.pipeline.digest,
      ephemeralKey,
      close: async () => {
        await running.close()
        // After the audit log: its last rows are in it.
        await log?.close()
        await control?.close()
        await index?.close()
        await shared?.close()
        await egress?.close()
        await demo?.close()
      },
    }
  } catch (error) {
    if (gate === undefined) await audit?.close().catch(() => undefined)
    else await gate.close().catch(() => undefined)
    await log?.close()
    await index?.close()
    await shared?.close()
    await egress?.close()
    await demo?.close()
    throw startProblem(error)
  }

  function chainKeys(): { readonly ring: KeyRing; readonly ephemeralKey: Serving['ephemeralKey'] } {
    const legacy = Object.entries(settings.hmacLegacyKeys).map(([id, hex]) => Key.fromHex(id, hex))
    if (settings.hmacSecret !== undefined) {
      // Rows that --dev wrote before there was a key of one's own still have to verify.
      const dev = devKey(folder)
      const known = dev === undefined || dev.id === settings.hmacKeyId || legacy.some(({ id }) => id === dev.id)
      return {
        ring: new KeyRing(Key.fromHex(settings.hmacKeyId, settings.hmacSecret), known ? legacy : [...legacy, dev]),
        ephemeralKey: undefined,
      }
    }
    if (hmacKey === 'kept in .signet')
      return { ring: new KeyRing(keyFolder().secret('chain'), legacy), ephemeralKey: undefined }
    const id = `ephemeral-${randomBytes(4).toString('hex')}`
    const hex = randomBytes(32).toString('hex')
    return { ring: new KeyRing(Key.fromHex(id, hex), legacy), ephemeralKey: { id, hex } }
  }

  function ownerSealer(): SealingFolder | undefined {
    if (!settings.auditSealing) return undefined
    const key = sealingKey === undefined ? keyFolder().secret('sealing') : Key.fromHex('sealing', sealingKey)
    return new SealingFolder(settings.auditSealingFolder ?? `${settings.auditLogPath}.owners`, key)
  }

  function receiptSigner(): SigningKey | undefined {
    if (receiptKey === 'off') return undefined
    if (settings.receiptKeyFile !== undefined) return SigningKey.fromPem(readSecretFile(settings.receiptKeyFile))
    return receiptKey === 'kept in .signet' ? keyFolder().signing('receipts') : SigningKey.generate()
  }

  /** Where the data plane takes any free port, a second gate may be running. */
  function controlPort(): number {
    return settings.controlPort ?? (settings.port === 0 ? 0 : DEFAULT_CONTROL_PORT)
  }

  async function sharedState(): Promise<SharedState | undefined> {
    if (redis === undefined) return undefined
    const { openRedisState } = await import('../state/redis/open.ts')
    return openRedisState({
      ...redis,
      ...(events.onSharedState === undefined ? {} : { onState: events.onSharedState }),
      ...(events.onEviction === undefined ? {} : { onEviction: events.onEviction }),
    })
  }

  function keyFolder(): KeyFolder {
    return new KeyFolder(join(folder, DEV_FOLDER))
  }

  function startProblem(error: unknown): unknown {
    if (error instanceof ConfigError) return error
    switch (errorCode(error)) {
      case 'EADDRINUSE':
        if (gate !== undefined)
          return new ConfigError([
            `port ${controlPort()} on ${settings.controlHost} is taken, and the control plane needs it; stop what listens there or choose another with --control-port`,
          ])
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
