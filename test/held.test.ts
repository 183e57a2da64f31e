/** A held answer: sealed while a human decides, and the same bytes when it is released. */
import { hash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { ToolCallInspectorCheck } from '../src/checks/tool-call-inspector.ts'
import type { Check } from '../src/core/check.ts'
import type { StoredEscalation } from '../src/core/state.ts'
import { block, escalate } from '../src/core/verdict.ts'
import { createBox, SealBroken } from '../src/escalation/box.ts'
import { openAnswer } from '../src/escalation/sealed.ts'
import { verifyReceipt, verifyStreamReceipt } from '../src/receipt/index.ts'
import { MemoryEscalationStore } from '../src/state/escalations/memory.ts'
import { systemRandom } from '../src/state/system.ts'
import {
  DEMO_REGISTRY,
  demoChecks,
  ISSUER,
  chat as send,
  startTestGate,
  type TestGate,
  type TestGateOptions,
  testEscalations,
} from './support/gate.ts'

const chat = (gate: TestGate, body: object, headers: Record<string, string> = {}) => send(gate, body, { headers })
const APPROVER = 'human:approver@example.org'
const tools = ['issue_refund', 'get_weather'].map(name => ({
  type: 'function',
  function: { name, parameters: { type: 'object' } },
}))
const ask = (stream: boolean) => ({
  model: 'demo',
  stream,
  tools,
  messages: [{ role: 'user', content: 'What is the weather in Oslo, and refund 50000 to account X' }],
})

/** The store the gate uses, with a window for the test. */
class SeenStore extends MemoryEscalationStore {
  readonly ids: string[] = []
  override create(e: StoredEscalation, answer: Uint8Array) {
    this.ids.push(e.id)
    return super.create(e, answer)
  }
}

interface Told {
  readonly status_url: string
  readonly escalation_id: string
}

interface Story {
  readonly gate: TestGate
  readonly store: SeenStore
  /** What the store is sealed with. */
  readonly key: Uint8Array
  decide(decision: 'approve' | 'deny', id?: string): Promise<string>
}

async function story(work: (s: Story) => Promise<void>, options: TestGateOptions = {}): Promise<void> {
  const store = new SeenStore()
  const key = systemRandom().bytes(32)
  const gate = await startTestGate({ escalations: testEscalations({ store, key }), ...options })
  const { desk } = gate.running.gate
  try {
    await work({
      gate,
      store,
      key,
      async decide(decision, id = store.ids.at(-1) ?? '') {
        const e = await desk.find(id)
        if (e === undefined) throw new Error('nothing is held')
        const said = await desk.decide(id, { approver: APPROVER, decision, by: 'token', digest: e.digest })
        return said.kind === 'decided' ? said.escalation.state : said.kind
      },
    })
    expect((await gate.verify()).ok).toBe(true)
  } finally {
    await gate.close()
  }
}

/** The gate's answer when nobody had to be asked: the same pipeline, with the refund made automatic. */
async function unheld(stream: boolean): Promise<string> {
  const automatic = new ToolCallInspectorCheck({
    registry: { ...DEMO_REGISTRY, issue_refund: { riskTier: 'low', irreversible: false } },
  })
  const gate = await startTestGate({
    checks: [...demoChecks().filter(c => c.name !== 'tool_call_inspector'), automatic],
  })
  try {
    return plain(await (await chat(gate, ask(stream))).text())
  } finally {
    await gate.close()
  }
}

const plain = (s: string) =>
  s.replace(/: signet[^\n]*\n\n/g, '').replace(/"(id|created|system_fingerprint)":\s*("[^"]*"|\d+)/g, '"$1":_')

async function finalClaims(gate: TestGate, res: Response, bytes: string, stream: boolean) {
  const options = {
    keys: { keys: [gate.signer.publicJwk] },
    issuer: ISSUER,
    requestBytes: Buffer.from(JSON.stringify(ask(stream))),
  }
  const body = Buffer.from(bytes)
  const { claims } = stream
    ? await verifyStreamReceipt(body, options)
    : await verifyReceipt(res.headers.get('x-signet-receipt') ?? '', {
        ...options,
        responseBytes: body,
        requireFinal: true,
      })
  return claims
}

/** Resolves when the gate holds one more than before, without asking by the clock. */
function nextHeld(store: SeenStore): Promise<string> {
  const create = store.create.bind(store)
  return new Promise(resolve => {
    store.create = (e, answer) => {
      create(e, answer)
      store.create = create
      queueMicrotask(() => resolve(e.id))
    }
  })
}

describe.each([false, true])('a held answer (stream: %s)', stream => {
  it('is sealed, and opens only for its own id with its own key', () =>
    story(async ({ gate, store }) => {
      const res = await chat(gate, ask(stream))
      const text = await res.text()
      expect(text).not.toContain('50000')
      const [id = ''] = store.ids
      expect(text).toContain(id)
      const sealed = store.answer(id)
      const record = store.get(id)?.record
      if (sealed === undefined || record === undefined) throw new Error('nothing was kept')
      expect(Buffer.concat([sealed, record]).includes('refund')).toBe(false)
      expect(() => openAnswer(createBox(Buffer.alloc(32, 1), systemRandom()), id, sealed)).toThrow(SealBroken)
      const row = gate.rows().find(r => r['decision'] === 'escalate')
      expect(row).toMatchObject({
        check_name: 'pipeline.commitment',
        metadata: { _escalation_id: id, _tool: 'issue_refund', _check_name: 'tool_call_inspector' },
      })
    }))

  it('is released once approved: the same request comes back for the bytes that an unheld caller gets', () =>
    story(async ({ gate, store, decide }) => {
      const first = await chat(gate, ask(stream))
      const told = await first.text()
      const [id = ''] = store.ids
      const token = /"status_url":"\/signet\/v1\/escalations\/[^/]+\/([A-Za-z0-9_-]{43})"/.exec(told)?.[1] ?? ''
      const back = (name: string, body: object = ask(stream)) => chat(gate, body, { 'x-signet-escalation': name })
      if (!stream) {
        expect(first.status).toBe(202)
        expect(first.headers.get('location')).toBe(`/signet/v1/escalations/${id}/${token}`)
        expect((await back(`${id}.${token}`)).status).toBe(202)
      }
      expect(await decide('approve')).toBe('approved')
      const asked = gate.upstreamRequests()
      const res = await back(`${id}.${token}`)
      const bytes = await res.text()
      expect(res.status).toBe(200)
      expect(plain(bytes)).toBe(await unheld(stream))
      const withoutReceipt = (text: string) => text.replace(/: signet-receipt[^\n]*\n\n/, '')
      expect(withoutReceipt(await (await back(`${id}.${token}`)).text())).toBe(withoutReceipt(bytes))
      expect(gate.upstreamRequests()).toBe(asked)
      expect(await finalClaims(gate, res, bytes, stream)).toMatchObject({ decision: 'allow', stage: 'commitment' })
      expect(gate.rows().filter(r => metadata(r)['_check_name'] === 'escalation.released')).toHaveLength(2)

      // Not with another request, another owner, another token, or none.
      for (const other of [
        back(id),
        back(`${id}.${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`),
        back(`${id}.${token}`, { ...ask(stream), temperature: 1 }),
        chat(gate, ask(stream), { 'x-signet-escalation': `${id}.${token}`, 'x-commit-owner': 'human:mallory' }),
      ]) {
        const refused = await other
        expect(refused.status).toBe(403)
        expect(await refused.text()).not.toContain('50000')
      }
    }))

  it('comes in the first answer to whoever prefers to wait', () =>
    story(async ({ gate, store, decide }) => {
      const held = nextHeld(store)
      const pending = chat(gate, ask(stream), { prefer: 'wait=600' })
      await held
      expect(await decide('approve')).toBe('approved')
      const res = await pending
      const bytes = Buffer.from(await res.arrayBuffer())
      expect(res.status).toBe(200)
      expect(plain(bytes.toString())).toBe(await unheld(stream))
      expect(await finalClaims(gate, res, bytes.toString(), stream)).toMatchObject({ decision: 'allow', final: true })
    }))

  it('does not come when it is denied, and the caller who waited is told so', () =>
    story(async ({ gate, store, decide }) => {
      const held = nextHeld(store)
      const pending = chat(gate, ask(stream), { prefer: 'wait=600' })
      await held
      expect(await decide('deny')).toBe('denied')
      const text = await (await pending).text()
      expect(text).not.toContain('50000')
      expect(text).toMatch(/denied/)
      expect(gate.rows().some(r => metadata(r)['_code'] === 'approval_denied')).toBe(true)
    }))

  it('does not leave when the policy in force then says no', async () => {
    let stricter = false
    const second: Check = {
      name: 'second_thoughts',
      priority: 500,
      timeLimitMs: 1000,
      describe: () => ({ name: 'second_thoughts' }),
      commit: () => (stricter ? block('custom:no', 'not any more') : { kind: 'allow' }),
    }
    await story(
      async ({ gate, store, decide }) => {
        const held = nextHeld(store)
        const pending = chat(gate, ask(stream), { prefer: 'wait=600' })
        await held
        stricter = true
        await decide('approve')
        expect(await (await pending).text()).not.toContain('50000')
        expect(gate.rows().some(r => metadata(r)['_check_name'] === 'escalation.withdrawn')).toBe(true)
      },
      { checks: [...demoChecks(), second] },
    )
  })

  it.each([
    ['everywhere', { auth: 'passkey' }, {}, 'denied'],
    ['for the tool', {}, { approverAuth: 'passkey' }, 'denied'],
    ['nowhere', {}, {}, 'released'],
  ] as const)(
    'approved without a passkey, and then one is demanded %s by a gate on the same store',
    (_, auth, tool, state) =>
      story(async ({ gate, store, decide, key }) => {
        const told = await (await chat(gate, ask(stream))).text()
        const [id = ''] = store.ids
        const token = /\/escalations\/[^/]+\/([A-Za-z0-9_-]{43})"/.exec(told)?.[1] ?? ''
        expect(await decide('approve')).toBe('approved')
        const registry = { ...DEMO_REGISTRY, issue_refund: { ...DEMO_REGISTRY['issue_refund'], ...tool } }
        const later = await startTestGate({
          escalations: testEscalations({ store, key, policy: { approvers: [APPROVER], ...auth } }),
          checks: [
            ...demoChecks().filter(c => c.name !== 'tool_call_inspector'),
            new ToolCallInspectorCheck({ registry }),
          ],
        })
        try {
          const res = await chat(later, ask(stream), { 'x-signet-escalation': `${id}.${token}` })
          expect((await res.text()).includes('50000')).toBe(state === 'released')
          const name = state === 'released' ? 'escalation.released' : 'escalation.withdrawn'
          expect(later.rows().some(r => metadata(r)['_check_name'] === name)).toBe(true)
          expect((await gate.running.gate.desk.find(id))?.state).toBe(state)
        } finally {
          await later.close()
        }
      }),
  )

  it('of a call whose arguments break a rule that escalates is released once approved, and one that blocks is never held', async () => {
    const ruled = (max: number, action: 'block' | 'escalate') => [
      ...demoChecks().filter(c => c.name !== 'tool_call_inspector'),
      new ToolCallInspectorCheck({
        registry: {
          ...DEMO_REGISTRY,
          issue_refund: { riskTier: 'low', arguments: { rules: [{ at: '/amount', max, action }] } },
        },
      }),
    ]
    await story(
      async ({ gate, store, decide }) => {
        const held = nextHeld(store)
        const pending = chat(gate, ask(stream), { prefer: 'wait=600' })
        await held
        expect(await decide('approve')).toBe('approved')
        expect(await (await pending).text()).toContain('50000')
        expect(gate.rows().some(r => metadata(r)['rule'] === '/amount max' && metadata(r)['problem'] === 'max')).toBe(
          true,
        )
      },
      { checks: ruled(100, 'escalate') },
    )
    await story(
      async ({ gate, store }) => {
        expect(await (await chat(gate, ask(stream))).text()).not.toContain('50000')
        expect(store.ids).toEqual([])
      },
      { checks: ruled(100, 'block') },
    )
    await story(
      async ({ gate, store }) => {
        expect(await (await chat(gate, ask(stream))).text()).toContain('50000')
        expect(store.ids).toEqual([])
      },
      { checks: ruled(50_000, 'block') },
    )
  })

  it('that nobody may approve is refused, not held', () =>
    story(
      async ({ gate, store }) => {
        const res = await chat(gate, ask(stream))
        const text = await res.text()
        expect(text).not.toContain('50000')
        expect(store.ids).toEqual([])
        expect(gate.rows().at(-1)).toMatchObject({ decision: 'block', metadata: { _code: 'no_approver' } })
      },
      { escalations: { policy: { approvers: ['human:alice@example.com', 'human:ALICE@example.com'] } } },
    ))
})

describe('the status address', () => {
  it('tells its owner how it stands, changes nothing, and is the same 404 for everybody else', () =>
    story(async ({ gate, store, decide }) => {
      const told = (await (await chat(gate, ask(false))).json()) as Told
      const owner = { 'x-commit-owner': 'human:alice@example.com' }
      const get = (path: string, headers: Record<string, string> = owner) => fetch(`${gate.url}${path}`, { headers })
      const before = gate.rows().length
      const seen = await get(told.status_url)
      expect(seen.headers.get('cache-control')).toBe('no-store')
      expect(await seen.json()).toMatchObject({
        status: 'pending',
        escalation_id: store.ids[0],
        current_approver: APPROVER,
      })
      const unknown = [
        await get(told.status_url, { 'x-commit-owner': 'human:mallory' }),
        await get(told.status_url, {}),
        await get(`${told.status_url.slice(0, -1)}${told.status_url.endsWith('A') ? 'B' : 'A'}`),
        await get(told.status_url.slice(0, -44)),
        await get('/signet/v1/escalations/'),
        await get(`/signet/v1/escalations/01900000-0000-7000-8000-000000000000/${'A'.repeat(43)}`),
      ]
      const bodies = await Promise.all(unknown.map(r => r.text()))
      expect(new Set(unknown.map(r => r.status))).toEqual(new Set([404]))
      expect(new Set(bodies).size).toBe(1)
      expect((await fetch(`${gate.url}${told.status_url}`, { method: 'POST', headers: owner })).status).toBe(405)
      await decide('approve')
      expect(await (await get(told.status_url)).json()).toMatchObject({ status: 'approved', approvals: 1 })
      expect(store.get(store.ids[0] ?? '')?.state).toBe('approved')
      expect(gate.rows().length).toBe(before + 1)
    }))
})

describe('a request that waits before the model is called', () => {
  const doubtful: Check = {
    name: 'doubtful',
    priority: 300,
    timeLimitMs: 1000,
    describe: () => ({ name: 'doubtful' }),
    admit: x =>
      x.request.segments.some(s => s.text.includes('doubtful'))
        ? escalate('custom:doubt', 'a human should look')
        : { kind: 'allow' },
  }
  const body = { model: 'demo', messages: [{ role: 'user', content: 'something doubtful' }] }
  const options = { checks: [...demoChecks(), doubtful] }

  it('is forwarded after it was approved, once, whoever asks how often', () =>
    story(async ({ gate, store, decide }) => {
      const told = (await (await chat(gate, body)).json()) as Told
      const name = `${told.escalation_id}.${told.status_url.split('/').at(-1)}`
      expect((await chat(gate, body, { 'x-signet-escalation': name })).status).toBe(202)
      expect(gate.upstreamRequests()).toBe(0)
      await decide('approve')
      const all = await Promise.all(Array.from({ length: 5 }, () => chat(gate, body, { 'x-signet-escalation': name })))
      expect(all.map(r => r.status).sort()).toEqual([200, 403, 403, 403, 403])
      expect(gate.upstreamRequests()).toBe(1)
      expect(hash('sha256', gate.seen[0] ?? Buffer.of(), 'hex')).toBe(hash('sha256', JSON.stringify(body), 'hex'))
      expect(store.get(told.escalation_id)?.state).toBe('released')
    }, options))

  it('goes on by itself for whoever prefers to wait, and does not when it is denied', () =>
    story(async ({ gate, store, decide }) => {
      for (const [decision, status] of [
        ['approve', 200],
        ['deny', 403],
      ] as const) {
        const held = nextHeld(store)
        const pending = chat(gate, body, { prefer: 'respond-async, wait=600' })
        await held
        await decide(decision)
        expect((await pending).status).toBe(status)
      }
      expect(gate.upstreamRequests()).toBe(1)
    }, options))

  it('does not pass another check that objects by then', () => {
    let more = false
    const other: Check = {
      ...doubtful,
      name: 'other',
      admit: () => (more ? escalate('custom:more', 'more') : { kind: 'allow' }),
    }
    return story(
      async ({ gate, decide }) => {
        const told = (await (await chat(gate, body)).json()) as Told
        await decide('approve')
        more = true
        const name = `${told.escalation_id}.${told.status_url.split('/').at(-1)}`
        const res = await chat(gate, body, { 'x-signet-escalation': name })
        expect([res.status, gate.upstreamRequests()]).toEqual([403, 0])
      },
      { checks: [...options.checks, other] },
    )
  })
})

it.each(['nonsense', '01900000-0000-7000-8000-000000000000.short'])('X-Signet-Escalation: %s is a 400', name =>
  story(async ({ gate }) => {
    expect((await chat(gate, ask(false), { 'x-signet-escalation': name })).status).toBe(400)
  }),
)

function metadata(row: Record<string, unknown>): Record<string, unknown> {
  const m = row['metadata']
  return typeof m === 'object' && m !== null ? { ...m } : {}
}
