/** Rows over the API: what is asked for is found, as it is stored, and what is added up is what is there. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { chat } from '../support/gate.ts'
import { type Stand, startStand } from './stand.ts'

interface Found {
  readonly rows: readonly { readonly index: number; readonly line: string }[]
  readonly size: number
  readonly next: number | null
}

let s: Stand
let lines: readonly string[]
beforeAll(async () => {
  s = await startStand()
  const hello = { model: 'demo', messages: [{ role: 'user', content: 'Say hello' }] }
  for (let i = 0; i < 700; i++) await (await chat(s.gate, hello, { owner: `human:p${i % 3}` })).text()
  await (await chat(s.gate, { model: 'demo', messages: [{ role: 'user', content: 'hunter21234 \u202e' }] })).text()
  await s.hold()
  lines = readFileSync(s.gate.logPath, 'utf8').trimEnd().split('\n')
})
afterAll(() => s.close())

async function find(query: string): Promise<Found> {
  const res = await s.call('GET', `/api/v1/rows?${query}`, 'viewer')
  expect(res.status).toBe(200)
  return (await res.json()) as Found
}

it('pages go through the whole log, newest first, each row once and byte for byte', async () => {
  const seen: string[] = []
  let next: number | null = 1_000_000
  while (next !== null) {
    const page: Found = await find(`before=${next}&limit=200`)
    for (const { index, line } of page.rows) {
      expect(line).toBe(lines[index])
      seen.unshift(line)
    }
    next = page.next
  }
  expect(seen).toEqual(lines)
})

it('after: only what is newer', async () => {
  const { rows, size } = await find(`after=${lines.length - 4}`)
  expect(size).toBe(lines.length)
  expect(rows.map(r => r.index)).toEqual([lines.length - 1, lines.length - 2, lines.length - 3])
})

it('fields and text narrow it down; pages of a filter go on where the last one ended', async () => {
  const { rows } = await find('check=regex_content')
  expect(rows).toHaveLength(1)
  expect(JSON.parse(rows[0]?.line ?? '')).toMatchObject({ decision: 'redact' })
  const mine = lines.filter(l => l.includes('"owner_id":"p1"')).length
  const first = await find('owner=human:p1&limit=200')
  const all = [...first.rows]
  for (let next = first.next; next !== null; ) {
    const page = await find(`owner=human:p1&limit=200&before=${next}`)
    all.push(...page.rows)
    next = page.next
  }
  expect(all).toHaveLength(mine)
  expect((await find('text=TOOL_CALL_INSPECTOR&decision=escalate')).rows).toHaveLength(1)
  expect((await find('text=nowhere')).rows).toEqual([])
  expect((await find('since=2999-01-01T00:00:00Z')).rows).toEqual([])
})

it('what is not understood is said, and nothing is guessed', async () => {
  for (const query of [
    'limit=0',
    'limit=201',
    'before=-1',
    'before=1e3',
    'since=yesterday',
    'owners=x',
    `text=${'x'.repeat(201)}`,
  ]) {
    expect((await s.call('GET', `/api/v1/rows?${query}`, 'viewer')).status, query).toBe(400)
  }
  expect((await s.call('GET', '/api/v1/overview?period=1y', 'viewer')).status).toBe(400)
})

it.each(['1h', '24h', '7d', '30d'])('the overview of %s counts what the log holds', async period => {
  const got = (await (await s.call('GET', `/api/v1/overview?period=${period}`, 'viewer')).json()) as {
    readonly requests: readonly number[]
    readonly completed: readonly number[]
    readonly decisions: readonly { readonly block: number; readonly escalate: number; readonly redact: number }[]
    readonly checks: readonly { readonly check: string; readonly escalate: number; readonly redact: number }[]
    readonly sample: {
      readonly whole: boolean
      readonly latency: readonly { readonly n: number }[]
      readonly owners: readonly { readonly owner: string; readonly exchanges: number; readonly outToday: number }[]
    }
  }
  const sum = (of: readonly number[]) => of.reduce((a, b) => a + b, 0)
  expect(sum(got.requests)).toBe(702)
  expect(sum(got.completed)).toBe(701)
  expect(sum(got.decisions.map(d => d.escalate))).toBe(1)
  expect(got.checks).toContainEqual(expect.objectContaining({ check: 'tool_call_inspector', escalate: 1 }))
  expect(got.checks).toContainEqual(expect.objectContaining({ check: 'regex_content', redact: 1 }))
  expect(got.sample.whole).toBe(true)
  // Whoever waits for a human is not slow.
  expect(sum(got.sample.latency.map(l => l.n))).toBe(701)
  expect(sum(got.sample.owners.map(o => o.exchanges))).toBe(701)
  if (period !== '24h') return
  // What a daily budget counts: tokens of output since midnight, UTC.
  const day = BigInt(Math.floor(Date.now() / 86_400_000) * 86_400_000) * 1_000_000n
  const out = lines
    .map(line => JSON.parse(line) as { metadata: { output_tokens?: number } })
    .map((row, i) =>
      BigInt(/"ts_ns":(\d+)/.exec(lines[i] ?? '')?.[1] ?? 0) >= day ? (row.metadata.output_tokens ?? 0) : 0,
    )
  expect(sum(got.sample.owners.map(o => o.outToday))).toBe(sum(out))
})

it('on the wire no character moves a terminal', async () => {
  const text = await (await s.call('GET', '/api/v1/rows?limit=200', 'viewer')).text()
  expect(text).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u0000-\u0009\u000b-\u001f]/)
})

it('the pipeline says how long each check took, at the stages at which it was asked', async () => {
  const { checks } = (await (await s.call('GET', '/api/v1/pipeline', 'viewer')).json()) as {
    readonly checks: readonly { readonly name: string; readonly times: readonly Record<string, unknown>[] }[]
  }
  const of = (name: string) => checks.find(c => c.name === name)?.times
  // Each look at the stand's clock is a millisecond later, so each call is one, in the bucket from a half to one.
  expect(of('regex_content')).toEqual([{ stage: 'admission', n: 702, p50_ms: 0.75, p95_ms: 0.975, max_ms: 1 }])
  expect(of('tool_call_inspector')).toContainEqual({
    stage: 'commitment',
    n: 1,
    p50_ms: 0.75,
    p95_ms: 0.975,
    max_ms: 1,
  })
  expect(of('regex_output')?.map(t => t['stage'])).toEqual(['inspection'])
})
