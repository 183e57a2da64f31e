/**
 * Puts a gate together and listens. Everything that can be wrong is found here, before the first request; a gate that
 * started has a log it can write, a pipeline that is not empty, and keys.
 */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { LONGEST_LIFE_S } from '../capability/claims.ts'
import type { Check } from '../core/check.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { AuditWriter } from '../core/row.ts'
import type { EscalationStore, IssuedState, RedemptionStore, SessionState, SharedState } from '../core/state.ts'
import type { CheckTimes } from '../core/timing.ts'
import type { Dialect } from '../core/wire.ts'
import type { ApprovalPolicy } from '../escalation/approvers.ts'
import { createBox } from '../escalation/box.ts'
import { Desk } from '../escalation/desk.ts'
import type { Escalation } from '../escalation/escalation.ts'
import { createDuplicateRule } from '../identity/headers.ts'
import { createListenerRule } from '../identity/host.ts'
import { createPeerResolver } from '../identity/peer.ts'
import type { IdentityStrategy } from '../identity/strategy.ts'
import { buildJwks } from '../jws/jwks.ts'
import type { Signer } from '../keys/signing.ts'
import { ScheduledSigners, type SigningKeys } from '../keys/signing-keys.ts'
import { buildPipeline } from '../pipeline/pipeline.ts'
import { MemoryEscalationStore } from '../state/escalations/memory.ts'
import { MemoryReferenceState, MemorySessionState } from '../state/memory.ts'
import { MemoryRedemptionStore } from '../state/redemptions/memory.ts'
import { systemClock, systemRandom } from '../state/system.ts'
import type { ExchangeCounter } from '../telemetry/counters.ts'
import { type Credential, createRequestHeaders } from '../upstream/headers.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { Capabilities, Cors, Gate, GateLog, GateSettings, References, Target } from './gate.ts'
import { markStarted } from './health.ts'
import { IssuedCapabilities } from './issued.ts'
import { createListener } from './listener.ts'
import { createRedeemers } from './redeemers.ts'
import { checkTls, type ListenerTls } from './tls.ts'

export interface StartOptions {
  readonly checks: readonly Check[]
  readonly shadow?: boolean
  readonly dialects: readonly Dialect[]
  /** Serves every surface whose provider has no upstream of its own below. */
  readonly upstream: Upstream
  readonly credential?: Credential
  readonly upstreams?: { readonly anthropic?: { readonly upstream: Upstream; readonly credential?: Credential } }
  readonly forwardHeaders?: readonly string[]
  readonly identity: IdentityStrategy
  readonly audit: AuditWriter
  /** The transparency log over its rows. `witnesses`: its checkpoints are cosigned. */
  readonly log?: GateLog & { readonly witnesses: boolean }
  readonly receipts?: {
    /** One key without an end, or keys that change. */
    readonly signer: Signer | SigningKeys
    readonly issuer: string
    readonly headerName?: string
    readonly form?: 'jws' | 'signet-v1'
  }
  /** Needed when a tool has an audience. */
  readonly capabilities?: CapabilityOptions
  /** https, and client certificates when the identity strategy needs them. Default: http. */
  readonly tls?: ListenerTls
  readonly host?: string
  readonly port?: number
  /** Host names answered besides the loopback ones and the bind address. */
  readonly allowedHosts?: readonly string[]
  readonly allowedOrigins?: readonly string[]
  readonly trustedProxies?: readonly string[]
  readonly cors?: Cors
  readonly settings?: Partial<GateSettings>
  /** State shared with other gates; what is given beside it goes before it. Its opener closes it. */
  readonly shared?: SharedState
  readonly sessions?: SessionState
  readonly escalations?: EscalationOptions
  /** What requests may name that upstream keeps. Default: only what the same owner got through this gate. */
  readonly references?: Partial<References>
  readonly shutdownGraceMs?: number
  /** Counts exchanges as they end. */
  readonly counter?: ExchangeCounter
  /** Counts how long checks take. Default: nobody does, and nothing is measured. */
  readonly times?: CheckTimes
  /** One line per request; closed with the gate. Default: none. */
  readonly access?: Gate['access']
  readonly clock?: Clock
  readonly random?: Random
  readonly version: string
}

export interface CapabilityOptions {
  /** One key without an end, or keys that change. */
  readonly signer: Signer | SigningKeys
  readonly issuer: string
  /** From release, in whole seconds. Default 120. */
  readonly ttlS?: number
  /** Executors that use capabilities up at this gate: audience to `sha256:<hex>` of its secret. */
  readonly redeemers?: Readonly<Record<string, string>>
  /** Default: in memory, gone with the process. */
  readonly redemptions?: RedemptionStore
  /** Default: in memory, this gate's own. */
  readonly issued?: IssuedState
}

export interface EscalationOptions {
  /** Who may approve. Default: nobody, and then what would be held is refused. */
  readonly policy?: ApprovalPolicy
  /** Default: in memory, gone with the process. */
  readonly store?: EscalationStore
  /** 32 bytes that seal what the store keeps; needed with a store that outlives the process. */
  readonly key?: Uint8Array
  /** How long a human has, in milliseconds. Default 15 minutes. */
  readonly ttlMs?: number
  readonly onChange?: (e: Escalation) => void
  /** Another process that shares the store expires what is due. Default: this one does. */
  readonly sweptElsewhere?: boolean
}

export interface RunningGate {
  readonly url: string
  readonly port: number
  readonly gate: Gate
  readonly server: Server
  /** Stops accepting, lets running exchanges end within the grace period, then closes everything. */
  close(): Promise<void>
}

const DEFAULT_SETTINGS: GateSettings = {
  strict: true,
  maxBodyBytes: 4 * 1024 * 1024,
  maxConcurrent: 4096,
  maxHeldBytes: 32 * 1024 * 1024,
  maxHeldBytesTotal: 256 * 1024 * 1024,
  onEscalate: '202',
  onRefuse: 'deliver',
  beforeForward: 'auto',
  cors: undefined,
}

export async function startGate(o: StartOptions): Promise<RunningGate> {
  checkTls(o.tls, o.identity)
  const gate = assemble(o)
  let server: Server
  try {
    checkAssurance(gate, o.log?.witnesses === true)
    checkAudience(gate)
    server = await listening(createListener(gate, o.tls), o)
  } catch (error) {
    // The desk looks for what is due by a timer, which would keep a process alive that serves nothing.
    await gate.desk.close()
    await gate.capabilities?.redemptions.close()
    throw error
  }
  markStarted(gate)
  const address = server.address()
  const { port } = isAddress(address) ? address : { port: 0 }
  const host = o.host ?? '127.0.0.1'
  return {
    url: `${o.tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    gate,
    server,
    close: () => shutDown(gate, server, o.shutdownGraceMs ?? 10_000),
  }
}

function listening(server: Server, { host, port }: StartOptions): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: host ?? '127.0.0.1', port: port ?? 8443, backlog: 1024 }, () => {
      server.off('error', reject)
      resolve(server)
    })
  })
}

function assemble(o: StartOptions): Gate {
  const clock = o.clock ?? systemClock
  const random = o.random ?? systemRandom()
  const bind = o.host === undefined || o.host === '0.0.0.0' || o.host === '::' ? [] : [o.host]
  const corsOrigins = o.cors?.origins ?? []
  const ttlMs = o.escalations?.ttlMs ?? 15 * 60_000
  const receipts =
    o.receipts === undefined
      ? undefined
      : {
          keys: keysOf(o.receipts.signer),
          issuer: o.receipts.issuer,
          headerName: o.receipts.headerName ?? 'X-Signet-Receipt',
          form: o.receipts.form ?? 'jws',
        }
  const capabilities = o.capabilities === undefined ? undefined : capabilitiesOf(o.capabilities, clock, ttlMs)
  const openai = target(o, o.upstream, o.credential)
  const anthropic = o.upstreams?.anthropic
  if (o.shared !== undefined) for (const check of o.checks) check.shareState?.(o.shared)
  return {
    pipeline: buildPipeline({
      checks: o.checks,
      clock,
      ...(o.shadow === undefined ? {} : { shadow: o.shadow }),
      ...(o.times === undefined ? {} : { times: o.times }),
    }),
    dialects: o.dialects,
    targets: {
      openai,
      anthropic: anthropic === undefined ? openai : target(o, anthropic.upstream, anthropic.credential),
    },
    identity: o.identity,
    peer: createPeerResolver({ trustedProxies: o.trustedProxies ?? [] }),
    listenerRule: createListenerRule({
      hosts: [...bind, ...(o.allowedHosts ?? [])],
      origins: [...new Set([...(o.allowedOrigins ?? []), ...corsOrigins])],
    }),
    duplicates: createDuplicateRule(o.identity.headers),
    audit: o.audit,
    log: o.log,
    receipts,
    capabilities,
    jwks: () => publicKeys(receipts?.keys, capabilities?.keys, clock.now()),
    sessions: o.sessions ?? o.shared?.sessions ?? new MemorySessionState(),
    desk: new Desk({
      store: o.escalations?.store ?? new MemoryEscalationStore(),
      // A store in memory dies with the process, and so may its key.
      box: createBox(o.escalations?.key ?? random.bytes(32), random),
      audit: o.audit,
      clock,
      random,
      policy: o.escalations?.policy ?? { approvers: [] },
      ttlMs,
      sweptElsewhere: o.escalations?.sweptElsewhere ?? false,
      ...(o.escalations?.onChange === undefined ? {} : { onChange: o.escalations.onChange }),
    }),
    references: {
      state: o.references?.state ?? o.shared?.references ?? new MemoryReferenceState(),
      allowKinds: o.references?.allowKinds ?? [],
      allowOpaque: o.references?.allowOpaque ?? false,
      allowBackground: o.references?.allowBackground ?? false,
    },
    shared: o.shared,
    settings: { ...DEFAULT_SETTINGS, ...o.settings, cors: o.cors },
    load: { active: 0, heldBytes: 0 },
    counter: o.counter ?? { exchange: () => undefined },
    access: o.access,
    clock,
    random,
    version: o.version,
  }
}

function capabilitiesOf(o: CapabilityOptions, clock: Clock, escalationTtlMs: number): Capabilities {
  const { signer, issuer, ttlS = 120, redeemers = {} } = o
  if (!Number.isSafeInteger(ttlS) || ttlS < 1 || ttlS > LONGEST_LIFE_S) {
    throw new TypeError(`capabilities.ttlS: expected whole seconds from 1 to ${LONGEST_LIFE_S}, got ${String(ttlS)}`)
  }
  return {
    keys: keysOf(signer),
    issuer,
    ttlS,
    issued: o.issued ?? new IssuedCapabilities(clock),
    redemptions: o.redemptions ?? new MemoryRedemptionStore(),
    approvedMs: escalationTtlMs + ttlS * 1000,
    redeemers: createRedeemers(redeemers),
  }
}

function keysOf(signer: Signer | SigningKeys): SigningKeys {
  return 'at' in signer ? signer : ScheduledSigners.of(signer)
}

/** Each key says what it is for: what signs receipts proves no capability. */
function publicKeys(receipts: SigningKeys | undefined, capabilities: SigningKeys | undefined, now: number): string {
  const keys = [
    ...(receipts?.published(now) ?? []).map(key => ({ ...key, signet_purpose: 'receipts' })),
    ...(capabilities?.published(now) ?? []).map(key => ({ ...key, signet_purpose: 'capabilities' })),
  ]
  return JSON.stringify(buildJwks(keys))
}

/** Somebody believes that executors can demand one. */
function checkAudience({ pipeline, capabilities }: Gate): void {
  if (pipeline.audience.any && capabilities === undefined)
    throw new TypeError('a tool has an audience, and there is no key to sign capabilities with; give one, or remove it')
}

/** A demand that can never be met would refuse every call of the tool, one by one and late. */
function checkAssurance({ pipeline, log }: Gate, witnesses: boolean): void {
  const { highest } = pipeline.assurance
  if (highest === 'durable') return
  if (log === undefined) {
    throw new TypeError(
      `a tool demands the assurance '${highest}', and the transparency log is off; set transparencyLog, or demand 'durable'`,
    )
  }
  if (highest === 'witnessed' && !witnesses) {
    throw new TypeError(
      "a tool demands the assurance 'witnessed', and no witnesses are configured; configure them, or demand 'logged'",
    )
  }
}

function target(o: StartOptions, upstream: Upstream, credential: Credential | undefined): Target {
  return {
    upstream,
    requestHeaders: createRequestHeaders({
      credential: credential ?? { kind: 'passthrough' },
      ...(o.forwardHeaders === undefined ? {} : { forward: o.forwardHeaders }),
      userAgent: `signet/${o.version}`,
    }),
  }
}

async function shutDown(gate: Gate, server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()))
  // A kept-alive connection falls idle when its answer is over; nobody else would close it then.
  let cancelSweep: () => void = () => undefined
  const sweep = () => {
    server.closeIdleConnections()
    cancelSweep = gate.clock.timer(50, sweep)
  }
  sweep()
  let cancel: () => void = () => undefined
  const grace = new Promise<void>(resolve => {
    cancel = gate.clock.timer(graceMs, resolve)
  })
  await Promise.race([closed, grace])
  cancel()
  cancelSweep()
  await gate.desk.close()
  await gate.capabilities?.redemptions.close()
  await Promise.all([...new Set(Object.values(gate.targets).map(t => t.upstream))].map(u => u.destroy()))
  server.closeAllConnections()
  await closed
  await gate.access?.close()
  await gate.audit.close()
}

function isAddress(address: string | AddressInfo | null): address is AddressInfo {
  return typeof address === 'object' && address !== null
}
