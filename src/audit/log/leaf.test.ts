import { createHash, createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonical, type Json } from '../canonical.ts'
import { Chain, EMPTY } from '../chain.ts'
import { pooledRandom } from '../open.ts'
import { anyRow, SECRET, testRing, testRow } from '../testing/rows.test-support.ts'
import { leafOfLine } from './leaf.ts'
import { MAX_ENTRY_BYTES } from './tile.ts'

const newChain = () => new Chain(testRing(), () => 1_700_000_000_000_000_000n, pooledRandom(), EMPTY)
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8')
const withoutNewline = (line: Uint8Array) => line.subarray(0, -1)

/** A line as the Python implementation writes it: no salt. */
function foreignLine(fields: { readonly entry_id: string; readonly metadata: ReadonlyMap<string, string> }) {
  const row = new Map<string, Json>(
    Object.entries<Json>({
      approval_chain: [],
      check_name: 'c',
      decision: 'allow',
      entry_id: fields.entry_id,
      metadata: fields.metadata,
      owner_id: 'a',
      owner_type: 'human',
      prev_hmac: '',
      reason: 'r',
      request_fingerprint: '',
      ts_ns: 7n,
    }),
  )
  const without = canonical(row)
  const hmac = createHmac('sha256', SECRET).update(without).digest('hex')
  row.set('hmac', hmac)
  return { line: Buffer.from(canonical(row)), without, hmac }
}

describe('the public leaf', () => {
  it('of a stored line is that of the receipt, whatever the row holds', () => {
    const chain = newChain()
    fc.assert(
      fc.property(
        anyRow,
        fc.option(fc.string({ unit: 'binary', maxLength: 400 })),
        fc.nat(20_000),
        (row, id, filler) => {
          const metadata = { ...row.metadata, ...(id === null ? {} : { _exchange_id: id }), filler: 'x'.repeat(filler) }
          const { placed, line } = chain.append({ ...row, metadata })
          expect(text(leafOfLine(withoutNewline(line)))).toBe(placed.leaf)
        },
      ),
      { numRuns: 400 },
    )
  })

  it('commits to the row under its salt, and names it', () => {
    const { placed, line } = newChain().append(testRow(3))
    const leaf = JSON.parse(text(leafOfLine(withoutNewline(line))))
    const row = JSON.parse(text(line))
    const commit = createHash('sha256').update(Buffer.from(row.metadata._salt, 'base64')).update(placed.canonical)
    expect(leaf).toEqual({
      v: 1,
      commit: commit.digest('hex'),
      decision: 'allow',
      entry_id: testRow(3).entryId,
      exchange: 'exchange-3',
      ts_ns: '1700000000000000000',
    })
  })

  it('keeps the ids of a row that is too long', () => {
    const long = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`key-${i}`, 'y'.repeat(3000)]))
    const exchange = '0193f1a0-0000-7000-8000-000000000001'
    const { placed, line } = newChain().append(testRow(1, { ...long, _exchange_id: exchange }))
    expect(text(line)).toContain(`"_exchange_id":"${exchange}"`)
    expect(JSON.parse(placed.leaf).exchange).toBe(exchange)
  })

  it('of a row without a salt is under its HMAC', () => {
    const { line, without, hmac } = foreignLine({ entry_id: 'e1', metadata: new Map([['_exchange_id', 'x1']]) })
    const commit = createHash('sha256').update(Buffer.from(hmac, 'hex')).update(without).digest('hex')
    expect(text(leafOfLine(line))).toBe(
      `{"commit":"${commit}","decision":"allow","entry_id":"e1","exchange":"x1","ts_ns":"7","v":1}`,
    )
    // A salt that is not 32 bytes of base64 is none.
    const odd = foreignLine({ entry_id: 'e1', metadata: new Map([['_salt', 'c2hvcnQ=']]) })
    expect(JSON.parse(text(leafOfLine(odd.line))).commit).toBe(
      createHash('sha256').update(Buffer.from(odd.hmac, 'hex')).update(odd.without).digest('hex'),
    )
  })

  it('fits into an entry whatever the row is called', () => {
    const { line } = foreignLine({
      entry_id: '\u0001'.repeat(200_000),
      metadata: new Map([['_exchange_id', '\u0001'.repeat(200_000)]]),
    })
    expect(leafOfLine(line).length).toBeLessThan(MAX_ENTRY_BYTES)
  })

  it('of a row that only the exact reader takes leaves out its hmac too', () => {
    const key = 'a"hmac":"b'
    const { line, without, hmac } = foreignLine({ entry_id: '"hmac":"', metadata: new Map([[key, 'v']]) })
    const commit = createHash('sha256').update(Buffer.from(hmac, 'hex')).update(without).digest('hex')
    expect(JSON.parse(text(leafOfLine(line))).commit).toBe(commit)
  })

  it('of what is no row is none', () => {
    expect(() => leafOfLine(Buffer.from('{"a":1}'))).toThrow(expect.objectContaining({ code: 'log_unreadable' }))
    expect(() => leafOfLine(Buffer.from('\xff', 'latin1'))).toThrow('no row')
    const { line } = newChain().append(testRow(1))
    expect(() => leafOfLine(line)).toThrow('no row')
  })
})
