/** Every way an exchange can end: settled exactly once, with the right charge, with one row that says how it ended; over any budget state. */
import { expect, it, vi } from 'vitest'
import { ScopeDriftCheck } from '../../src/checks/scope-drift.ts'
import { TokenBudgetCheck } from '../../src/checks/token-budget.ts'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import type { Check } from '../../src/core/check.ts'
import type { Row } from '../../src/core/row.ts'
import type { BudgetState } from '../../src/core/state.ts'
import { DEMO_REGISTRY, startTestGate, type TestGateOptions } from '../support/gate.ts'
import { ALLOWED, type HandCall, handUpstream, RowWatch, SettleProbe } from './support.ts'

vi.setConfig({ testTimeout: 10_000 })

const request = (stream: boolean, more: object = {}) => ({
  model: 'm',
  stream,
  max_tokens: 100,
  messages: [{ role: 'user', content: 'hi' }],
  ...more,
})

/** What was charged for each reservation, and how often it was settled. */
class CountingBudget implements BudgetState {
  readonly #inner: BudgetState
  readonly charged = new Map<string, number[]>()

  constructor(inner: BudgetState) {
    this.#inner = inner
  }

  async reserve(...args: Parameters<BudgetState['reserve']>) {
    const r = await this.#inner.reserve(...args)
    if (r.ok) this.charged.set(r.reservation, [])
    return r
  }

  async settle(reservation: string, used: number) {
    this.charged.get(reservation)?.push(used)
    await this.#inner.settle(reservation, used)
  }
}

/** What the ledger of the test's owner says: a reservation too large to be granted. */
async function ledger(state: BudgetState): Promise<{ used: number; reserved: number }> {
  const r = await state.reserve('day:human:alice@example.com', CAP + 1, CAP, 86_400_000, Date.now())
  if (r.ok) throw new Error('expected a refusal')
  return { used: r.used, reserved: r.reserved }
}

const CAP = 1_000_000

const refund = (name: string) => (stream: boolean) => {
  const call = { index: 0, id: 'call_1', type: 'function', function: { name, arguments: '{"amount":1}' } }
  return stream
    ? `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta: { tool_calls: [call] }, finish_reason: null }] })}\n\ndata: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] })}\n\ndata: [DONE]\n\n`
    : JSON.stringify({
        id: 'c',
        choices: [
          { index: 0, message: { role: 'assistant', content: null, tool_calls: [call] }, finish_reason: 'tool_calls' },
        ],
      })
}

interface Way {
  readonly name: string
  readonly kind: string
  readonly modes?: readonly boolean[]
  readonly owner?: null
  readonly forwarded: boolean
  /** Output tokens charged of the 100 reserved. */
  readonly charge: number
  readonly options?: TestGateOptions
  /** What upstream does. */
  readonly upstream?: (call: HandCall, stream: boolean) => void
  /** When the caller leaves. */
  readonly leave?: 'before head' | 'mid-stream' | 'in an async check' | 'in the audit sync'
  readonly lastRow: Partial<Row>
}

const WAYS: readonly Way[] = [
  {
    name: 'completed',
    kind: 'completed',
    forwarded: true,
    charge: 5,
    upstream: (c, stream) => {
      if (!stream) return c.unary('hello')
      c.head(true)
      c.event('hello there, all is well')
      c.done()
    },
    lastRow: { checkName: 'pipeline.complete', decision: 'allow' },
  },
  {
    name: 'refused at admission',
    kind: 'refused',
    forwarded: false,
    charge: 0,
    options: {
      checks: [
        {
          name: 'no',
          priority: 90,
          timeLimitMs: 100,
          describe: () => ({}),
          admit: () => ({ kind: 'block', because: { code: 'custom:no', reason: 'no' } }),
        },
      ],
    },
    lastRow: { checkName: 'pipeline.admission', decision: 'block' },
  },
  {
    name: 'refused before the first byte',
    kind: 'refused',
    forwarded: true,
    charge: 100,
    upstream: (c, stream) => {
      c.head(stream)
      if (stream) c.event('SECRET//NOFORN it is. ')
      else
        c.res.end(
          JSON.stringify({
            id: 'c',
            choices: [{ index: 0, message: { role: 'assistant', content: 'SECRET//NOFORN' }, finish_reason: 'stop' }],
          }),
        )
    },
    lastRow: { checkName: 'pipeline.inspection', decision: 'block' },
  },
  {
    name: 'aborted',
    kind: 'aborted',
    modes: [true],
    forwarded: true,
    charge: 100,
    upstream: c => {
      c.head(true)
      c.event('so far so good. ')
      c.res.write(': x\n\n', () => setImmediate(() => c.event('SECRET//NOFORN it is. ')))
    },
    lastRow: { checkName: 'pipeline.inspection', decision: 'block' },
  },
  {
    name: 'escalated',
    kind: 'escalated',
    forwarded: true,
    charge: 3,
    upstream: (c, stream) => {
      c.head(stream)
      c.res.end(refund('issue_refund')(stream))
    },
    lastRow: { checkName: 'pipeline.commitment', decision: 'escalate' },
  },
  {
    name: 'faulted before the head',
    kind: 'faulted',
    forwarded: true,
    charge: 100,
    upstream: c => void c.res.destroy(),
    lastRow: { checkName: 'pipeline.upstream', decision: 'block' },
  },
  {
    name: 'faulted in the middle',
    kind: 'faulted',
    forwarded: true,
    charge: 100,
    upstream: (c, stream) => {
      c.head(stream)
      c.event('half an ')
      c.res.write(': x\n\n', () => c.res.socket?.destroySoon())
    },
    lastRow: { checkName: 'pipeline.upstream', decision: 'block' },
  },
  {
    name: 'disconnected before upstream answers',
    kind: 'disconnected',
    forwarded: true,
    charge: 100,
    leave: 'before head',
    upstream: () => undefined,
    lastRow: { checkName: 'pipeline.complete', decision: 'block' },
  },
  {
    name: 'disconnected in the middle',
    kind: 'disconnected',
    modes: [true],
    forwarded: true,
    charge: 100,
    leave: 'mid-stream',
    upstream: c => {
      c.head(true)
      c.event('the beginning of something')
    },
    lastRow: { checkName: 'pipeline.complete', decision: 'block' },
  },
  {
    name: 'disconnected while a check decides',
    kind: 'disconnected',
    forwarded: false,
    charge: 0,
    leave: 'in an async check',
    lastRow: { checkName: 'pipeline.complete', decision: 'block' },
  },
  {
    name: 'disconnected while the log syncs',
    kind: 'disconnected',
    forwarded: false,
    charge: 0,
    leave: 'in the audit sync',
    options: { settings: { beforeForward: 'always' } },
    lastRow: { checkName: 'pipeline.complete', decision: 'block' },
  },
]

/** `open` gives an empty state. */
export function settledExactlyOnce(open: () => Promise<BudgetState>): void {
  for (const way of WAYS)
    for (const stream of way.modes ?? [false, true])
      it(`${way.name}, ${stream ? 'streamed' : 'unary'}`, async () => {
        const upstream = await handUpstream(call => way.upstream?.(call, stream))
        const watch = new RowWatch()
        const probe = new SettleProbe()
        const state = await open()
        const budget = new CountingBudget(state)
        let entered: () => void = () => undefined
        const inside = new Promise<void>(resolve => (entered = resolve))
        let goOn: () => void = () => undefined
        const gone = new Promise<void>(resolve => (goOn = resolve))
        const waiting: Check = {
          name: 'waiting',
          priority: 80,
          timeLimitMs: 5000,
          describe: () => ({}),
          admit: async (_x, ctx) => {
            entered()
            await new Promise<void>(resolve => ctx.signal.addEventListener('abort', () => resolve()))
            return ALLOWED
          },
        }
        const gate = await startTestGate({
          ...way.options,
          checks: [
            probe,
            new TokenBudgetCheck({ cap: CAP, state: budget }),
            new ScopeDriftCheck(),
            new ToolCallInspectorCheck({ registry: DEMO_REGISTRY }),
            ...(way.leave === 'in an async check' ? [waiting] : []),
            ...(way.options?.checks ?? []),
          ],
          upstreamUrl: upstream.url,
          wrapAudit: inner => {
            const outer = watch.wrap(inner)
            if (way.leave !== 'in the audit sync') return outer
            return {
              ...outer,
              get ok() {
                return inner.ok
              },
              get head() {
                return inner.head
              },
              append: row => {
                const ticket = outer.append(row)
                if (row.checkName !== 'pipeline.admission') return ticket
                return {
                  ...ticket,
                  entryId: row.entryId,
                  get placed() {
                    return ticket.placed
                  },
                  durable: async () => {
                    entered()
                    await gone
                    return ticket.durable()
                  },
                }
              },
            }
          },
        })
        const leaving = new AbortController()
        const asked = fetch(`${gate.url}/v1/chat/completions`, {
          method: 'POST',
          headers: { 'x-commit-owner': 'human:alice@example.com' },
          body: JSON.stringify(request(stream)),
          signal: leaving.signal,
        })
        if (way.leave === undefined) {
          const res = await asked
          await res.text()
        } else {
          const left = asked.then(
            (res): unknown => (way.leave === 'mid-stream' ? res : res.text()),
            () => 'left',
          )
          if (way.leave === 'before head') await upstream.call()
          else if (way.leave === 'mid-stream') await (await asked).body?.getReader().read()
          else await inside
          leaving.abort()
          if (way.leave === 'in the audit sync') {
            await closedConnections(gate.running.server)
            goOn()
          }
          if (way.leave === 'mid-stream' || way.leave === 'before head') await (await upstream.call()).gone
          await left.catch(() => 'left')
        }
        const [outcome, ...more] = await probe.all()
        expect(more).toEqual([])
        expect(outcome).toMatchObject({ kind: way.kind, forwarded: way.forwarded })
        expect([...budget.charged.values()]).toEqual([[expect.any(Number)]])
        const [[charge] = []] = [...budget.charged.values()]
        if (way.name === 'completed' && stream) expect(charge).toBe(6)
        else expect(charge).toBe(way.charge)
        // What the store itself says, when everything is over.
        expect(await ledger(state)).toEqual({ used: charge, reserved: 0 })
        await watch.row(r => r.checkName === way.lastRow.checkName && r.decision === way.lastRow.decision)
        const ends = watch.rows.filter(r => r.metadata['_outcome'] !== undefined || r.decision !== 'allow')
        expect(ends).toMatchObject([way.lastRow])
        if (!way.forwarded) expect(upstream.calls).toHaveLength(0)
        await gate.close()
        expect(await probe.all()).toHaveLength(1)
        await upstream.close()
      })
}

/** Until every caller's connection has closed on the gate's side too. */
async function closedConnections(server: import('node:http').Server): Promise<void> {
  for (let i = 0; i < 10_000; i += 1) {
    const open = await new Promise<number>(resolve => server.getConnections((_e, n) => resolve(n)))
    if (open === 0) return
    await new Promise(setImmediate)
  }
  throw new Error('connections stayed open')
}
