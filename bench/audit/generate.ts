/**
 * Writes a log of many rows as a gate writes them: `node bench/audit/generate.ts --rows 1000000 --out audit.jsonl`. The key is
 * bytes 00 to 1f, id k1. Prints what it took, per tenth of the rows: appending must not slow down as the log grows.
 */
import { parseArgs } from 'node:util'
import { openAuditLog } from '../../src/audit/open.ts'
import { uuid7 } from '../../src/audit/uuid.ts'
import type { Row } from '../../src/core/row.ts'
import { Key, KeyRing } from '../../src/keys/ring.ts'

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    out: { type: 'string', default: 'audit.jsonl' },
    segment: { type: 'string', default: '268435456' },
    days: { type: 'string', default: '30' },
  },
})
const rows = Number(values.rows)
const ring = new KeyRing(
  new Key(
    'k1',
    Uint8Array.from({ length: 32 }, (_, i) => i),
  ),
)
let seed = 1
const random = (): number => {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
  return seed / 2 ** 32
}
const bytes = (n: number): Uint8Array => Uint8Array.from({ length: n }, () => Math.floor(random() * 256))
const CHECKS = ['prompt_injection', 'regex_output', 'rate_limit', 'token_budget', 'tool_call_inspector', 'scope_drift']

/** Spread over a month, so that reports have periods to compare. */
const endNs = BigInt(Date.now()) * 1_000_000n
const stepNs = (BigInt(values.days) * 86_400_000_000_000n) / BigInt(rows)
let nowNs = endNs - stepNs * BigInt(rows)

const log = await openAuditLog({
  path: values.out,
  ring,
  nowNs: () => nowNs,
  roll: { bytes: Number(values.segment) },
})
const row = (exchange: string, i: number): Row => {
  const blocked = i % 50 === 0
  const check = CHECKS[i % CHECKS.length] ?? ''
  return {
    entryId: uuid7(nowNs / 1_000_000n, bytes),
    owner: {
      type: i % 3 === 0 ? 'agent' : 'human',
      id: `owner-${i % 200}@example.com`,
      approvalChain: i % 3 === 0 ? [`human:owner-${i % 20}@example.com`] : [],
      authenticatedBy: 'jwt',
    },
    checkName: blocked ? 'pipeline.admission' : 'pipeline.complete',
    decision: blocked ? 'block' : 'allow',
    reason: blocked ? `${check} refused the request` : 'request completed',
    fingerprint: `sha256:${Buffer.from(bytes(8)).toString('hex').repeat(4)}`,
    metadata: {
      _exchange_id: exchange,
      _policy_digest: `sha256:${'ab'.repeat(32)}`,
      _surface: 'chat.completions',
      _stage: blocked ? 'admission' : 'record',
      ...(blocked ? { _check_name: check } : {}),
      _model: 'gpt-x',
      _stream: true,
      _peer: '127.0.0.1',
      _data_level: 'public',
    },
  }
}

let from = performance.now()
const tenth = Math.max(1, Math.floor(rows / 10))
for (let i = 0; i < rows; i += 2) {
  nowNs += 2n * stepNs
  const exchange = uuid7(nowNs / 1_000_000n, bytes)
  log.append(row(exchange, i))
  const last = i + 1 < rows ? log.append(row(exchange, i + 1)) : undefined
  // One sync for many, as under load; without it the memory would hold the whole log.
  if (i % 512 === 510) await last?.durable()
  if ((i + 2) % tenth < 2) {
    const ms = performance.now() - from
    console.log(`rows to ${i + 2}: ${((tenth * 1000) / ms).toFixed(0)} appends/s`)
    from = performance.now()
  }
}
await log.drain()
await log.close()
