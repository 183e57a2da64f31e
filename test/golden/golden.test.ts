/**
 * Exchanges in the shapes that real servers send, through the running gate. `*.request` is what the caller sends,
 * `*.upstream` what comes back (first line: status and content type), `*.expected` what the caller gets and what the
 * log says of it. `UPDATE_GOLDEN=1` writes the last ones anew.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultPipeline } from '../../src/config/default-pipeline.ts'
import { type ScriptedUpstream, startScriptedUpstream } from '../bypass/upstream.ts'
import { startTestGate, type TestGate } from '../support/gate.ts'

const FOLDER = join(import.meta.dirname, 'chat')
const names = readdirSync(FOLDER)
  .filter(name => name.endsWith('.request'))
  .map(name => name.slice(0, -'.request'.length))

/** Transcripts in which the gate steps in; in all the others the caller gets upstream's bytes. */
const GATED = new Set([
  'held-call',
  'marker-mid-stream',
  'openai-parallel-tools-one-refused',
  'openai-tools-refused-unary',
  'secret-with-logprobs',
])

const stable = (text: string) =>
  text
    .replace(/^: signet-receipt \S+$/gm, ': signet-receipt …')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, '…id…')

describe('golden transcripts', () => {
  let gate: TestGate
  let upstream: ScriptedUpstream
  beforeAll(async () => {
    upstream = await startScriptedUpstream()
    gate = await startTestGate({ upstreamUrl: upstream.url, checks: defaultPipeline({ demo: true }).checks })
  })
  afterAll(async () => {
    await gate.close()
    await upstream.close()
  })

  it('has every file of every transcript', () => {
    expect(names.length).toBeGreaterThanOrEqual(15)
    const wanted = names.flatMap(n => [`${n}.expected`, `${n}.request`, `${n}.upstream`])
    expect(readdirSync(FOLDER).sort()).toEqual(wanted.sort())
  })

  it.each(names)('%s', async name => {
    const file = (kind: string) => readFileSync(join(FOLDER, `${name}.${kind}`), 'utf8')
    const [head = '', ...rest] = file('upstream').split('\n')
    const body = rest.join('\n')
    const status = Number(head.slice(0, 3))
    const request = JSON.parse(file('request')) as { model: string }
    const model = `${name}:${request.model}`
    // In pieces that respect nothing.
    const bytes = Buffer.from(body)
    const writes = Array.from({ length: Math.ceil(bytes.length / 97) }, (_, i) => bytes.subarray(i * 97, (i + 1) * 97))
    upstream.script(model, { contentType: head.slice(4), status, writes })
    const res = await fetch(`${gate.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice@example.com' },
      body: JSON.stringify({ ...request, model }),
    })
    const answered = await res.text()
    const id = res.headers.get('x-signet-correlation-id')
    const rows = gate
      .rows()
      .map(r => ({ check: r['check_name'], decision: r['decision'], meta: r['metadata'] as Record<string, unknown> }))
      .filter(r => r.meta['_exchange_id'] === id)
      .map(r =>
        [r.check, r.decision, r.meta['_check_name'], r.meta['_code'], r.meta['_at']].filter(v => v !== undefined),
      )
    const got = `${res.status} ${res.headers.get('content-type')}\n${stable(answered)}\n--- log\n${rows.map(r => r.join(' ')).join('\n')}\n`
    if (!GATED.has(name)) expect(answered.replace(/^: signet-receipt \S+\n\n/gm, '')).toBe(body)
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(join(FOLDER, `${name}.expected`), got)
    expect(got).toBe(file('expected'))
  })
})
