/** A tool that demands more than a durable row: its call leaves when the log has the row, or not at all. */
import { afterAll, describe, expect, it } from 'vitest'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import type { Assurance, LogLevel, RowLog } from '../../src/core/row.ts'
import { adoptCheck } from '../../src/plugins/load.ts'
import { demoChecks, scenario, startTestGate, type TestGate } from '../support/gate.ts'

/** A log that gets there when the test says so. */
class SlowLog implements RowLog {
  readonly status = {
    ok: true,
    reason: undefined,
    halted: false,
    size: 0,
    behind: 0,
    behindMs: 0,
    witnessed: undefined,
  }
  readonly asked: { readonly index: number; readonly level: LogLevel; readonly settle: (error?: Error) => void }[] = []
  onAsked: () => void = () => undefined

  reached(index: number, level: LogLevel): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.asked.push({ index, level, settle: error => (error === undefined ? resolve() : reject(error)) })
    this.onAsked()
    return promise
  }

  nextAsked(): Promise<void> {
    return new Promise(resolve => {
      this.onAsked = resolve
    })
  }
}

function checksWith(assurance: Assurance) {
  return [
    ...demoChecks().filter(check => check.name !== 'tool_call_inspector'),
    new ToolCallInspectorCheck({
      registry: {
        get_weather: { riskTier: 'low', assurance },
        search_orders: {},
        'upstream:web_search': { assurance },
      },
    }),
  ]
}

const gates: TestGate[] = []
afterAll(() => Promise.all(gates.map(gate => gate.close())))

async function gateWith(log: RowLog | undefined, assurance: Assurance, timeLimitMs = 30_000, witnesses = true) {
  const gate = await startTestGate({
    checks: checksWith(assurance),
    ...(log === undefined ? {} : { log: { rows: log, timeLimitMs, witnesses } }),
  })
  gates.push(gate)
  return gate
}

function call(gate: TestGate, tool: string, stream: boolean) {
  return fetch(`${gate.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'x-commit-owner': 'human:alice@example.com' },
    body: JSON.stringify(
      scenario(
        { kind: 'call', calls: [{ name: tool, arguments: '{"city":"Oslo"}' }] },
        { stream, tools: [{ type: 'function', function: { name: tool } }] },
      ),
    ),
  })
}

const callRow = (gate: TestGate) => gate.rows().findIndex(row => row['check_name'] === 'pipeline.commitment')

describe('a tool that demands its row to be logged', () => {
  it.each([
    ['logged', false],
    ['logged', true],
    ['witnessed', false],
    ['witnessed', true],
  ] as const)('%s, stream %s: the call leaves when the log has it, not before', async (level, stream) => {
    const log = new SlowLog()
    const gate = await gateWith(log, level)
    const asked = log.nextAsked()
    let text = ''
    const whole = call(gate, 'get_weather', stream).then(async answer => {
      for await (const chunk of answer.body ?? []) text += Buffer.from(chunk).toString()
      return answer.status
    })
    await asked
    expect(log.asked).toMatchObject([{ index: callRow(gate), level }])
    expect(text).not.toContain('get_weather')
    log.asked[0]?.settle()
    expect(await whole).toBe(200)
    expect(text).toContain('get_weather')
    // Only the call's row, once.
    expect(log.asked).toHaveLength(1)
  })

  it.each([false, true])(
    'stream %s: a log that cannot take it refuses the call, with a row that says so',
    async stream => {
      const log = new SlowLog()
      log.onAsked = () => log.asked.at(-1)?.settle(new Error('full'))
      const gate = await gateWith(log, 'logged')
      const answer = await call(gate, 'get_weather', stream)
      const text = await answer.text()
      expect(text).not.toContain('Oslo')
      if (answer.status !== 503) expect(text).toContain('"signet_abort":true')
      expect(text).toContain('audit_unavailable')
      expect(gate.rows().at(-1)).toMatchObject({
        decision: 'block',
        metadata: expect.objectContaining({ _code: 'audit_unavailable', _outcome: 'faulted' }),
      })
      expect(gate.rows().some(row => row['check_name'] === 'pipeline.complete')).toBe(false)
    },
  )

  it('waits no longer than it is told to', async () => {
    const gate = await gateWith(new SlowLog(), 'logged', 20)
    expect((await call(gate, 'get_weather', false)).status).toBe(503)
  })

  it('holds up no other tool, no text and no refusal', async () => {
    const log = new SlowLog()
    const gate = await gateWith(log, 'logged')
    for (const stream of [false, true]) {
      expect(await (await call(gate, 'search_orders', stream)).text()).toContain('search_orders')
      expect(await (await call(gate, 'delete_everything', stream)).text()).toContain('signet refused the tool call')
    }
    expect(log.asked).toEqual([])
  })

  it('that upstream runs is called only when the log has the admission', async () => {
    const log = new SlowLog()
    const gate = await gateWith(log, 'logged')
    const body = JSON.stringify({
      model: 'demo',
      input: 'look it up',
      tools: [{ type: 'web_search' }],
    })
    const send = () =>
      fetch(`${gate.url}/v1/responses`, {
        method: 'POST',
        headers: { 'x-commit-owner': 'human:alice@example.com' },
        body,
      })
    const asked = log.nextAsked()
    const answer = send()
    await asked
    expect(gate.upstreamRequests()).toBe(0)
    log.asked[0]?.settle()
    await answer
    expect(gate.upstreamRequests()).toBe(1)
    log.onAsked = () => log.asked.at(-1)?.settle(new Error('full'))
    expect((await send()).status).toBe(503)
    expect(gate.upstreamRequests()).toBe(1)
    expect(gate.rows().at(-1)).toMatchObject({
      decision: 'block',
      metadata: expect.objectContaining({ _code: 'audit_unavailable' }),
    })
  })
})

describe('a demand that nothing can meet', () => {
  it.each<[string, Assurance, RowLog | undefined, boolean, RegExp]>([
    [
      'logged without a log',
      'logged',
      undefined,
      true,
      /'logged', and the transparency log is off; set transparencyLog/,
    ],
    ['witnessed without witnesses', 'witnessed', new SlowLog(), false, /'witnessed', and no witnesses are configured/],
  ])('%s is refused at start', async (_, level, log, witnesses, message) => {
    await expect(gateWith(log, level, 1000, witnesses)).rejects.toThrow(message)
  })

  it('is refused in the registry when it is none', () => {
    const registry = { a: { assurance: 'sworn' as Assurance } }
    expect(() => new ToolCallInspectorCheck({ registry })).toThrow(/assurance.*'durable', 'logged', 'witnessed'/)
  })
})

it.each([
  [false, 'certain'],
  [true, 'certain'],
  [false, 'witnessed'],
  [true, 'witnessed'],
])(
  'stream %s: a plugin that answers %s for a call, having announced less, does not let it leave',
  async (stream, level) => {
    const plugin = adoptCheck(
      {
        name: 'lying',
        priority: 1,
        timeLimitMs: 1000,
        describe: () => ({}),
        commit: () => ({ kind: 'allow' }),
        assurance: { highest: 'durable', of: (tool: string) => (tool === 'get_weather' ? level : 'durable') },
      },
      'lying',
    )
    const gate = await startTestGate({ checks: [...demoChecks(), plugin] })
    gates.push(gate)
    const text = await (await call(gate, 'get_weather', stream)).text()
    expect(text).not.toContain('Oslo')
    expect(text).toMatch(/check_error|internal_error|signet_abort/)
  },
)
