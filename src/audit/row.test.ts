import { createHash, createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { MetaValue, Row } from '../core/row.ts'
import { canonical } from './canonical.ts'
import { Chain, EMPTY } from './chain.ts'
import { parseJson } from './json.ts'
import { newFacts, scanLine } from './line.ts'
import { MAX_LINE } from './row.ts'
import { readStored, type StoredRow } from './stored.ts'
import { anyRow, SECRET, testRing, testRow } from './testing/rows.test-support.ts'

const salt = Uint8Array.from({ length: 32 }, (_, i) => 255 - i)
const newChain = () =>
  new Chain(
    testRing(),
    () => 1_747_000_000_000_000_000n,
    () => salt,
    EMPTY,
  )

function stored(row: Row): StoredRow {
  const { line } = newChain().append(row)
  const read = readStored(line.subarray(0, -1))
  if (!read.ok) throw new Error(read.fault.detail)
  expect(read.isCanonical).toBe(true)
  return read.row
}

const meta = (row: StoredRow) => Object.fromEntries(row.metadata)
/** What a plugin's untyped metadata may hold. */
const hostile = (metadata: Record<string, unknown>): Row => ({
  ...testRow(1),
  metadata: metadata as Record<string, MetaValue>,
})

describe('a stored row', () => {
  it('equals the generic canonical form, whatever the row', () => {
    fc.assert(
      fc.property(fc.array(anyRow, { minLength: 1, maxLength: 3 }), rows => {
        const chain = newChain()
        let prev = ''
        for (const row of rows) {
          const { line, placed } = chain.append(row)
          const text = line.toString('utf8', 0, line.length - 1)
          expect(canonical(parseJson(text))).toBe(text)
          const read = readStored(line.subarray(0, -1))
          if (!read.ok) throw new Error(read.fault.detail)
          expect(read.row).toMatchObject({
            entryId: row.entryId,
            ownerId: row.owner.id,
            ownerType: row.owner.type,
            approvalChain: row.owner.approvalChain,
            checkName: row.checkName,
            decision: row.decision,
            reason: row.reason,
            fingerprint: row.fingerprint,
            prevHmac: prev,
          })
          // The HMAC is over the row without its hmac, exactly as the generic form writes it.
          const json = parseJson(text) as ReadonlyMap<string, never>
          const bare = canonical(new Map([...json].filter(([key]) => key !== 'hmac')))
          expect(placed.canonical).toBe(bare)
          expect(placed.hmac).toBe(createHmac('sha256', SECRET).update(bare).digest('hex'))
          expect(placed.commit).toBe(createHash('sha256').update(salt).update(bare).digest('hex'))
          prev = placed.hmac
        }
      }),
    )
  })

  it('is accepted by the fast scan unless a key needs escapes', () => {
    fc.assert(
      fc.property(anyRow, row => {
        const { line } = newChain().append(row)
        const read = readStored(line.subarray(0, -1))
        const keys = JSON.stringify(Object.entries(row.metadata).flatMap(([k, v]) => [k, ...Object.keys(Object(v))]))
        if (!/\\[^"]/.test(keys) && !keys.includes('\\"')) {
          expect(scanLine(line, 0, line.length - 1, newFacts())).toBe(read.ok)
        }
      }),
    )
  })

  it('has the reserved metadata and a leaf that says nothing personal', () => {
    const { placed, line } = newChain().append(testRow(7))
    const read = readStored(line.subarray(0, -1))
    if (!read.ok) throw new Error(read.fault.detail)
    expect(meta(read.row)).toEqual({
      _anchor: new Map<string, unknown>([
        ['backend', 'noop'],
        ['success', true],
      ]),
      _exchange_id: 'exchange-7',
      _salt: Buffer.from(salt).toString('base64'),
      _signing_key_id: 'k1',
      _stage: 'record',
    })
    expect(placed.leaf).toBe(
      `{"commit":"${placed.commit}","decision":"allow","entry_id":"${testRow(7).entryId}","exchange":"exchange-7","ts_ns":"1747000000000000000","v":1}`,
    )
  })

  it('keeps timestamps rising when the clock stands or goes back', () => {
    let now = 5n
    const chain = new Chain(
      testRing(),
      () => now--,
      () => salt,
      EMPTY,
    )
    const stamps = [1, 2, 3].map(i => chain.append(testRow(i)).placed.tsNs)
    expect(stamps).toEqual([5n, 6n, 7n])
  })
})

describe('metadata from a check', () => {
  it('that has no canonical form still makes a row, and the row says so', () => {
    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    const values: Record<string, unknown> = {
      bytes: new Uint8Array(3),
      set: new Set([1]),
      fn: () => 1,
      symbol: Symbol('s'),
      undef: undefined,
      nan: Number.NaN,
      inf: Number.POSITIVE_INFINITY,
      half: 0.5,
      huge: 2 ** 60,
      big: 12345678901234567890n,
      lone: 'a\ud800b',
      '\udfffkey': 1,
      circular,
      deep: { a: { b: 1 } },
      mixed: [1, 'x', {}],
    }
    const row = stored(hostile(values))
    expect(meta(row)).toMatchObject({
      _sanitised: true,
      fn: '[unserialisable: function]',
      nan: 'NaN',
      half: '0.5',
      huge: '1152921504606847000',
      big: '12345678901234567890',
      lone: 'a\ufffdb',
      '\ufffdkey': 1n,
      mixed: ['1', 'x', '[unserialisable: object]'],
    })
    expect(row.metadata.get('deep')).toEqual(new Map([['a', '[unserialisable: object]']]))
  })

  it('that throws when it is read still makes a row', () => {
    const trap = Object.defineProperty({}, 'x', {
      enumerable: true,
      get() {
        throw new Error('boom')
      },
    })
    expect(meta(stored(hostile(trap)))).toMatchObject({ _sanitised: true, _unreadable: true })
    expect(meta(stored(hostile({ inner: trap })))).toMatchObject({ _sanitised: true })
    const proxy = new Proxy({}, { ownKeys: () => Array.from({ length: 3 }, () => 'same') })
    expect(meta(stored(hostile(proxy)))).toMatchObject({ _sanitised: true })
  })

  it('cannot set what the writer owns', () => {
    const row = stored(
      hostile({ _salt: 'mine', _anchor: 1, _signing_key_id: 'k2', _truncated: false, _sanitised: false, ok: 'kept' }),
    )
    expect(meta(row)).toMatchObject({ _signing_key_id: 'k1', _salt: Buffer.from(salt).toString('base64'), ok: 'kept' })
    expect(row.metadata.get('_truncated')).toBeUndefined()
    // Nor by a key that only becomes equal when it is mended or cut.
    const long = '_salt'.padEnd(300, 'x')
    expect(stored(hostile({ [long]: 1, [`${long}y`]: 2 })).metadata.size).toBeLessThan(7)
  })

  it('named like object internals is only data', () => {
    const row = stored(hostile(JSON.parse('{"__proto__":"p","constructor":"c","toString":"t"}')))
    expect(row.metadata.get('__proto__')).toBe('p')
    expect(row.metadata.get('constructor')).toBe('c')
  })
})

describe('the size of a row', () => {
  it.each([
    ['one long string', { note: 'x'.repeat(1_000_000) }],
    ['a long string that escapes six-fold', { note: '\u0001'.repeat(100_000) }],
    ['astral text', { note: '\u{1F600}'.repeat(50_000) }],
    ['many strings', Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, 'v'.repeat(50)]))],
    ['long keys', Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${i}${'k'.repeat(1000)}`, 1]))],
    ['a long list', { list: Array.from({ length: 10_000 }, () => 'item') }],
    ['wide objects', { a: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, i])) }],
  ])('is bounded with %s', (_name, metadata) => {
    const { line } = newChain().append(hostile(metadata))
    expect(line.length).toBeLessThanOrEqual(MAX_LINE)
    expect(line.indexOf(0x0a)).toBe(line.length - 1)
    const row = stored(hostile({ ...metadata, _exchange_id: 'x1' }))
    expect(meta(row)).toMatchObject({ _truncated: true, _exchange_id: 'x1' })
  })

  it('is bounded in every other field, and cutting is the same every time', () => {
    const long = '\u0007'.repeat(50_000)
    const row: Row = {
      entryId: long,
      owner: { type: 'human', id: long, approvalChain: Array.from({ length: 500 }, () => long), authenticatedBy: '' },
      checkName: long,
      decision: 'block',
      reason: long,
      fingerprint: long,
      metadata: { _exchange_id: long, _stage: long, _check_name: long, _policy_digest: long, x: long },
    }
    const { line } = newChain().append(row)
    expect(line.length).toBeLessThanOrEqual(MAX_LINE)
    expect(newChain().append(row).line.equals(line)).toBe(true)
    expect(meta(stored(row))).toMatchObject({ _truncated: true })
  })

  it('never cuts a character in half', () => {
    const row = stored({ ...testRow(1), reason: 'a'.repeat(1022) + '\u{1F600}'.repeat(4) })
    expect(row.reason).toBe(`${'a'.repeat(1022)}…`)
    expect(row.metadata.has('_sanitised')).toBe(false)
  })

  it('leaves an ordinary row alone', () => {
    const row = stored(testRow(1, { note: 'x'.repeat(8000) }))
    expect(row.metadata.get('note')).toHaveLength(8000)
    expect(row.metadata.has('_truncated')).toBe(false)
    expect(row.metadata.has('_sanitised')).toBe(false)
  })
})
