/** What waits may be large: whoever looks at it must not hold up everybody else. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { humanOwner } from '../../src/core/owner.ts'
import { type Stand, startStand } from './stand.ts'

/** `{"note":"\u200b\u200b…"}`: each of these is seven characters in an answer. */
const LARGE = JSON.stringify({ note: '\u200b'.repeat(300_000) })
const HELD = 12

let s: Stand
beforeAll(async () => {
  s = await startStand()
  for (let i = 0; i < HELD; i += 1) {
    await s.gate.running.gate.desk.hold({
      exchange: '01900000-0000-7000-8000-000000000000',
      owner: humanOwner('alice@example.com', { authenticatedBy: 'asserted' }),
      claimsVerified: false,
      stage: 'commitment',
      surface: 'chat',
      upstream: 'demo',
      policyDigest: `sha256:${'0'.repeat(64)}`,
      requestDigest: `sha256:${'0'.repeat(64)}`,
      check: 'tool_call_inspector',
      reason: 'it is irreversible',
      audienceOf: () => undefined,
      answer: {
        dialect: 'chat',
        request: new Uint8Array(0),
        stream: false,
        status: 200,
        headers: [],
        context: {
          peerAddress: undefined,
          declared: { classification: undefined, clearance: undefined, clearanceVerified: false },
          levels: undefined,
          session: undefined,
        },
        calls: [{ key: 'k', id: 'c', name: 'pay', argumentsText: LARGE }],
        frames: [],
        given: [],
        shadowed: false,
      },
    })
  }
})
afterAll(() => s.close())

interface Page {
  readonly escalations: readonly { readonly id: string; readonly calls: readonly { readonly arguments?: string }[] }[]
  readonly next: string | null
}

async function page(query: string): Promise<Page> {
  const res = await s.call('GET', `/api/v1/escalations?limit=200${query}`, 'viewer')
  expect(res.status).toBe(200)
  return (await res.json()) as Page
}

it.each(['', '&arguments=false'])(
  'a page of them ends early, and the next ones hold the rest (limit=200%s)',
  async more => {
    const ids: string[] = []
    for (let next: string | null = ''; next !== null; ) {
      const got: Page = await page(`${more}${next === '' ? '' : `&before=${next}`}`)
      expect(got.escalations.length).toBeLessThan(HELD / 2)
      for (const e of got.escalations) expect(e.calls[0]?.arguments !== undefined).toBe(more === '')
      ids.push(...got.escalations.map(e => e.id))
      next = got.next
    }
    expect(new Set(ids).size).toBe(HELD)
    expect(ids).toHaveLength(HELD)
  },
)

it('says what it expects of the query', async () => {
  expect((await s.call('GET', '/api/v1/escalations?arguments=no', 'viewer')).status).toBe(400)
})
