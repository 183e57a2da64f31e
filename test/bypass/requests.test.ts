/** The request side of the matrix: what a caller says in any place of a request is seen before upstream gets it. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { PromptInjectionCheck } from '../../src/checks/prompt-injection.ts'
import { RegexContentCheck } from '../../src/checks/regex-content.ts'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import { DIALECTS } from '../../src/dialects/registry.ts'
import { DEMO_REGISTRY, startTestGate, type TestGate } from '../support/gate.ts'
import { plain } from './released.ts'
import { type RequestCell, type RequestOutcome, requestCells } from './request-cells.ts'
import { FORBIDDEN, LEAD, REDACTED, SECRET, TAIL } from './surface.ts'

const all = requestCells()
const placeOf = (c: RequestCell) => `${c.surface.name} ${c.row}, ${c.mode}`
const places = [...new Set(all.map(placeOf))]

it('asks in every place of every surface that has a body', () => {
  const withBody = DIALECTS.filter(d => d.routes.some(r => r.method === 'POST')).map(d => d.name)
  expect([...new Set(all.map(c => c.surface.name))]).toEqual(withBody)
  // A place that says otherwise is one that is asked.
  for (const { surface } of all) {
    for (const place of Object.keys(surface.otherwise ?? {})) {
      expect(all.some(c => c.surface === surface && (c.row === place || `${c.row} ${c.column}` === place))).toBe(true)
    }
  }
})

describe('a request', () => {
  let gate: TestGate
  let upstream: Server
  const got: string[] = []

  beforeAll(async () => {
    upstream = createServer((req, res) => {
      const chunks: Buffer[] = []
      req.on('data', (chunk: Buffer) => chunks.push(chunk))
      req.on('end', () => {
        got.push(Buffer.concat(chunks).toString())
        res.writeHead(200, { 'content-type': 'application/json' }).end('{}')
      })
    })
    await new Promise<void>(resolve => upstream.listen(0, '127.0.0.1', resolve))
    gate = await startTestGate({
      upstreamUrl: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/v1`,
      checks: [
        new OwnerResolutionCheck(),
        new RegexContentCheck({
          patterns: [
            { pattern: FORBIDDEN, action: 'block', label: 'codename' },
            { pattern: 'sk-test-[A-Za-z0-9]{8,40}', action: 'redact', label: 'key' },
          ],
        }),
        new PromptInjectionCheck({ roles: ['system', 'developer', 'user', 'assistant', 'tool', 'schema', 'other'] }),
        new ToolCallInspectorCheck({ registry: DEMO_REGISTRY }),
      ],
    })
  })
  afterAll(async () => {
    const { ok } = await gate.verify()
    await gate.close()
    upstream.closeAllConnections()
    upstream.close()
    expect(ok).toBe(true)
  })

  const ask = async ({ surface, body }: RequestCell) => {
    const before = got.length
    const res = await fetch(gate.url + surface.path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice@example.com' },
      body,
    })
    const answer = await res.text()
    return { status: res.status, answer, sent: got.slice(before) }
  }

  it.each(places)('%s', async place => {
    for (const cell of all.filter(c => placeOf(c) === place)) {
      const { status, answer, sent } = await ask(cell)
      const seen = `${cell.column}: ${status} ${answer}`
      for (const body of [...sent, answer]) {
        expect(plain(body), seen).not.toContain(plain(FORBIDDEN))
        expect(plain(body), seen).not.toContain(plain(SECRET))
      }
      expect(outcome(cell, status, sent), seen).toBe(cell.expect)
    }
  })
})

function outcome(cell: RequestCell, status: number, sent: readonly string[]): RequestOutcome | 'something else' {
  const [body] = sent
  if (body === undefined) return status === 403 ? 'refused' : status === 400 ? 'malformed' : 'something else'
  if (body === cell.body) return 'identical'
  // Every other byte is the caller's.
  return body === cell.body.replace(LEAD + SECRET + TAIL, LEAD + REDACTED + TAIL) ? 'redacted' : 'something else'
}
