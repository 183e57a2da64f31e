/** What can be done to rows. */
import { createHmac } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { OTHER_SECRET, SECRET } from './sound.ts'
import { linesOf, log, put, rows, type Tampering } from './tampered.ts'

/** Row 2 of the plain log, changed as text. */
const line =
  (change: (text: string) => string, row = 2) =>
  (folder: string): void => {
    const all = linesOf(log(folder))
    const before = all[row] ?? ''
    const after = change(before)
    if (after === before) throw new Error('the change changes nothing')
    all[row] = after
    put(log(folder), all)
  }
const field = (name: string, value: unknown) =>
  line(text => {
    const at = text.indexOf(`"${name}":`) + name.length + 3
    const rest = text.slice(at)
    const end = valueEnd(rest)
    return text.slice(0, at) + JSON.stringify(value) + rest.slice(end)
  })
const without = (name: string) =>
  line(text => {
    const at = text.indexOf(`"${name}":`)
    const rest = text.slice(at + name.length + 3)
    return (text.slice(0, at) + rest.slice(valueEnd(rest) + 1)).replace(/,?$/, '').replace(/,\}$/, '}')
  })

function valueEnd(text: string): number {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (c === '"') for (i++; text[i] !== '"'; i++) if (text[i] === '\\') i++
    if (c === '{' || c === '[') depth++
    if (c === '}' || c === ']') depth--
    if (depth <= 0 && (text[i + 1] === ',' || text[i + 1] === '}' || text[i + 1] === undefined)) return i + 1
  }
  return text.length
}

/** The row again, with an HMAC that this key gives. */
function resigned(text: string, secret: Uint8Array, change: (canonical: string) => string = c => c): string {
  const hmac = /"hmac":"([0-9a-f]{64})",/.exec(text)?.[0] ?? ''
  const canonical = change(text.replace(hmac, ''))
  const mac = createHmac('sha256', secret).update(canonical).digest('hex')
  return canonical.replace('"metadata":', `"hmac":"${mac}","metadata":`)
}

export const ROW_TAMPERING: readonly Tampering[] = [
  {
    what: 'entry_id changed',
    named: 'self_mismatch',
    at: 2,
    act: field('entry_id', '0193f1a0-0000-7000-8000-000000000099'),
  },
  {
    what: 'ts_ns changed',
    named: 'self_mismatch',
    at: 2,
    act: line(t => t.replace(/"ts_ns":(\d+)\d}/, '"ts_ns":$19}')),
  },
  { what: 'owner_type changed', named: 'self_mismatch', at: 2, act: field('owner_type', 'agent') },
  { what: 'owner_id changed', named: 'self_mismatch', at: 2, act: field('owner_id', 'mallory@example.com') },
  { what: 'an approver taken out', named: 'self_mismatch', at: 2, act: field('approval_chain', []) },
  {
    what: 'an approver put in',
    named: 'self_mismatch',
    at: 2,
    act: field('approval_chain', ['human:bob', 'human:eve']),
  },
  { what: 'check_name changed', named: 'self_mismatch', at: 2, act: field('check_name', 'pipeline.admission') },
  { what: 'decision flipped', named: 'self_mismatch', at: 2, act: field('decision', 'block') },
  { what: 'reason changed', named: 'self_mismatch', at: 2, act: field('reason', 'request complete') },
  {
    what: 'request_fingerprint changed',
    named: 'self_mismatch',
    at: 2,
    act: field('request_fingerprint', `sha256:${'cd'.repeat(32)}`),
  },
  {
    what: 'a metadata value changed',
    named: 'self_mismatch',
    at: 2,
    act: line(t => t.replace('"_stage":"record"', '"_stage":"admission"')),
  },
  {
    what: 'a metadata key added',
    named: 'self_mismatch',
    at: 2,
    act: line(t => t.replace('"_stage":', '"_staff":"x","_stage":')),
  },
  {
    what: 'a metadata key taken out',
    named: 'self_mismatch',
    at: 2,
    act: line(t => t.replace(/"_exchange_id":"[^"]*",/, '')),
  },
  {
    what: 'the salt changed',
    named: 'self_mismatch',
    at: 2,
    act: line(t => t.replace(/"_salt":"./, m => `${m.slice(0, -1)}${m.endsWith('A') ? 'B' : 'A'}`)),
  },
  { what: 'the salt taken out', named: 'self_mismatch', at: 2, act: line(t => t.replace(/"_salt":"[^"]*",/, '')) },
  {
    what: 'the anchor changed',
    named: 'self_mismatch',
    at: 2,
    act: line(t => t.replace('"success":true', '"success":false')),
  },
  {
    what: 'the key id set to one that is not known',
    named: 'unknown_key',
    at: 2,
    act: line(t => t.replace('"_signing_key_id":"k1"', '"_signing_key_id":"k9"')),
  },
  {
    what: 'the key id taken out',
    named: 'missing_key_id',
    at: 2,
    act: line(t => t.replace('"_signing_key_id":"k1",', '')),
  },
  {
    what: 'the key id empty',
    named: 'missing_key_id',
    at: 2,
    act: line(t => t.replace('"_signing_key_id":"k1"', '"_signing_key_id":""')),
  },
  {
    what: 'the key id a list',
    named: 'missing_key_id',
    at: 2,
    act: line(t => t.replace('"_signing_key_id":"k1"', '"_signing_key_id":["k1"]')),
  },
  {
    what: 'one digit of hmac',
    named: 'self_mismatch',
    at: 2,
    act: line(t => t.replace(/"hmac":"./, m => `${m.slice(0, -1)}${m.endsWith('0') ? '1' : '0'}`)),
  },
  {
    what: 'one digit of prev_hmac',
    named: 'link_mismatch',
    at: 2,
    act: line(t => t.replace(/"prev_hmac":"./, m => `${m.slice(0, -1)}${m.endsWith('0') ? '1' : '0'}`)),
  },
  {
    what: 'hmac in upper case',
    named: 'malformed_line',
    at: 2,
    act: line(t => t.replace(/"hmac":"[0-9a-f]{64}"/, m => `"hmac":"${m.slice(8, -1).toUpperCase()}"`)),
  },
  { what: 'hmac too short', named: 'malformed_line', at: 2, act: line(t => t.replace(/"hmac":"[0-9a-f]/, '"hmac":"')) },
  {
    what: 'hmac empty',
    named: 'not_canonical',
    at: 2,
    act: line(t => t.replace(/"hmac":"[0-9a-f]{64}"/, '"hmac":  ""')),
  },
  ...[
    'entry_id',
    'ts_ns',
    'owner_type',
    'owner_id',
    'approval_chain',
    'check_name',
    'decision',
    'reason',
    'request_fingerprint',
    'metadata',
    'prev_hmac',
    'hmac',
  ].map((name): Tampering => ({ what: `${name} taken out`, named: 'malformed_line', at: 2, act: without(name) })),
  {
    what: 'a field of another type (ts_ns as text)',
    named: 'malformed_line',
    at: 2,
    act: line(t => t.replace(/"ts_ns":(\d+)/, '"ts_ns":"$1"')),
  },
  {
    what: 'ts_ns beyond the format',
    named: 'malformed_line',
    at: 2,
    act: line(t => t.replace(/"ts_ns":\d+/, `"ts_ns":${10n ** 20n}`)),
  },
  { what: 'a decision that does not exist', named: 'malformed_line', at: 2, act: field('decision', 'maybe') },
  { what: 'a field added', named: 'unknown_field', at: 2, act: line(t => t.replace(/}$/, ',"zz":1}')) },
  {
    what: 'a field repeated',
    named: 'duplicate_key',
    at: 2,
    act: line(t => t.replace('"reason":', '"reason":"x","reason":')),
  },
  {
    what: 'a metadata key repeated',
    named: 'duplicate_key',
    at: 2,
    act: line(t => t.replace('"_stage":', '"_stage":"x","_stage":')),
  },
  {
    what: 'a key repeated under another escape',
    named: 'duplicate_key',
    at: 2,
    act: line(t => t.replace('"reason":', '"reaso\\u006e":"x","reason":')),
  },
  { what: 'a space between members', named: 'not_canonical', at: 2, act: line(t => t.replace(':[', ': [')) },
  {
    what: 'another escape of the same character',
    named: 'not_canonical',
    at: 2,
    act: line(t => t.replace('request completed', 'request\\u0020completed')),
  },
  {
    what: 'U+2028 escaped where it stood raw',
    named: 'not_canonical',
    at: 2,
    act: line(t => t.replace('\u2028', '\\u2028')),
  },
  {
    what: 'U+2028 put into a value',
    named: 'self_mismatch',
    at: 2,
    act: line(t => t.replace('request completed', 'request\u2028completed')),
  },
  { what: 'U+2028 taken out of a value', named: 'self_mismatch', at: 2, act: line(t => t.replace('\u2028', '')) },
  {
    what: 'a number written as a float',
    named: 'self_mismatch',
    at: 2,
    act: line(t => t.replace('"count":3', '"count":3.0')),
  },
  {
    what: 'a number written with an exponent',
    named: 'not_canonical',
    at: 2,
    act: line(t => t.replace('"count":3', '"count":3e0')),
  },
  {
    what: 'members in another order',
    named: 'not_canonical',
    at: 2,
    act: line(t => t.replace(/^\{("approval_chain":\[[^\]]*\]),("check_name":"[^"]*")/, '{$2,$1')),
  },
  { what: 'a letter in another normal form', named: 'self_mismatch', at: 2, act: line(t => t.replace('é', 'e\u0301')) },
  { what: 'a carriage return at the end', named: 'not_canonical', at: 2, act: line(t => `${t}\r`) },
  { what: 'a byte order mark at the start', named: 'malformed_line', at: 0, act: line(t => `\ufeff${t}`, 0) },
  { what: 'an empty line', named: 'malformed_line', at: 2, act: rows(all => all.splice(2, 0, '')) },
  { what: 'text that is no JSON', named: 'malformed_line', at: 2, act: rows(all => all.splice(2, 1, 'half a ro')) },
  { what: 'a list instead of a row', named: 'malformed_line', at: 2, act: rows(all => all.splice(2, 1, '[]')) },
  {
    what: 'bytes that are no UTF-8',
    named: 'malformed_line',
    at: 2,
    act: folder => {
      const all = linesOf(log(folder))
      const before = Buffer.from(`${all.slice(0, 2).join('\n')}\n`)
      writeFileSync(
        log(folder),
        Buffer.concat([before, Buffer.from([0xff, 0xfe, 0x0a]), Buffer.from(`${all.slice(3).join('\n')}\n`)]),
      )
    },
  },
  {
    what: 'nesting of a thousand levels',
    named: 'malformed_line',
    at: 2,
    act: field('metadata', JSON.parse(`${'['.repeat(1000)}${']'.repeat(1000)}`)),
  },
  { what: 'a row deleted', named: 'link_mismatch', at: 2, act: rows(all => all.splice(2, 1)) },
  { what: 'the first row deleted', named: 'link_mismatch', at: 0, act: rows(all => all.splice(0, 1)) },
  { what: 'a row repeated', named: 'link_mismatch', at: 3, act: rows(all => all.splice(2, 0, all[2] ?? '')) },
  {
    what: 'two rows swapped',
    named: 'link_mismatch',
    at: 2,
    act: rows(all => all.splice(2, 2, all[3] ?? '', all[2] ?? '')),
  },
  { what: 'all rows in reverse', named: 'link_mismatch', at: 0, act: rows(all => all.reverse()) },
  { what: 'a row moved to the end', named: 'link_mismatch', at: 2, act: rows(all => all.push(...all.splice(2, 1))) },
  {
    what: 'a row of another log put in',
    named: 'link_mismatch',
    at: 2,
    act: (folder, older) =>
      rows(all => all.splice(2, 0, linesOf(join(older, '../other/audit.jsonl'))[1] ?? ''))(folder),
  },
  {
    what: 'a row forged with zeros for an hmac',
    named: 'self_mismatch',
    at: 2,
    act: rows(all => all.splice(2, 0, (all[2] ?? '').replace(/"hmac":"[0-9a-f]{64}"/, `"hmac":"${'0'.repeat(64)}"`))),
  },
  {
    what: 'a row signed again with another key under the same id',
    named: 'self_mismatch',
    at: 2,
    act: line(t => resigned(t, OTHER_SECRET)),
  },
  {
    what: 'a row signed again with another key and its id',
    named: 'unknown_key',
    at: 2,
    act: line(t => resigned(t, OTHER_SECRET, c => c.replace('"_signing_key_id":"k1"', '"_signing_key_id":"k2"'))),
  },
  {
    what: 'the whole log signed again with another key',
    named: 'self_mismatch',
    at: 0,
    act: rows(all => chainAgain(all, OTHER_SECRET)),
  },
  {
    what: 'a row rewritten by somebody with the key',
    named: 'link_mismatch',
    at: 3,
    act: line(t => resigned(t, SECRET, c => c.replace('"allow"', '"block"'))),
  },
  {
    what: 'an earlier ts_ns, signed with the key',
    named: 'timestamp_regression',
    at: 2,
    act: line(t => resigned(t, SECRET, c => c.replace(/"ts_ns":\d+/, '"ts_ns":1'))),
  },
]

/** All rows linked and signed anew. */
function chainAgain(all: string[], secret: Uint8Array): void {
  let prev = ''
  for (const [i, text] of all.entries()) {
    all[i] = resigned(text, secret, c => c.replace(/"prev_hmac":"[0-9a-f]*"/, `"prev_hmac":"${prev}"`))
    prev = /"hmac":"([0-9a-f]{64})"/.exec(all[i] ?? '')?.[1] ?? ''
  }
}
