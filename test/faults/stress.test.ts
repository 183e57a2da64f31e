/** Many callers at once on real sockets: every answer is its own, the log verifies, and nothing stays open. */
import { Agent, request } from 'node:http'
import { expect, it } from 'vitest'
import { verifyReceipt } from '../../src/receipt/index.ts'
import { demoChecks, ISSUER, scenario, startTestGate } from '../support/gate.ts'
import { RowWatch, SettleProbe } from './support.ts'

const CLIENTS = 64
const EACH = 50
const KINDS = ['unary', 'stream', 'refused', 'malformed', 'marker', 'call'] as const

it(`${CLIENTS} callers × ${EACH} requests`, { timeout: 60_000 }, async () => {
  const watch = new RowWatch()
  const probe = new SettleProbe()
  const gate = await startTestGate({ checks: [probe, ...demoChecks()], wrapAudit: watch.wrap })
  const keys = JSON.parse(await (await fetch(`${gate.url}/.well-known/jwks.json`)).text())
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS })
  const ids = new Set<string>()
  const receipts: string[] = []

  const ask = (kind: (typeof KINDS)[number], word: string, stream: boolean) =>
    new Promise<{ status: number; text: string; id: string; receipt: string }>((resolve, reject) => {
      const body =
        kind === 'malformed'
          ? `{"a":"${word}",}`
          : JSON.stringify(
              kind === 'call'
                ? scenario(
                    {
                      kind: 'call',
                      calls: [{ name: 'get_weather', arguments: JSON.stringify({ city: word }) }],
                      chunk: 5,
                    },
                    { stream, tools: [{ type: 'function', function: { name: 'get_weather' } }] },
                  )
                : scenario(
                    {
                      kind: 'place',
                      place: 'content',
                      chunk: 3,
                      text: kind === 'marker' ? `${word} SECRET//NOFORN ${word}` : `${word} and ${word}.`,
                    },
                    { stream },
                  ),
            )
      const req = request(`${gate.url}/v1/chat/completions`, {
        method: 'POST',
        agent,
        headers: kind === 'refused' ? {} : { 'x-commit-owner': `human:${word}@example.com` },
      })
      req.on('error', reject)
      req.on('response', res => {
        const chunks: Buffer[] = []
        res.on('data', (c: Buffer) => chunks.push(c))
        res.on('error', reject)
        res.on('end', () =>
          resolve({
            status: res.statusCode ?? 0,
            text: Buffer.concat(chunks).toString(),
            id: String(res.headers['x-signet-correlation-id']),
            receipt: String(res.headers['x-signet-receipt']),
          }),
        )
      })
      req.end(body)
    })

  /** The text of an answer, whatever its mode. */
  const said = (text: string, stream: boolean): string => {
    type Body = { choices?: { delta?: Said; message?: Said }[] }
    type Said = { content?: string; tool_calls?: { function?: { arguments?: string } }[] }
    const bodies = stream
      ? [...text.matchAll(/^data: (\{.*)$/gm)].map(m => JSON.parse(m[1] ?? '') as Body)
      : [JSON.parse(text) as Body]
    return bodies
      .flatMap(b => b.choices ?? [])
      .map(c => c.delta ?? c.message)
      .map(d => `${d?.content ?? ''}${d?.tool_calls?.map(t => t.function?.arguments ?? '').join('') ?? ''}`)
      .join('')
  }

  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, c) => {
      for (let i = 0; i < EACH; i += 1) {
        const kind = KINDS[(c + i) % KINDS.length] ?? 'unary'
        const stream = kind === 'stream' || (kind !== 'unary' && i % 2 === 0)
        const word = `caller-${c}-turn-${i}`
        const { status, text, id, receipt } = await ask(kind, word, stream)
        expect(ids.has(id)).toBe(false)
        ids.add(id)
        if (i % 10 === 0) receipts.push(receipt)
        // No answer holds another caller's word.
        for (const [other] of text.matchAll(/caller-\d+-turn-\d+/g)) expect(other).toBe(word)
        switch (kind) {
          case 'unary':
          case 'stream':
            expect([status, said(text, stream)]).toEqual([200, `${word} and ${word}.`])
            break
          case 'refused':
            expect([status, text]).toEqual([403, expect.stringContaining('no commit owner')])
            break
          case 'malformed':
            expect([status, text]).toEqual([400, expect.stringContaining('json_decode_error')])
            break
          case 'marker':
            expect(said(stream ? text : '{}', stream)).not.toMatch(/S$|SECRE|NOFORN/)
            expect(stream ? text.includes('signet_abort') || status === 403 : status === 403).toBe(true)
            break
          case 'call':
            expect([status, said(text, stream)]).toEqual([200, JSON.stringify({ city: word })])
            break
        }
      }
    }),
  )
  expect(ids.size).toBe(CLIENTS * EACH)
  await probe.all()
  // The malformed ones met no check.
  const reached = [...watch.rows].filter(r => r.checkName === 'pipeline.preflight').length
  expect(probe.settled.size + reached).toBe(CLIENTS * EACH)
  for (const [, outcomes] of probe.settled) expect(outcomes).toHaveLength(1)
  for (const receipt of receipts)
    expect((await verifyReceipt(receipt, { keys, issuer: ISSUER })).claims.iss).toBe(ISSUER)
  await new Promise(setImmediate)
  expect(gate.running.gate.load).toMatchObject({ active: 0, heldBytes: 0 })
  expect(gate.running.gate.targets.openai.upstream.active).toBe(0)
  agent.destroy()
  expect((await gate.verify()).ok).toBe(true)
  const inLog = new Set(gate.rows().map(r => (r['metadata'] as Record<string, unknown>)['_exchange_id']))
  for (const id of ids) expect(inLog.has(id)).toBe(true)
  expect(gate.running.server.listening).toBe(false)
  await gate.close()
  // Sockets and servers of this test are gone; what the test runner holds was there before.
  const open = process.getActiveResourcesInfo().filter(r => r === 'TCPSERVERWRAP')
  expect(open).toEqual([])
})
