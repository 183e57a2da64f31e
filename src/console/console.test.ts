/** What the console works out for itself: proofs, proposals, differences, searches, addresses. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { leafOfLine } from '../audit/log/leaf.ts'
import { openAuditLog } from '../audit/open.ts'
import { approvalDigest, approvalFacts, argumentsDigest, digestOf } from '../escalation/digest.ts'
import type { Escalation } from '../escalation/escalation.ts'
import { Key, KeyRing } from '../keys/ring.ts'
import { visiblePieces } from '../text/visible.ts'
import { compare } from './difference.ts'
import { duration } from './parts/took.tsx'
import { leafOf } from './proof.ts'
import { checkProposal } from './proposal.ts'
import { addressOf, PAGES, placeOf } from './route.ts'
import { readSearch, withField } from './search.ts'

it('the leaf that a browser makes of a row is the leaf that the gate logs, whatever the row holds', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'signet-leaf-'))
  try {
    const path = join(folder, 'audit.jsonl')
    const audit = await openAuditLog({ path, ring: new KeyRing(new Key('k1', Buffer.alloc(32, 7))) })
    const text = fc.string({ unit: 'binary', maxLength: 60 })
    for (const [id, reason, key, value] of fc.sample(fc.tuple(text, text, text, text), { numRuns: 300, seed: 4 })) {
      await audit
        .append({
          entryId: id,
          owner: { type: 'human', id: value, approvalChain: [], authenticatedBy: 'test' },
          checkName: 'test',
          decision: 'allow',
          reason: `${reason} "hmac":"`,
          fingerprint: '',
          metadata: { [key]: value, _exchange_id: id },
        })
        .durable()
    }
    await audit.close()
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
    expect(lines).toHaveLength(300)
    for (const line of lines) expect(await leafOf(line)).toBe(Buffer.from(leafOfLine(Buffer.from(line))).toString())
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

function held(argumentsText: string): Escalation {
  const base: Omit<Escalation, 'digest'> = {
    id: '01a2251d-8008-7101-a40f-f914b6b525c1',
    exchange: 'x',
    owner: { type: 'human', id: 'alice', approvalChain: [], authenticatedBy: 'test' },
    stage: 'commitment',
    surface: 'chat',
    upstream: 'demo',
    policyDigest: 'p',
    requestDigest: 'r',
    check: 'c',
    reason: 'why',
    calls: [
      {
        key: '0',
        id: 'call_1',
        tool: 'pay',
        argumentsText,
        argumentsDigest: argumentsDigest(argumentsText) ?? digestOf(argumentsText),
        audience: 'https://pay.example',
      },
    ],
    createdAtMs: 1,
    expiresAtMs: 2,
    rule: { kind: 'quorum', approvers: ['human:bob'], needed: 1 },
    tokenHash: '',
    state: 'pending',
    decisions: [],
  }
  return { ...base, digest: approvalDigest(base) }
}

describe('a proposal', () => {
  const of = (e: Escalation) => ({
    digest: e.digest,
    shown: JSON.parse(JSON.stringify(approvalFacts(e))) as Record<string, unknown>,
    arguments: e.calls.map(c => c.argumentsText),
    similar: [null],
  })

  it('is intact when its digest is over what came, for any arguments', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.json(), fc.string({ unit: 'grapheme' })), async text => {
        const e = held(text)
        const checked = await checkProposal(of(e), e.id, e.digest)
        expect(checked).toMatchObject({
          kind: 'intact',
          digest: e.digest,
          calls: [{ tool: 'pay', argumentsText: text }],
        })
      }),
      { numRuns: 100, seed: 3 },
    )
  })

  it.each([
    ['other arguments', { arguments: ['{"amount":2}'] }],
    ['arguments of the same value in another spelling', { arguments: ['{"amount": 1}'] }],
    ['no arguments', { arguments: [] }],
    ['arguments that nobody proposed', { arguments: ['{"amount":1}', '{}'] }],
    ['another digest', { digest: `sha256:${'0'.repeat(64)}` }],
  ])('with %s differs', async (_, other) => {
    const e = held('{"amount":1}')
    expect(await checkProposal({ ...of(e), ...other }, e.id, e.digest)).toMatchObject({ kind: 'differs' })
  })

  it.each(['owner', 'upstream', 'expires_at_ms', 'escalation', 'stage'])('with another %s differs', async name => {
    const e = held('{"amount":1}')
    const shown = { ...of(e).shown, [name]: name === 'expires_at_ms' ? 3 : 'other' }
    expect(await checkProposal({ ...of(e), shown }, e.id, e.digest)).toMatchObject({ kind: 'differs' })
  })

  it('with another tool or audience differs, and so does one for another escalation', async () => {
    const e = held('{"amount":1}')
    const [call] = approvalFacts(e)['calls'] as readonly Record<string, unknown>[]
    for (const more of [{ tool: 'pay_more' }, { audience: 'https://evil.example' }]) {
      const shown = { ...of(e).shown, calls: [{ ...call, ...more }] }
      expect(await checkProposal({ ...of(e), shown }, e.id, e.digest)).toMatchObject({ kind: 'differs' })
    }
    expect(await checkProposal(of(e), '01a2251d-8008-7101-a40f-f914b6b525c2', e.digest)).toMatchObject({
      kind: 'differs',
    })
  })
})

describe('differences', () => {
  it('arguments do not differ from themselves', () => {
    fc.assert(
      fc.property(fc.json(), text => {
        const compared = compare(text, text)
        expect(compared?.gone).toEqual([])
      }),
    )
  })

  it('are told place by place, numbers as they are written', () => {
    const compared = compare('{"a":1.0,"b":[1,2],"c":"x"}', '{"a":1,"b":[1],"d":true}')
    const number = (raw: string) => ({ kind: 'number', raw, value: Number(raw), start: 0, end: 0 }) as const
    expect(compared?.at('/a', number('1.0'))).toMatchObject({ kind: 'changed', was: { raw: '1' } })
    expect(compared?.at('/b/0', number('1'))).toEqual({ kind: 'same' })
    expect(compared?.at('/b/1', number('2'))).toEqual({ kind: 'new' })
    expect(compared?.gone.map(g => g.pointer)).toEqual(['/d'])
  })

  it('there are none between what is no JSON', () => {
    expect(compare('{', '{}')).toBe(undefined)
  })
})

describe('a search', () => {
  it.each([
    ['', ''],
    ['check:regex_content', 'check=regex_content'],
    ['owner:human:alice@example.com refund', 'owner=human%3Aalice%40example.com&text=refund'],
    ['check:"two words" since:2027-01-31', 'check=two+words&since=2027-01-31'],
    ['nothing:known', 'text=nothing%3Aknown'],
    ['01a2251d-8008-7101-a40f-f914b6b525c1', 'text=01a2251d-8008-7101-a40f-f914b6b525c1'],
    ['two words', 'text=two+words'],
  ])('%s', (line, query) => {
    expect(String(readSearch(line))).toBe(query)
  })

  it('takes one more field, or another value of it', () => {
    expect(withField('a decision:allow', 'decision', 'block')).toBe('a decision:block')
    expect(readSearch(withField('', 'check', 'two words')).get('check')).toBe('two words')
  })
})

it('an address leads back to where it was made', () => {
  fc.assert(
    fc.property(fc.constantFrom(...PAGES), fc.string(), fc.string(), (page, item, q) => {
      const place = placeOf(addressOf(page, item.toWellFormed(), q === '' ? {} : { q: q.toWellFormed() }))
      expect([place.page, place.item, place.query.get('q') ?? '']).toEqual([
        page,
        item.toWellFormed(),
        q.toWellFormed(),
      ])
    }),
  )
  expect(placeOf('#/nowhere/%zz').page).toBe('overview')
})

it('visible pieces put together are the text, and none that may be shown holds what moves or hides', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      const pieces = visiblePieces(text)
      expect(pieces.map(p => ('point' in p ? String.fromCodePoint(p.point) : p.text)).join('')).toBe(text)
      for (const p of pieces) if ('text' in p) expect(p.text).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u)
    }),
  )
})

it.each([
  [0, '0 µs'],
  [0.0042, '4.2 µs'],
  [0.5, '500 µs'],
  [1, '1 ms'],
  [2.54, '2.5 ms'],
  [40, '40 ms'],
  [2500, '2.5 s'],
])('%d ms are %s', (ms, text) => {
  expect(duration(ms)).toBe(text)
})
