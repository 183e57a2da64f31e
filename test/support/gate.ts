/** A whole gate for tests: real listener, real log on disk, real keys, the demo model as upstream. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openAuditLog } from '../../src/audit/open.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { ClassificationGateCheck } from '../../src/checks/classification-gate.ts'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { RateLimitCheck } from '../../src/checks/rate-limit.ts'
import { RegexContentCheck } from '../../src/checks/regex-content.ts'
import { RegexOutputCheck } from '../../src/checks/regex-output.ts'
import { ScopeDriftCheck } from '../../src/checks/scope-drift.ts'
import { TokenBudgetCheck } from '../../src/checks/token-budget.ts'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import type { Check } from '../../src/core/check.ts'
import type { AuditWriter } from '../../src/core/row.ts'
import { DIALECTS } from '../../src/dialects/registry.ts'
import { type EscalationOptions, type RunningGate, type StartOptions, startGate } from '../../src/gate/start.ts'
import { assertedIdentity } from '../../src/identity/asserted.ts'
import { Key, KeyRing } from '../../src/keys/ring.ts'
import { SigningKey } from '../../src/keys/signing.ts'
import { MemoryEscalationStore } from '../../src/state/escalations/memory.ts'
import { startDemoUpstream } from '../../src/upstream/demo/server.ts'
import { DEMO_TOOLS } from '../../src/upstream/demo/tools.ts'
import { createUpstream } from '../../src/upstream/pool.ts'

export const RING = new KeyRing(new Key('k1', Buffer.alloc(32, 7)))
export const ISSUER = 'signet-test'

export interface TestGate {
  readonly url: string
  readonly running: RunningGate
  readonly logPath: string
  readonly signer: SigningKey
  /** Signs capabilities. */
  readonly permits: SigningKey
  readonly upstreamRequests: () => number
  /** Bodies that upstream has seen. */
  readonly seen: readonly Uint8Array[]
  rows(): Record<string, unknown>[]
  /** Closes the gate and verifies its log. */
  verify(): Promise<{ readonly ok: boolean }>
  close(): Promise<void>
}

/** Approvers whom no suite uses as an owner. */
export function testEscalations(more: Partial<EscalationOptions> = {}): EscalationOptions {
  const store = new MemoryEscalationStore({ maxEntries: 100_000, maxPerOwner: 100_000 })
  return { store, policy: { approvers: ['human:approver@example.org'] }, ...more }
}

export interface TestGateOptions extends Partial<Omit<StartOptions, 'audit'>> {
  /** Instead of the demo model. */
  readonly upstreamUrl?: string
  readonly wrapAudit?: (audit: AuditWriter) => AuditWriter
  readonly requestTimeoutMs?: number
  readonly idleTimeoutMs?: number
}

export async function startTestGate(options: TestGateOptions = {}): Promise<TestGate> {
  const folder = mkdtempSync(join(tmpdir(), 'signet-test-'))
  const logPath = join(folder, 'audit.jsonl')
  const seen: Uint8Array[] = []
  const demo =
    options.upstreamUrl === undefined && options.upstream === undefined
      ? await startDemoUpstream({ onRequest: r => seen.push(r.body) })
      : undefined
  const upstream =
    options.upstream ??
    createUpstream({
      url: options.upstreamUrl ?? demo?.url ?? '',
      ...(options.requestTimeoutMs === undefined ? {} : { requestTimeoutMs: options.requestTimeoutMs }),
      ...(options.idleTimeoutMs === undefined ? {} : { idleTimeoutMs: options.idleTimeoutMs }),
    })
  const audit = await openAuditLog({ path: logPath, ring: RING })
  const signer = SigningKey.generate()
  const permits = SigningKey.generate()
  const { upstreamUrl: _u, wrapAudit, requestTimeoutMs: _r, idleTimeoutMs: _i, ...start } = options
  const running = await startGate({
    checks: demoChecks(),
    dialects: DIALECTS,
    identity: assertedIdentity(),
    receipts: { signer, issuer: ISSUER },
    capabilities: { signer: permits, issuer: ISSUER },
    port: 0,
    version: '0.0.0-test',
    shutdownGraceMs: 1000,
    // Suites share one owner, whose bound a user would not reach.
    escalations: testEscalations(),
    ...start,
    settings: { strict: false, ...start.settings },
    upstream,
    audit: wrapAudit === undefined ? audit : wrapAudit(audit),
  })
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= running.close().then(() => demo?.close())
    return closed
  }
  return {
    url: running.url,
    running,
    logPath,
    signer,
    permits,
    upstreamRequests: () => demo?.requests ?? 0,
    seen,
    rows: () => {
      const text = readFileSync(logPath, 'utf8')
      return text
        .split('\n')
        .filter(l => l !== '')
        .map(l => JSON.parse(l) as Record<string, unknown>)
    },
    verify: async () => {
      await close()
      return verifyLog(logPath, RING)
    },
    close: async () => {
      await close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Every kind of built-in check, with limits that a test does not reach by chance, and the demo model's tools. */
export function demoChecks(): readonly Check[] {
  return [
    new OwnerResolutionCheck(),
    new RateLimitCheck({ capacity: 1_000_000, refillPerSecond: 1000 }),
    new TokenBudgetCheck({ cap: 1_000_000_000 }),
    new ClassificationGateCheck(),
    new RegexContentCheck({ patterns: [{ pattern: 'hunter2[0-9]{0,8}', action: 'redact', label: 'password' }] }),
    new RegexOutputCheck({ patterns: [{ pattern: 'sk-test-[A-Za-z0-9]{8,40}', action: 'redact', label: 'key' }] }),
    new ScopeDriftCheck(),
    new ToolCallInspectorCheck({ registry: DEMO_REGISTRY }),
  ]
}

export const DEMO_REGISTRY = Object.fromEntries(
  DEMO_TOOLS.map(t => [t.name, { riskTier: t.tier, irreversible: !t.reversible }]),
)

export interface Asked {
  readonly owner?: string | null
  readonly headers?: Readonly<Record<string, string>>
}

/** POST to chat completions. `owner: null` leaves the owner out. */
export function chat(gate: Pick<TestGate, 'url'>, body: unknown, asked: Asked = {}): Promise<Response> {
  return fetch(`${gate.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(asked.owner === null ? {} : { 'x-commit-owner': asked.owner ?? 'human:alice@example.com' }),
      ...asked.headers,
    },
    body: typeof body === 'string' ? body : body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body),
  })
}

/** A chat request that makes the demo model follow a scenario. */
export function scenario(
  scenario: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    model: 'demo',
    messages: [{ role: 'user', content: 'Say hello' }],
    metadata: { signet_demo: escaped(scenario) },
    ...more,
  }
}

/** JSON with every letter of its strings escaped, so that no check finds in the request what is meant to be found in the answer. */
function escaped(value: unknown): string {
  return JSON.stringify(value, (key, v: unknown) =>
    typeof v === 'string' && key !== 'kind' ? `\u0000${v}` : v,
  ).replace(
    /"\\u0000((?:[^"\\]|\\.)*)"/g,
    (_all, body: string) =>
      `"${[...(JSON.parse(`"${body}"`) as string)]
        .flatMap(c => c.split(''))
        .map(u => `\\u${u.charCodeAt(0).toString(16).padStart(4, '0')}`)
        .join('')}"`,
  )
}
