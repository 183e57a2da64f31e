/** What is read back from a log: rows, and the head. The fast reader of lines must agree with the exact one. */
import { canonical } from '../../../src/audit/canonical.ts'
import { encodeHead, parseHead } from '../../../src/audit/head.ts'
import { JsonFault, parseJson } from '../../../src/audit/json.ts'
import { newFacts, scanLine } from '../../../src/audit/line.ts'
import { readStored } from '../../../src/audit/stored.ts'
import { Key, KeyRing } from '../../../src/keys/ring.ts'
import type { Random } from '../random.ts'
import { bytesOf, equal, must, refusing, type Target, textOf } from '../target.ts'
import { buildJson } from './json.ts'

const HEX = 'ab'.repeat(32)

function row(random: Random): Record<string, unknown> {
  return {
    approval_chain: random.list(2, () => 'human:bob'),
    check_name: 'pipeline.complete',
    decision: random.pick(['allow', 'block', 'redact', 'escalate']),
    entry_id: '0193f1a0-0000-7000-8000-000000000001',
    hmac: HEX,
    metadata: random.chance(2)
      ? { _salt: 'c2FsdA==', _signing_key_id: 'k1', a: true, n: 3, s: 'é\u2028' }
      : buildJson(random),
    owner_id: random.pick(['alice', '', '\u0000"\\']),
    owner_type: random.pick(['human', 'agent', 'policy', 'unresolved']),
    prev_hmac: random.pick([HEX, '']),
    reason: 'request completed',
    request_fingerprint: `sha256:${HEX}`,
    ts_ns: random.pick([1747000000, 0, 1]),
  }
}

export const auditRow: Target = {
  name: 'audit-row',
  words: [
    '"hmac":"',
    HEX,
    '"ts_ns":',
    '1e5',
    '1.0',
    '-0.0',
    '\\u001f',
    '\\ud800',
    '"metadata":{',
    '"_signing_key_id":"k1"',
  ],
  build: random => bytesOf(JSON.stringify(row(random))),
  check: bytes => {
    const line = Buffer.from(bytes)
    const stored = readStored(line)
    const facts = newFacts()
    const fast = scanLine(line, 0, line.length, facts)
    if (!stored.ok) {
      must(!/[\r\n]/.test(stored.fault.detail), 'a fault is one line')
      // The fast reader leaves UTF-8 to its caller.
      must(
        !fast || line.toString('utf8').includes('\ufffd'),
        'the fast reader accepts no row that the exact one refuses',
      )
      return
    }
    must(!fast || stored.isCanonical, 'the fast reader accepts canonical rows only')
    if (fast) {
      const { row: r } = stored
      equal(line.toString('latin1', facts.hmac, facts.hmac + 64), r.hmac, 'the hmac')
      equal(line.toString('latin1', facts.tsNs, facts.tsNsEnd), r.tsNs.toString(), 'the time')
    }
    const json = refusing(() => parseJson(textOf(bytes)), JsonFault)
    must(json !== undefined, 'a row is JSON')
    const written = canonical(json)
    const again = readStored(bytesOf(written))
    must(again.ok && again.isCanonical, 'the canonical form of a row is canonical')
    const sorted = (r: typeof stored.row) => ({ ...r, metadata: canonical(r.metadata) })
    equal(sorted(again.row), sorted(stored.row), 'a row, written anew')
  },
}

const key = new Key('k1', Buffer.alloc(32, 7))
const ring = new KeyRing(key)
const HEAD = encodeHead({ count: 3n, length: 900, hmac: HEX, tsNs: 17n }, key)

export const auditHead: Target = {
  name: 'audit-head',
  words: ['signet-head-v1 ', ' k1 ', '-1', ' - ', '\n'],
  build: random => {
    const other = encodeHead({ count: BigInt(random.below(9)), length: random.below(9), hmac: HEX, tsNs: 5n }, key)
    const blank = Buffer.alloc(512)
    return new Uint8Array(Buffer.concat([random.pick([HEAD, other, blank]), random.pick([HEAD, other, blank])]))
  },
  check: bytes => {
    const head = parseHead(Buffer.from(bytes), ring)
    if (head.kind === 'invalid') must(!/[\r\n]/.test(head.detail), 'a detail is one line')
    if (head.kind !== 'found') return
    const { position } = head
    must(position.count >= 0n && position.length >= 0, 'a position is one')
    if (position.count > 0n) {
      const slot = Buffer.from(bytes.subarray(head.slot * 512, head.slot * 512 + 512))
      must(slot.equals(encodeHead(position, key)), 'a record that is believed is one that the key made, byte for byte')
    }
  },
}
