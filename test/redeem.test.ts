/** Capabilities used up at the gate: once, by their own executor, each with its rows. */
import { hash } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CapabilityInvalid, GateRedeemer, requireCapability } from '../src/capability/index.ts'
import { issueCapability } from '../src/capability/issue.ts'
import { ToolCallInspectorCheck } from '../src/checks/tool-call-inspector.ts'
import { StateFull } from '../src/core/memory-state.ts'
import type { RedemptionStore } from '../src/core/state.ts'
import { MemoryRedemptionStore } from '../src/state/redemptions/memory.ts'
import { openSqliteRedemptions } from '../src/state/redemptions/sqlite-thread.ts'
import { chat, DEMO_REGISTRY, demoChecks, ISSUER, startTestGate, type TestGate } from './support/gate.ts'

const WEATHER = 'https://weather.example'
const SECRET = 'executor-secret-of-the-weather-service'
const OTHER = 'executor-secret-of-somebody-else'
const sha256 = (text: string) => `sha256:${hash('sha256', text, 'hex')}`

const folder = mkdtempSync(join(tmpdir(), 'signet-redeem-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let files = 0
const fresh = () => join(folder, `redemptions-${(files += 1)}.db`)

const checks = () => [
  ...demoChecks().filter(c => c.name !== 'tool_call_inspector'),
  new ToolCallInspectorCheck({ registry: { ...DEMO_REGISTRY, get_weather: { riskTier: 'low', audience: WEATHER } } }),
]
const redeemers = { [WEATHER]: sha256(SECRET), 'https://other.example': sha256(OTHER) }

async function gateWith(redemptions?: RedemptionStore): Promise<TestGate> {
  const { SigningKey } = await import('../src/keys/signing.ts')
  const signer = SigningKey.generate()
  const capabilities = { signer, issuer: ISSUER, redeemers, ...(redemptions === undefined ? {} : { redemptions }) }
  return { ...(await startTestGate({ checks: checks(), capabilities })), permits: signer }
}

async function capabilityOf(gate: TestGate): Promise<string> {
  const tools = [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object' } } }]
  const asked = { model: 'demo', tools, messages: [{ role: 'user', content: 'What is the weather in Oslo?' }] }
  const text = await (await chat(gate, asked)).text()
  return /"capability":"([^"]+)"/.exec(text)?.[1] ?? ''
}

function post(gate: TestGate, path: string, body: unknown, secret = SECRET): Promise<Response> {
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (secret !== '') headers['authorization'] = `Bearer ${secret}`
  return fetch(gate.url + path, {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}
const redeem = (gate: TestGate, capability: unknown, secret = SECRET) =>
  post(gate, '/signet/v1/redeem', { capability }, secret)
const told = async (res: Response) => [res.status, ((await res.json()) as Record<string, unknown>)['error']]

const STORES: Readonly<Record<string, () => Promise<RedemptionStore>>> = {
  memory: () => Promise.resolve(new MemoryRedemptionStore()),
  sqlite: () => openSqliteRedemptions(fresh()),
}

describe.each(Object.keys(STORES))('the redeem endpoint (%s)', kind => {
  let gate: TestGate
  beforeAll(async () => {
    gate = await gateWith(await (STORES[kind] ?? STORES['memory'])?.())
  })
  afterAll(async () => {
    expect((await gate.verify()).ok).toBe(true)
    await gate.close()
  })

  it('redeems once, and writes who used what', async () => {
    const capability = await capabilityOf(gate)
    const first = await redeem(gate, capability)
    expect(first.status).toBe(200)
    expect(first.headers.get('cache-control')).toBe('no-store')
    const { jti, outcome_url: at } = (await first.json()) as Record<string, string>
    expect(await told(await redeem(gate, capability))).toEqual([409, 'already_used'])
    const row = gate.rows().at(-1)
    expect(row).toMatchObject({
      owner_type: 'human',
      owner_id: 'alice@example.com',
      check_name: 'pipeline.execution',
      decision: 'allow',
      metadata: { _check_name: 'capability.redeemed', _capability_jti: jti, _tool: 'get_weather', _audience: WEATHER },
    })
    const path = at ?? ''
    expect(path).toBe(`/signet/v1/redeem/${jti}/outcome`)
    expect(await told(await post(gate, path, { ok: true }, OTHER))).toEqual([404, 'unknown'])
    expect((await told(await post(gate, path, { ok: 'yes' })))[0]).toBe(400)
    expect((await post(gate, path, { ok: false, detail: `no\u0007 such\ncity${'x'.repeat(500)}` })).status).toBe(200)
    expect(await told(await post(gate, path, { ok: true }))).toEqual([409, 'already_recorded'])
    expect(await told(await post(gate, '/signet/v1/redeem/unknown/outcome', { ok: true }))).toEqual([404, 'unknown'])
    const outcome = gate.rows().at(-1)
    expect(outcome).toMatchObject({ check_name: 'pipeline.execution', decision: 'block' })
    const detail = /"_detail":"([^"]*)"/.exec(JSON.stringify(outcome))?.[1] ?? ''
    expect(detail).toMatch(/^no such cityx+$/)
    expect(detail.length).toBeLessThanOrEqual(256)
  })

  it('lets one of a hundred executors through', async () => {
    let ran = 0
    const capability = await capabilityOf(gate)
    const guarded = requireCapability('get_weather', () => (ran += 1), {
      jwksUrl: `${gate.url}/.well-known/jwks.json`,
      issuer: ISSUER,
      audience: WEATHER,
      replay: new GateRedeemer({ gateUrl: gate.url, secret: SECRET }),
    })
    const call = { capability, argumentsText: '{"city":"Oslo"}' }
    const all = await Promise.allSettled(Array.from({ length: 100 }, () => guarded(call)))
    expect(ran).toBe(1)
    const codes = all.flatMap(r => (r.status === 'rejected' ? [(r.reason as CapabilityInvalid).code] : []))
    expect(new Set(codes)).toEqual(new Set(['already_used']))
    const mine = gate.rows().filter(r => JSON.stringify(r).includes(claimsOf(capability)['jti'] as string))
    // The call's own, its use and its outcome.
    expect(mine.map(r => [r['check_name'], r['decision']]).slice(-2)).toEqual([
      ['pipeline.execution', 'allow'],
      ['pipeline.execution', 'allow'],
    ])
  })

  it.each([
    ['nobody', '', 401],
    ['a wrong secret', 'wrong-secret-wrong-secret-wrong', 401],
    ['another executor', OTHER, 403],
  ])('refuses %s, and the capability stays good', async (_who, secret, status) => {
    const capability = await capabilityOf(gate)
    const before = gate.rows().length
    expect((await redeem(gate, capability, secret)).status).toBe(status)
    expect(gate.rows().length).toBe(before)
    expect((await redeem(gate, capability)).status).toBe(200)
  })

  it('refuses what is no capability of this gate', async () => {
    const { SigningKey } = await import('../src/keys/signing.ts')
    const claims = { ...claimsOf(await capabilityOf(gate)), jti: 'other' } as unknown as Parameters<
      typeof issueCapability
    >[0]
    const past = { ...claims, nbf: 1, exp: 2 }
    const cases: readonly (readonly [unknown, number, string])[] = [
      [await issueCapability(claims, SigningKey.generate()), 403, 'key_unknown'],
      [await issueCapability(past, gate.permits), 403, 'expired'],
      [await issueCapability({ ...claims, iss: 'other' }, gate.permits), 403, 'issuer_wrong'],
      ['nonsense', 403, 'capability_malformed'],
      [undefined, 403, 'capability_missing'],
      [7, 403, 'capability_missing'],
    ]
    for (const [capability, status, error] of cases)
      expect(await told(await redeem(gate, capability))).toEqual([status, error])
    for (const body of ['', '[]', '{"capability":"a","capability":"b"}', '{'])
      expect((await post(gate, '/signet/v1/redeem', body)).status).toBe(400)
    expect((await post(gate, '/signet/v1/redeem', { capability: 'x'.repeat(40_000) })).status).toBe(413)
    expect((await fetch(`${gate.url}/signet/v1/redeem`)).status).toBe(405)
  })
})

describe('what was used', () => {
  it('is used after a restart too, when it is kept in a file', async () => {
    const path = fresh()
    const one = await gateWith(await openSqliteRedemptions(path))
    const capability = await capabilityOf(one)
    expect((await redeem(one, capability)).status).toBe(200)
    const signer = one.permits
    await one.close()
    const redemptions = await openSqliteRedemptions(path)
    const two = await startTestGate({
      checks: checks(),
      capabilities: { signer, issuer: ISSUER, redeemers, redemptions },
    })
    expect((await redeem(two, capability)).status).toBe(409)
    await two.close()
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('is not known where the file of uses was deleted under the gate: it would be usable again after a restart', async () => {
    const path = fresh()
    const one = await gateWith(await openSqliteRedemptions(path))
    const capability = await capabilityOf(one)
    rmSync(path)
    expect(await told(await redeem(one, capability))).toEqual([503, 'state_unavailable'])
    await one.close()
  })

  it('is not redeemed again by a process that has forgotten it', async () => {
    const one = await gateWith()
    const capability = await capabilityOf(one)
    expect((await redeem(one, capability)).status).toBe(200)
    await one.close()
    const two = await startTestGate({
      checks: checks(),
      capabilities: { signer: one.permits, issuer: ISSUER, redeemers },
    })
    expect(await told(await redeem(two, capability))).toEqual([403, 'issued_elsewhere'])
    await two.close()
  })

  it('cannot be known when the store fails, and then nothing is redeemed', async () => {
    const store = new MemoryRedemptionStore(1)
    const gate = await gateWith(store)
    const [a, b] = [await capabilityOf(gate), await capabilityOf(gate)]
    expect((await redeem(gate, a)).status).toBe(200)
    expect((await redeem(gate, b)).status).toBe(503)
    const guarded = requireCapability('get_weather', () => 'ran', {
      jwksUrl: `${gate.url}/.well-known/jwks.json`,
      issuer: ISSUER,
      audience: WEATHER,
      replay: new GateRedeemer({ gateUrl: gate.url, secret: SECRET }),
    })
    const call = { capability: b, argumentsText: '{"city":"Oslo"}' }
    await expect(guarded(call)).rejects.toMatchObject({ code: 'replay_unavailable' })
    await gate.close()
    await expect(guarded(call)).rejects.toBeInstanceOf(CapabilityInvalid)
  })

  it.each(Object.keys(STORES))('is kept until its time and within its bound (%s)', async kind => {
    const store =
      kind === 'memory' ? new MemoryRedemptionStore(2) : await openSqliteRedemptions(fresh(), { maxEntries: 2 })
    expect([await store.redeem('a', '1', 100, 0), await store.redeem('b', '2', 20_000, 0)]).toEqual([true, true])
    expect(await store.redeem('a', '1', 100, 0)).toBe(false)
    await expect((async () => store.redeem('c', '3', 100, 50))()).rejects.toThrow(StateFull)
    expect(await store.redeem('c', '3', 9_000, 5_000)).toBe(true)
    expect([await store.find('a'), await store.find('b'), await store.find('c')]).toEqual([undefined, '2', '3'])
    expect([await store.settle('b'), await store.settle('b'), await store.settle('a')]).toEqual([true, false, false])
    await store.close()
  })

  it('is one memory for two processes that share the file', async () => {
    const path = fresh()
    const [one, two] = [await openSqliteRedemptions(path), await openSqliteRedemptions(path)]
    const tries = await Promise.all(
      Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? one : two).redeem('j', '{}', 10_000, 0)),
    )
    expect(tries.filter(first => first).length).toBe(1)
    await one.close()
    await two.close()
    await expect((async () => one.redeem('k', '{}', 1, 0))()).rejects.toThrow('closed')
  })
})

it('an executor believes only the gate’s own answer', async () => {
  const use = { issuer: 'i', jti: 'j', capability: 'c', untilMs: 1, nowMs: 0 }
  const answering = (res: () => Response) =>
    new GateRedeemer({ gateUrl: 'https://gate.example', secret: SECRET, fetch: () => Promise.resolve(res()) })
  expect(await answering(() => Response.json({ status: 'redeemed', jti: 'j' })).use(use)).toBe(true)
  expect(await answering(() => new Response('', { status: 409 })).use(use)).toBe(false)
  for (const res of [
    () => Response.json({ status: 'redeemed', jti: 'other' }),
    () => Response.json({}),
    () => new Response('<html>'),
    () => Response.json({ status: 'redeemed', jti: 'j' }, { status: 201 }),
    () => new Response('', { status: 500 }),
  ])
    await expect(answering(res).use(use)).rejects.toThrow('expected 200 or 409')
  for (const gateUrl of ['http://gate.example', 'https://u:p@gate.example', 'gate'])
    expect(() => new GateRedeemer({ gateUrl, secret: SECRET })).toThrow('gateUrl')
})

function claimsOf(capability: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(capability.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
}
