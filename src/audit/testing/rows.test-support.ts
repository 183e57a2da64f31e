/** Rows and keys for the tests of this room. */
import fc from 'fast-check'
import type { MetaValue, Row } from '../../core/row.ts'
import { Key, KeyRing } from '../../keys/ring.ts'
import { encodeHead } from '../head.ts'

export const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i)

export function testRing(): KeyRing {
  return new KeyRing(new Key('k1', SECRET))
}

export function testRow(i: number, metadata: Row['metadata'] = {}): Row {
  return {
    entryId: `0193f1a0-0000-7000-8000-${String(i).padStart(12, '0')}`,
    owner: { type: 'human', id: 'alice@example.com', approvalChain: ['human:bob'], authenticatedBy: 'jwt' },
    checkName: 'pipeline.complete',
    decision: 'allow',
    reason: 'request completed',
    fingerprint: `sha256:${'ab'.repeat(32)}`,
    metadata: { _stage: 'record', _exchange_id: `exchange-${i}`, ...metadata },
  }
}

/** The two head records of a log of these bytes, which end with a whole row. */
export function headOf(log: Buffer): Buffer {
  const lines = log.toString().split('\n').slice(0, -1)
  const last = /"hmac":"([0-9a-f]{64})".*"ts_ns":([0-9]+)\}$/s.exec(lines.at(-1) ?? '')
  const [, hmac = '', tsNs = '0'] = last ?? []
  const record = encodeHead(
    { count: BigInt(lines.length), length: log.length, hmac, tsNs: BigInt(tsNs) },
    testRing().active,
  )
  return Buffer.concat([record, record])
}

/** Text that canonical forms get wrong: controls, quotes, separators, astral and private-use characters. */
const awkward = fc.constantFrom(
  '\u0000',
  '\u001f',
  '\b\f\n\r\t',
  '"',
  '\\',
  '\u007f',
  '\u2028\u2029\u0085',
  '\uffee',
  '\u{1F600}',
  '\ue000',
  'é',
  '\ufeff',
)
export const anyText = fc
  .array(fc.oneof(awkward, fc.string({ unit: 'binary', maxLength: 8 })), { maxLength: 4 })
  .map(parts => parts.join(''))

const scalar = fc.oneof(anyText, fc.maxSafeInteger(), fc.boolean(), fc.constant(null))
const metaValue: fc.Arbitrary<MetaValue> = fc.oneof(
  scalar,
  fc.array(anyText, { maxLength: 3 }),
  fc.dictionary(anyText, scalar, { maxKeys: 4 }),
)

export const anyRow: fc.Arbitrary<Row> = fc.record({
  entryId: fc.uuid({ version: 7 }),
  owner: fc.record({
    type: fc.constantFrom('human', 'agent', 'policy', 'unresolved'),
    id: anyText,
    approvalChain: fc.array(anyText, { maxLength: 3 }),
    authenticatedBy: fc.constant('jwt'),
  }),
  checkName: anyText,
  decision: fc.constantFrom('allow', 'block', 'redact', 'escalate'),
  reason: anyText,
  fingerprint: anyText,
  metadata: fc.dictionary(anyText, metaValue, { maxKeys: 6 }),
})
