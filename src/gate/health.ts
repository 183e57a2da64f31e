/** Liveness, readiness, version and public keys. Nothing here needs or reveals a credential. */
import type { ServerResponse } from 'node:http'
import type { Gate } from './gate.ts'
import { receiptsReady } from './receipts.ts'

const startedAt = new WeakMap<Gate, number>()

export function markStarted(gate: Gate): void {
  startedAt.set(gate, gate.clock.now())
}

/** Does not depend on upstream: a gate whose model is down is alive. */
export function health(gate: Gate) {
  const { head } = gate.audit
  return {
    status: 'ok',
    service: 'signet',
    version: gate.version,
    uptime_seconds: Math.max(0, Math.round(gate.clock.now() - (startedAt.get(gate) ?? gate.clock.now())) / 1000),
    pipeline_check_count: gate.pipeline.checks.length,
    shadow: gate.pipeline.shadow,
    audit_ok: gate.audit.ok,
    /** Last eight digits; null for a log without rows. */
    audit_chain_head_hmac: head.hmac === undefined ? null : head.hmac.slice(-8),
  }
}

export async function ready(gate: Gate): Promise<{ readonly status: number; readonly body: unknown }> {
  if (!gate.audit.ok) return { status: 503, body: { status: 'not_ready', reason: 'the audit log cannot be written' } }
  if (!receiptsReady(gate)) return { status: 503, body: { status: 'not_ready', reason: 'no receipt can be signed' } }
  if ((await gate.shared?.reachable()) === false)
    return { status: 503, body: { status: 'not_ready', reason: 'the shared state cannot be used' } }
  const upstreams = [...new Set(Object.values(gate.targets).map(t => t.upstream))]
  const probes = await Promise.all(upstreams.map(async upstream => ({ upstream, probe: await upstream.probe() })))
  const down = probes.find(p => !p.probe.ready)
  if (down === undefined) {
    return {
      status: 200,
      body: { status: 'ready', upstream_status: probes[0]?.probe.status, ...(await logDetail(gate)) },
    }
  }
  const { probe, upstream } = down
  if (probe.ready) throw new Error('a probe that is not ready was looked for')
  return {
    status: 503,
    body: {
      status: 'not_ready',
      reason: probe.reason,
      upstream: upstream.label,
      ...(probe.status === undefined ? {} : { upstream_status: probe.status }),
    },
  }
}

/** Behind is a detail: only calls that demand more than a durable row wait for the log. Its reasons are the operator's. */
async function logDetail({ log }: Gate) {
  if (log === undefined) return {}
  const { ok, halted, size, behind, behindMs, witnessed } = await log.rows.status
  const more = witnessed === undefined ? {} : { witnessed }
  return {
    log: {
      ok,
      ...(halted ? { halted } : {}),
      size,
      behind_rows: behind,
      behind_seconds: Math.round(behindMs) / 1000,
      ...more,
    },
  }
}

export function versionInfo(gate: Gate) {
  return { version: gate.version, service: 'signet' }
}

/** RFC 7517. Public keys change only with rotation; a new one is published before it signs. */
export function jwks(gate: Gate, res: ServerResponse): void {
  const body = Buffer.from(gate.jwks())
  res.writeHead(200, {
    'content-type': 'application/jwk-set+json',
    'content-length': body.length,
    'cache-control': 'public, max-age=300',
  })
  res.end(body)
}
