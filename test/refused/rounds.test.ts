/** Properties of rounds, a gate killed between two of them, and the conversation that follows. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openAuditLog } from '../../src/audit/open.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import { KeyFolder } from '../../src/keys/store.ts'
import { DEMO_REGISTRY, demoChecks, chat as sendChat } from '../support/gate.ts'
import { saidAddress } from '../support/said-address.ts'
import type { Said } from '../support/scripted.ts'
import {
  ALLOWED,
  CASES,
  meta,
  NAMES,
  REFUSED,
  responses,
  roundsOf,
  story,
  type Turn,
  thrown,
  toolsOf,
  upstream,
} from './support.ts'

const CHILD = join(import.meta.dirname, '../crash/gate-child.ts')
describe('whatever upstream says', () => {
  const call = fc.constantFrom(REFUSED, { ...REFUSED, name: 'wipe' }, ALLOWED)
  const text = fc.constantFrom('Fine.', 'sk-test-ABCDEFGH1234', 'a sk-test-ABCDEFGH1234 b')
  const said = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ text: fc.option(text, { nil: undefined }), calls: fc.array(call, { maxLength: 3 }) }),
    },
    { weight: 1, arbitrary: fc.constant({ status: 500 }) },
    { weight: 1, arbitrary: fc.constant({ text: 'Fine.', breaks: true as const }) },
  )
  it('no refused call and no withheld text leaves, and every round has its rows and its settlement once', async () => {
    const rows = await story(async (gate, ledger) => {
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...CASES),
          fc.array(said, { minLength: 3, maxLength: 3 }),
          async (c, turns) => {
            upstream.say(...(turns as Said[]))
            const before = ledger.admitted
            const out = await c.ask(gate, c.stream).then(
              t => t.raw,
              e => String(e),
            )
            expect(out).not.toMatch(/all-of-it|sk-test-ABCDEFGH1234/)
            expect(ledger.admitted - before).toBe(upstream.seen.length)
            const goesOn = (turn: Said | undefined) =>
              (turn?.calls ?? []).length > 0 && (turn?.calls ?? []).every(one => one.name !== ALLOWED.name)
            const rounds = goesOn(turns[0] as Said) ? (goesOn(turns[1] as Said) ? 3 : 2) : 1
            expect(upstream.seen).toHaveLength(rounds)
          },
        ),
        { numRuns: 60 },
      )
    })
    const byExchange = Map.groupBy(rows, r => String(meta(r)['_exchange_id']))
    for (const [, own] of byExchange) {
      const admitted = own.filter(r => r['reason'] === 'admission cleared').map(r => meta(r)['_round'] ?? 0)
      expect(admitted).toEqual(admitted.map((_, i) => i))
      const continued = roundsOf(own, 'pipeline.continue')
      expect(continued).toEqual(admitted.slice(0, -1))
      const ended = own.filter(r => meta(r)['_outcome'] !== undefined && meta(r)['_check_name'] !== 'pipeline.continue')
      expect(ended.map(r => meta(r)['_round'] ?? 0)).toEqual([admitted.at(-1)])
    }
  })
})

it('a gate killed between two rounds has delivered nothing, and its log is sound', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'signet-refused-'))
  const logPath = join(folder, 'audit.jsonl')
  const keys = join(folder, 'keys')
  const asked = Promise.withResolvers<void>()
  const child = spawn(process.execPath, [CHILD, logPath, upstream.url, keys, 'continue'])
  try {
    const url = await saidAddress(child)
    const wait = () => {
      asked.resolve()
      return new Promise<void>(() => undefined)
    }
    upstream.say({ calls: [REFUSED] }, { wait })
    const tools = toolsOf('chat', NAMES)
    const body = { model: 'm', stream: true, messages: [{ role: 'user', content: 'Clean up.' }], tools }
    const answer = thrown(() => sendChat({ url }, body).then(res => res.text()))
    await asked.promise
    const exited = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGKILL')
    await exited
    await answer
    // The next start takes the log up where it is whole.
    const ring = new KeyFolder(keys).ring('chain')
    const audit = await openAuditLog({ path: logPath, ring })
    await audit.close()
    expect((await verifyLog(logPath, ring)).ok).toBe(true)
    expect(readFileSync(logPath, 'utf8')).not.toContain('pipeline.complete')
  } finally {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true })
  }
})

describe.each(CASES)('the conversation after it ($name, stream: $stream)', ({ name, stream, ask }) => {
  it('goes on with what was delivered, and a capability is for the delivered call alone', async () => {
    const registry = { ...DEMO_REGISTRY, get_weather: { riskTier: 'low' as const, audience: 'weather' } }
    const checks = [
      ...demoChecks().filter(c => c.name !== 'tool_call_inspector'),
      new ToolCallInspectorCheck({ registry }),
    ]
    await story(
      async gate => {
        upstream.say({ calls: [REFUSED] }, { calls: [{ ...ALLOWED, id: 'good' }] })
        const turn = await ask(gate, stream)
        expect(turn.calls).toEqual(['get_weather'])
        const minted = new Set(turn.raw.match(/"capability":"[^"]+"/g))
        expect(minted.size).toBe(1)
        const claims = JSON.parse(
          Buffer.from([...minted][0]?.split('"')[3]?.split('.')[1] ?? '', 'base64url').toString(),
        ) as Record<string, unknown>
        expect(claims).toMatchObject({ tool: 'get_weather', exchange: turn.headers.get('x-signet-correlation-id') })
        const user = { role: 'user', content: 'Clean up.' }
        const more =
          name === 'responses'
            ? {
                input: [
                  user,
                  { type: 'function_call', call_id: 'good', name: 'get_weather', arguments: ALLOWED.args },
                  { type: 'function_call_output', call_id: 'good', output: 'rain' },
                ],
              }
            : name === 'chat'
              ? {
                  messages: [
                    user,
                    {
                      role: 'assistant',
                      content: null,
                      tool_calls: [
                        { id: 'good', type: 'function', function: { name: 'get_weather', arguments: ALLOWED.args } },
                      ],
                    },
                    { role: 'tool', tool_call_id: 'good', content: 'rain' },
                  ],
                }
              : {
                  messages: [
                    user,
                    {
                      role: 'assistant',
                      content: [{ type: 'tool_use', id: 'good', name: 'get_weather', input: { city: 'Oslo' } }],
                    },
                    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'good', content: 'rain' }] },
                  ],
                }
        upstream.say({ text: 'Rain. ', calls: [REFUSED] }, { text: 'It rains.' })
        expect((await ask(gate, stream, more)).text).toBe('It rains.')
        expect(upstream.seen[1]).toMatch(/rain.*Rain\. .*format_disk/s)
      },
      { checks },
    )
  })
})

describe('within a conversation kept upstream', () => {
  it('a response may be built on, one that was withheld may not', async () => {
    await story(async gate => {
      upstream.say({ text: 'Hello.' })
      const id = (turn: Turn) => /"id":"(resp_\d+)"/.exec(turn.raw)?.[1] ?? ''
      const before = await responses(gate, false)
      upstream.say({ calls: [REFUSED] }, { text: 'No.' })
      const next = await responses(gate, false, { previous_response_id: id(before) })
      expect(next.text).toBe('No.')
      expect(upstream.seen[1]).toContain(`"previous_response_id":"${id(before)}"`)
      const serial = Number(id(next).slice('resp_'.length))
      upstream.say({ text: 'Goes on.' }, { text: 'never' })
      expect((await responses(gate, false, { previous_response_id: id(next) })).text).toBe('Goes on.')
      const withheld = thrown(() => responses(gate, false, { previous_response_id: `resp_${serial - 1}` }))
      expect(await withheld).toMatchObject({ status: 403 })
    })
  })
})
