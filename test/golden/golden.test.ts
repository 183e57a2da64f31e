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

interface Collection {
  readonly folder: string
  readonly path: string
  /** Transcripts in which the gate steps in; in all the others the caller gets upstream's bytes. */
  readonly gated: readonly string[]
}

const COLLECTIONS: readonly Collection[] = [
  {
    folder: 'chat',
    path: '/v1/chat/completions',
    gated: [
      'held-call',
      'marker-mid-stream',
      'openai-parallel-tools-one-refused',
      'openai-tools-refused-unary',
      'secret-with-logprobs',
    ],
  },
  {
    folder: 'responses',
    path: '/v1/responses',
    gated: [
      'custom-tool-refused',
      'held-call',
      'marker-mid-stream',
      'openai-parallel-tools-one-refused',
      'openai-tools-refused-unary',
      'secret-with-logprobs',
      'web-search-not-allowed',
    ],
  },
  {
    folder: 'messages',
    path: '/v1/messages',
    gated: [
      'code-execution-not-registered',
      'held-call',
      'held-call-unary',
      'marker-mid-stream',
      'secret-in-text',
      'secret-in-signed-thinking',
      'tools-one-refused',
      'tools-refused-unary',
    ],
  },
]

const namesIn = (folder: string) =>
  readdirSync(join(import.meta.dirname, folder))
    .filter(name => name.endsWith('.request'))
    .map(name => name.slice(0, -'.request'.length))

const stable = (text: string) =>
  text
    .replace(/^: signet-receipt \S+$/gm, ': signet-receipt …')
    .replace(/(?<=^data: \{"type":"response.failed".*"created_at":)\d+(?=.*"message":"signet )/gm, '…now…')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, '…id…')
    .replace(/"expires_at":"[^"]+"/g, '"expires_at":"…"')
    .replace(/(\/signet\/v1\/escalations\/…id…\/)[A-Za-z0-9_-]{43}/g, '$1…token…')

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

  it.each(COLLECTIONS)('has every file of every transcript: $folder', ({ folder, gated }) => {
    const names = namesIn(folder)
    expect(names.length).toBeGreaterThanOrEqual(10)
    expect(names).toEqual(expect.arrayContaining([...gated]))
    const wanted = names.flatMap(n => [`${n}.expected`, `${n}.request`, `${n}.upstream`])
    expect(readdirSync(join(import.meta.dirname, folder)).sort()).toEqual(wanted.sort())
  })

  const transcripts = COLLECTIONS.flatMap(c =>
    namesIn(c.folder).map(name => [`${c.folder}: ${name}`, name, c] as const),
  )
  it.each(transcripts)('%s', async (_, name, { folder, path, gated }) => {
    const nameOf = (kind: string) => join(import.meta.dirname, folder, `${name}.${kind}`)
    const file = (kind: string) => readFileSync(nameOf(kind), 'utf8')
    const [head = '', ...rest] = file('upstream').split('\n')
    const body = rest.join('\n')
    const status = Number(head.slice(0, 3))
    const request = JSON.parse(file('request')) as { model: string }
    const model = `${name}:${request.model}`
    // In pieces that respect nothing.
    const bytes = Buffer.from(body)
    const writes = Array.from({ length: Math.ceil(bytes.length / 97) }, (_, i) => bytes.subarray(i * 97, (i + 1) * 97))
    upstream.script(model, { contentType: head.slice(4), status, writes })
    const res = await fetch(`${gate.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-commit-owner': `human:${folder}@example.com` },
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
    if (!gated.includes(name)) expect(answered.replace(/^: signet-receipt \S+\n\n/gm, '')).toBe(body)
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(nameOf('expected'), got)
    expect(got).toBe(file('expected'))
  })
})
