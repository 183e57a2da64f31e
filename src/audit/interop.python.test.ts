/** Needs `python3` on the path (standard library only): checks the row format against Python itself. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { canonical, Float, type Json } from './canonical.ts'
import { parseJson } from './json.ts'
import { openAuditLog } from './open.ts'
import { anyRow, anyText, testRing, testRow } from './testing/rows.test-support.ts'
import { verifyLog } from './verify.ts'

const ring = testRing()
let folder: string
beforeAll(() => {
  const found = spawnSync('python3', ['--version'])
  if (found.status !== 0)
    throw new Error('python3 is not on the path; install Python 3 (Debian: apt-get install python3)')
  folder = mkdtempSync(join(tmpdir(), 'signet-python-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function python(script: string, args: string[], input = ''): string {
  const run = spawnSync('python3', ['-c', script, ...args], { input, encoding: 'utf8', maxBuffer: 1 << 28 })
  if (run.status !== 0) throw new Error(run.stderr)
  return run.stdout
}

/** What the Python implementation's verifier checks, on its own. */
const VERIFY = `
import sys, json, hmac, hashlib
secret = bytes(range(32)); prev = ''; n = 0
def dump(x): return json.dumps(x, sort_keys=True, separators=(',', ':'), ensure_ascii=False, allow_nan=False)
FIELDS = {'entry_id','ts_ns','owner_type','owner_id','approval_chain','check_name','decision','reason',
          'request_fingerprint','metadata','prev_hmac','hmac'}
for line in open(sys.argv[1], 'rb').read().split(b'\\n')[:-1]:
    row = json.loads(line)
    assert set(row) == FIELDS, sorted(row)
    assert dump(row).encode() == line, (n, 'not canonical')
    stored = row.pop('hmac')
    assert row['prev_hmac'] == prev, (n, 'link')
    assert row['metadata']['_signing_key_id'] == 'k1'
    assert hmac.new(secret, dump(row).encode(), hashlib.sha256).hexdigest() == stored, (n, 'hmac')
    assert type(row['ts_ns']) is int
    prev = stored; n += 1
print('ok', n)
`

/** A chain as the Python implementation writes it: floats, no salt, no head file, clocks that go back. */
const WRITE = `
import sys, json, hmac, hashlib, random, uuid
secret = bytes(range(32)); prev = ''; random.seed(int(sys.argv[2]))
def dump(x): return json.dumps(x, sort_keys=True, separators=(',', ':'), ensure_ascii=False, allow_nan=False)
text = lambda: ''.join(random.choice('a"\\\\\\n\\x00\\x1f\\x7f\\u2028\\u00e9\\uffee\\ue000\\U0001f600') for _ in range(random.randrange(6)))
def value(d):
    k = random.randrange(9 if d < 3 else 6)
    if k == 0: return random.uniform(-1, 1) * 10 ** random.randrange(-30, 30)
    if k == 1: return random.randrange(-10**25, 10**25)
    if k == 2: return text()
    if k == 3: return random.choice([True, False, None, 1.0, -0.0, 0.0, 1e16, 1e-7, 5e-324])
    if k == 4: return random.randrange(100)
    if k == 5: return float(random.randrange(10**20))
    if k in (6, 7): return {text(): value(d + 1) for _ in range(random.randrange(4))}
    return [value(d + 1) for _ in range(random.randrange(4))]
with open(sys.argv[1], 'wb') as f:
    for i in range(300):
        row = {'entry_id': str(uuid.UUID(int=random.getrandbits(128), version=4)), 'ts_ns': 1747000000123456789 - i,
               'owner_type': random.choice(['human', 'agent', 'policy', 'unresolved']), 'owner_id': text(),
               'approval_chain': [text() for _ in range(random.randrange(3))], 'check_name': text(),
               'decision': random.choice(['allow', 'block', 'redact', 'escalate']), 'reason': text(),
               'request_fingerprint': '', 'prev_hmac': prev,
               'metadata': {**{text(): value(0) for _ in range(4)}, '_signing_key_id': 'k1',
                            '_anchor': {'backend': 'noop', 'success': True}}}
        prev = hmac.new(secret, dump(row).encode(), hashlib.sha256).hexdigest()
        f.write(dump({**row, 'hmac': prev}).encode() + b'\\n')
`

describe('Python', () => {
  it('writes the same canonical form for any value', () => {
    const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>(tie => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.oneof(
          anyText,
          fc.boolean(),
          fc.constant(null),
          fc.bigInt(),
          fc.double({ noNaN: true, noDefaultInfinity: true }).map(x => new Float(x)),
        ),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.array(fc.tuple(anyText, tie('value')), { maxLength: 4 }).map(pairs => new Map(pairs)),
      ),
    })).value
    const texts = fc.sample(json, { numRuns: 1000, seed: 7 }).map(canonical)
    const script = `import sys, json
for line in sys.stdin.buffer.read().split(b'\\n')[:-1]:
    sys.stdout.buffer.write(json.dumps(json.loads(line), sort_keys=True, separators=(',', ':'), ensure_ascii=False, allow_nan=False).encode() + b'\\n')`
    const out = python(script, [], `${texts.join('\n')}\n`)
      .split('\n')
      .slice(0, -1)
    expect(out).toEqual(texts)
    expect(out.map(text => canonical(parseJson(text)))).toEqual(texts)
  })

  it('verifies our chain, whatever is in the rows', async () => {
    const path = join(folder, 'ours.jsonl')
    const log = await openAuditLog({ path, ring })
    for (const row of fc.sample(anyRow, { numRuns: 300, seed: 11 })) log.append(row)
    log.append(testRow(1, { note: 'x'.repeat(100_000) }))
    await log.close()
    expect(python(VERIFY, [path]).trim()).toBe('ok 301')
  })

  it('has its own chain verified here, and continued', async () => {
    for (const seed of [1, 2, 3]) {
      const path = join(folder, `theirs-${seed}.jsonl`)
      python(WRITE, [path, String(seed)])
      expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 300, head: 'absent' })
      const whole = readFileSync(path)
      writeFileSync(path, Buffer.concat([whole.subarray(0, 700), Buffer.from('x'), whole.subarray(701)]))
      expect((await verifyLog(path, ring)).ok).toBe(false)
      writeFileSync(path, whole)
      const log = await openAuditLog({ path, ring })
      await log.append(testRow(1)).durable()
      await log.close()
      expect(await verifyLog(path, ring)).toMatchObject({ ok: true, total_entries: 301, head: 'checked' })
      expect(python(VERIFY, [path]).trim()).toBe('ok 301')
    }
  })
})
