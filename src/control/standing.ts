/**
 * How the gate stands: the pipeline that decides, what its proofs are verified with, and, for admins, keys and the health
 * of the log. Nothing here is a secret: keys are named, or public.
 */
import type { AuthorityStatus } from '../audit/anchor/anchorer.ts'
import type { Alarm } from '../audit/log/alarm.ts'
import type { WitnessStatus } from '../audit/log/witness-client.ts'
import type { Check } from '../core/check.ts'
import type { AuditWriter, RowLogStatus } from '../core/row.ts'
import { HOOK_STAGES } from '../core/timing.ts'
import type { SigningKeys } from '../keys/signing-keys.ts'
import type { CheckDurations } from '../telemetry/check-durations.ts'
import { type Access, asPerson } from './access.ts'
import { json, type Route } from './listener.ts'

export interface StandingOptions {
  readonly version: string
  readonly startedAtMs: number
  readonly nowMs: () => number
  readonly pipeline: {
    readonly checks: readonly Check[]
    /** How long they take. */
    readonly times: Pick<CheckDurations, 'of'>
    readonly shadow: boolean
    readonly policyDigest: string
    readonly source: string
    readonly upstream: string
    readonly identity: { readonly name: string; readonly verified: boolean }
  }
  readonly audit: Pick<AuditWriter, 'ok' | 'head'>
  readonly chainKeys: () => { readonly ids: readonly string[]; readonly active: string }
  readonly load: () => { readonly active: number; readonly heldBytes: number }
  readonly receipts:
    | { readonly keys: SigningKeys; readonly issuer: string; readonly headerName: string; readonly form: string }
    | undefined
  /** What signs capabilities; absent where no tool has an audience. */
  readonly capabilities: SigningKeys | undefined
  readonly log:
    | {
        readonly origin: string
        readonly key: string
        readonly status: () => RowLogStatus
        readonly alarm: () => Alarm | undefined
        readonly witnesses: () => readonly WitnessStatus[]
        readonly anchors: () => readonly AuthorityStatus[]
      }
    | undefined
}

export function standingRoutes(o: StandingOptions, access: Access): readonly Route[] {
  const get = (path: string, role: 'viewer' | 'admin', body: () => unknown): Route => ({
    path,
    methods: ['GET'],
    takes: asked => asked === path,
    answer: (_, request) => asPerson(access, request, role, async () => json(200, body())),
  })
  return [
    get('/api/v1/pipeline', 'viewer', () => pipeline(o)),
    get('/api/v1/trust', 'viewer', () => trust(o)),
    get('/api/v1/health', 'admin', () => health(o)),
  ]
}

function pipeline({ pipeline: p }: StandingOptions) {
  return {
    policy_digest: p.policyDigest,
    shadow: p.shadow,
    source: p.source,
    upstream: p.upstream,
    identity: p.identity,
    // By priority: the order in which they are asked.
    checks: [...p.checks]
      .sort((a, b) => a.priority - b.priority)
      .map(check => {
        const { stages, options } = check.describe()
        return {
          name: check.name,
          priority: check.priority,
          time_limit_ms: check.timeLimitMs,
          shadow: check.shadow === true,
          stages: Array.isArray(stages) ? stages.filter(s => typeof s === 'string') : [],
          options: options ?? {},
          times: HOOK_STAGES.flatMap(stage => {
            const took = p.times.of(check.name, stage)
            return took === undefined
              ? []
              : [{ stage, n: took.n, p50_ms: took.p50Ms, p95_ms: took.p95Ms, max_ms: took.maxMs }]
          }),
        }
      }),
  }
}

function trust({ receipts, log, nowMs }: StandingOptions) {
  return {
    receipts:
      receipts === undefined
        ? null
        : {
            issuer: receipts.issuer,
            header: receipts.headerName,
            form: receipts.form,
            jwks: { keys: publishedAt(receipts.keys, nowMs(), 'receipts') },
          },
    log: log === undefined ? null : { origin: log.origin, key: log.key },
  }
}

/** As the data plane publishes them. */
type Purpose = 'receipts' | 'capabilities'

function publishedAt(keys: SigningKeys, now: number, purpose: Purpose) {
  return keys.published(now).map(key => ({ ...key, signet_purpose: purpose }))
}

function keysAt(keys: SigningKeys | undefined, now: number, purpose: Purpose) {
  if (keys === undefined) return null
  return {
    signing: keys.at(now)?.kid ?? null,
    published: publishedAt(keys, now, purpose),
  }
}

function health(o: StandingOptions) {
  const { log, receipts } = o
  const { head } = o.audit
  const status = log?.status()
  const now = o.nowMs()
  const alarm = log?.alarm()
  return {
    version: o.version,
    started_at: new Date(o.startedAtMs).toISOString(),
    audit: { ok: o.audit.ok, rows: Number(head.size) },
    load: { exchanges: o.load().active, held_bytes: o.load().heldBytes },
    chain_keys: o.chainKeys(),
    receipt_keys: keysAt(receipts?.keys, now, 'receipts'),
    capability_keys: keysAt(o.capabilities, now, 'capabilities'),
    log:
      log === undefined || status === undefined
        ? null
        : {
            origin: log.origin,
            key: log.key,
            ok: status.ok,
            reason: status.reason ?? null,
            halted: status.halted,
            size: status.size,
            behind_rows: status.behind,
            behind_ms: status.behindMs,
            witnessed: status.witnessed ?? null,
            alarm: alarm === undefined ? null : { kind: alarm.kind, witness: alarm.witness, detail: alarm.detail },
            witnesses: log.witnesses().map(w => ({
              name: w.name,
              size: w.size,
              cosignatures: w.cosignatures,
              failures: w.failures,
              problem: w.problem ?? null,
            })),
            anchors: log.anchors().map(a => ({
              authority: a.authority,
              size: a.size,
              at: a.atMs === 0 ? null : new Date(a.atMs).toISOString(),
              failures: a.failures,
              problem: a.problem ?? null,
            })),
          },
  }
}
