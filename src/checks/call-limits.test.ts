/** How often a tool may be called: what is counted, what is given back, and what happens when state cannot answer. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Exchange } from '../core/exchange.ts'
import { agentOwner, humanOwner, UNRESOLVED } from '../core/owner.ts'
import type { SharedState } from '../core/state.ts'
import type { ToolCall } from '../core/wire.ts'
import { readArguments } from '../dialects/arguments.ts'
import { MemoryBudgetState, MemoryRateLimitState, MemoryReferenceState, MemorySessionState } from '../state/memory.ts'
import { canonicalArguments } from './arguments/canonical-call.ts'
import { CallLimitsCheck, type CallLimitsOptions } from './call-limits.ts'
import type { ToolLimitsOptions } from './call-limits-options.ts'
import { callOf, exchangeOf, TestContext } from './testing.ts'

const alice = humanOwner('alice', { authenticatedBy: 'jwt' })
const bot = agentOwner('bot', { authenticatedBy: 'jwt' })

function shared(more: Partial<SharedState> = {}): SharedState {
  return {
    rateLimits: new MemoryRateLimitState(),
    budgets: new MemoryBudgetState(),
    sessions: new MemorySessionState(),
    references: new MemoryReferenceState(),
    reachable: () => true,
    close: async () => undefined,
    ...more,
  }
}

interface Asked {
  readonly tool?: string
  readonly args?: string
  readonly call?: Partial<ToolCall>
  readonly x?: Exchange
}

/** Asks as an exchange each would, at a time of its own. */
class Asking {
  readonly check: CallLimitsCheck
  nowMs = 1_700_000_000_000

  constructor(
    limits: ToolLimitsOptions | { readonly tools: Readonly<Record<string, ToolLimitsOptions>> },
    state?: SharedState,
  ) {
    const tools = 'tools' in limits ? limits.tools : { refund: limits }
    this.check = new CallLimitsCheck({ tools })
    if (state !== undefined) this.check.shareState(state)
  }

  async ask({ tool = 'refund', args = '{}', call = {}, x = exchangeOf({ owner: alice }) }: Asked = {}, again?: true) {
    const context = new TestContext(this.check)
    context.nowMs = this.nowMs
    const ctx = again === undefined ? context : Object.assign(context, { again })
    const proposed = callOf(tool, { argumentsText: args, arguments: readArguments(args), ...call })
    const verdict = await this.check.commit(proposed, x, ctx)
    return verdict.kind === 'allow' ? 'allow' : `${verdict.kind} ${verdict.because.code}`
  }

  async times(n: number, asked: (i: number) => Asked = () => ({})): Promise<readonly string[]> {
    const said: string[] = []
    for (let i = 0; i < n; i += 1) said.push(await this.ask(asked(i)))
    return said
  }
}

const distinct = (i: number): Asked => ({ args: `{"n":${i}}` })
const HOUR = 3_600_000

describe('rate', () => {
  const rate = { calls: 2, perSeconds: 3600 }

  it('counts the calls of one owner and one tool in a window', async () => {
    const asking = new Asking({ tools: { refund: { rate }, other: { rate } } })
    expect(await asking.times(3)).toEqual(['allow', 'allow', 'block call_rate'])
    expect(await asking.ask({ tool: 'other' })).toBe('allow')
    expect(await asking.ask({ tool: 'unlimited' })).toBe('allow')
    expect(await asking.ask({ x: exchangeOf({ owner: bot }) })).toBe('allow')
    asking.nowMs += HOUR
    expect(await asking.times(3)).toEqual(['allow', 'allow', 'block call_rate'])
  })

  it('says when to try again, and which limit it was', async () => {
    const asking = new Asking({ rate: { calls: 0, perSeconds: 60 } })
    const check = asking.check
    const context = new TestContext(check)
    context.nowMs = 30_000
    expect(await check.commit(callOf('refund'), exchangeOf(), context)).toMatchObject({
      kind: 'block',
      retryAfterS: 30,
      because: {
        code: 'call_rate',
        details: { tool: 'refund', rule: 'rate', calls: 0, perSeconds: 60, retry_after_seconds: 30 },
      },
    })
  })

  it('is one for all whom nobody knows', async () => {
    const asking = new Asking({ rate: { calls: 1, perSeconds: 60 } })
    const x = () => exchangeOf({ owner: UNRESOLVED })
    expect(await asking.times(2, () => ({ x: x() }))).toEqual(['allow', 'block call_rate'])
  })

  it('of `*` is each other tool’s own', async () => {
    const asking = new Asking({ tools: { '*': { rate: { calls: 1, perSeconds: 60 } }, refund: { rate } } })
    expect(await asking.times(3)).toEqual(['allow', 'allow', 'block call_rate'])
    expect(await asking.times(2, () => ({ tool: 'a' }))).toEqual(['allow', 'block call_rate'])
    expect(await asking.times(2, () => ({ tool: 'constructor' }))).toEqual(['allow', 'block call_rate'])
  })

  it('holds when many ask at once', async () => {
    const state = shared()
    const gates = [
      new Asking({ rate: { calls: 5, perSeconds: 60 } }, state),
      new Asking({ rate: { calls: 5, perSeconds: 60 } }, state),
    ]
    const said = await Promise.all(Array.from({ length: 40 }, (_, i) => gates[i % 2]?.ask()))
    expect(said.filter(one => one === 'allow')).toHaveLength(5)
  })
})

describe('duplicates', () => {
  const limits = { duplicates: { withinSeconds: 600 } }

  it.each([
    ['the same text', '{"a":1,"b":[2]}', '{"a":1,"b":[2]}', 'block call_duplicate'],
    ['another order of keys', '{"a":1,"b":[2]}', '{"b":[2],"a":1}', 'block call_duplicate'],
    ['other blanks and escapes', '{"a":"x"}', ' { "\\u0061" : "\\u0078" } ', 'block call_duplicate'],
    ['another spelling of a number', '{"a":100}', '{"a":1e2}', 'block call_duplicate'],
    ['nothing and an empty object', '', '{}', 'block call_duplicate'],
    ['another value', '{"a":1}', '{"a":2}', 'allow'],
    ['another order of a list', '{"a":[1,2]}', '{"a":[2,1]}', 'allow'],
    ['a text and a number', '{"a":1}', '{"a":"1"}', 'allow'],
    ['one key more', '{"a":1}', '{"a":1,"b":null}', 'allow'],
  ])('%s', async (_what, first, second, expected) => {
    const asking = new Asking(limits)
    expect(await asking.ask({ args: first })).toBe('allow')
    expect(await asking.ask({ args: second })).toBe(expected)
  })

  it('are of one owner and one tool, whatever the session, and only for so long', async () => {
    const asking = new Asking({ tools: { '*': limits } })
    expect(await asking.ask({ x: exchangeOf({ owner: alice, session: 'a' }) })).toBe('allow')
    expect(await asking.ask({ x: exchangeOf({ owner: alice, session: 'b' }) })).toBe('block call_duplicate')
    expect(await asking.ask({ x: exchangeOf({ owner: bot }) })).toBe('allow')
    expect(await asking.ask({ tool: 'other' })).toBe('allow')
    asking.nowMs += 599_999
    expect(await asking.ask()).toBe('block call_duplicate')
    // What was refused did not begin the time anew.
    asking.nowMs += 1
    expect(await asking.ask()).toBe('allow')
  })

  it('of free-form text are the same letter by letter, and no JSON', async () => {
    const asking = new Asking(limits)
    const call = { form: 'text', arguments: undefined } as const
    expect(await asking.ask({ args: '{}', call })).toBe('allow')
    expect(await asking.ask({ args: '{} ', call })).toBe('allow')
    expect(await asking.ask({ args: '{}' })).toBe('allow')
    expect(await asking.ask({ args: '{}', call })).toBe('block call_duplicate')
  })

  it('hold over gates that share state, and only one of two at once is let through', async () => {
    const state = shared()
    const gates = [new Asking(limits, state), new Asking(limits, state)]
    const said = await Promise.all([0, 1, 0, 1].map(i => gates[i]?.ask({ args: `{"i":${Math.floor(i / 2)}}` })))
    expect(said.filter(one => one === 'allow')).toHaveLength(1)
  })

  it('are told by canonical JSON: equal values have one form, others another', () => {
    const of = (value: unknown) =>
      canonicalArguments(callOf('f', { argumentsText: JSON.stringify(value), arguments: value }))
    const shuffled = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(shuffled)
      if (typeof value !== 'object' || value === null) return value
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([k, v]) => [k, shuffled(v)]),
      )
    }
    const object = fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true })
    fc.assert(
      fc.property(object, object, (a, b) => {
        expect(of(shuffled(a))).toBe(of(a))
        expect(of(a) === of(b)).toBe(JSON.stringify(JSON.parse(of(a))) === JSON.stringify(JSON.parse(of(b))))
      }),
    )
  })
})

describe('loop', () => {
  it('counts the calls of a tool in one session, whatever their arguments', async () => {
    const asking = new Asking({ loop: { calls: 2, perSeconds: 300 } })
    const inSession = (session: string) => (i: number) => ({ ...distinct(i), x: exchangeOf({ owner: alice, session }) })
    expect(await asking.times(3, inSession('a'))).toEqual(['allow', 'allow', 'block call_loop'])
    expect(await asking.times(3, inSession('b'))).toEqual(['allow', 'allow', 'block call_loop'])
    expect(await asking.times(3, distinct)).toEqual(['allow', 'allow', 'block call_loop'])
  })
})

describe('repeats', () => {
  const past = (...texts: readonly string[]) =>
    exchangeOf({
      owner: alice,
      request: { pastCalls: texts.map(argumentsText => ({ name: 'refund', argumentsText })) },
    })

  it('counts the same call in the conversation that the request holds', async () => {
    const asking = new Asking({ repeats: 2 })
    const args = '{"a":1,"b":2}'
    expect(await asking.ask({ args, x: past() })).toBe('allow')
    expect(await asking.ask({ args, x: past(args) })).toBe('allow')
    expect(await asking.ask({ args, x: past(args, '{"b":2, "a":1.0}') })).toBe('block call_loop')
    expect(await asking.ask({ args, x: past(args, '{"a":1}', '{"a":1,"b":3}') })).toBe('allow')
    expect(await asking.ask({ args: '', x: past('{}', '') })).toBe('block call_loop')
    const others = { pastCalls: [args, args].map(argumentsText => ({ name: 'other', argumentsText })) }
    expect(await asking.ask({ args, x: exchangeOf({ request: others }) })).toBe('allow')
  })

  it('reads a conversation that holds no JSON', async () => {
    const asking = new Asking({ repeats: 1 })
    expect(await asking.ask({ x: past('{', 'null', '"\\ud800"', `${'['.repeat(70)}${']'.repeat(70)}`) })).toBe('allow')
    const call = { form: 'text', arguments: undefined } as const
    expect(await asking.ask({ args: 'rm -r', call, x: past('rm -r') })).toBe('block call_loop')
  })
})

describe('keys', () => {
  it('are short, however long a name the model makes up or a session the caller sends, and still apart', async () => {
    const keys: string[] = []
    const budgets = new MemoryBudgetState()
    const recording = Object.assign(Object.create(budgets), {
      reserve(key: string, amount: number, limit: number, windowMs: number, nowMs: number) {
        keys.push(key)
        return budgets.reserve(key, amount, limit, windowMs, nowMs)
      },
      settle: (reservation: string, used: number) => budgets.settle(reservation, used),
    })
    const asking = new Asking(
      { tools: { '*': { rate: { calls: 1, perSeconds: 60 }, loop: { calls: 1, perSeconds: 60 } } } },
      shared({ budgets: recording }),
    )
    const long = 'x'.repeat(1_000_000)
    const x = exchangeOf({ owner: alice, session: long })
    expect(await asking.ask({ tool: long, x })).toBe('allow')
    expect(await asking.ask({ tool: long, x })).toBe('block call_rate')
    expect(await asking.ask({ tool: `${long}y`, x })).toBe('allow')
    expect(keys.length).toBeGreaterThan(4)
    expect(Math.max(...keys.map(key => key.length))).toBeLessThan(1_000)
  })
})

describe('an owner that makes ever new calls', () => {
  it('does not use up the room of another', async () => {
    const limits: ToolLimitsOptions = {
      rate: { calls: 1_000_000, perSeconds: 3600 },
      loop: { calls: 1_000_000, perSeconds: 3600 },
      duplicates: { withinSeconds: 3600 },
    }
    const state = shared({
      rateLimits: new MemoryRateLimitState({ maxOwners: 100 }),
      budgets: new MemoryBudgetState({ maxOwners: 200 }),
    })
    const asking = new Asking({ tools: { '*': limits } }, state)
    const told = new Set<string>()
    for (let i = 0; i < 300; i++) {
      const x = exchangeOf({ owner: { ...alice, id: 'mallory' }, session: `s${i}` })
      told.add(await asking.ask({ ...distinct(i), tool: `made_up_${i}`, x }))
    }
    expect([...told].sort()).toEqual(['allow', 'block state_unavailable'])
    expect(await asking.ask({ x: exchangeOf({ owner: alice }) })).toBe('allow')
    expect(await asking.ask({ x: exchangeOf({ owner: alice }) })).toBe('block call_duplicate')
  })
})

describe('several limits', () => {
  it('a call that one of them refuses is given back to the others', async () => {
    const asking = new Asking({
      rate: { calls: 3, perSeconds: 3600 },
      loop: { calls: 3, perSeconds: 3600 },
      duplicates: { withinSeconds: 600 },
    })
    expect(await asking.ask(distinct(0))).toBe('allow')
    for (let i = 0; i < 5; i += 1) expect(await asking.ask(distinct(0))).toBe('block call_duplicate')
    expect(await asking.ask(distinct(1))).toBe('allow')
    expect(await asking.ask(distinct(2))).toBe('allow')
    expect(await asking.ask(distinct(3))).toBe('block call_rate')
    // Refused by the rate, it is not held against the call when the window is over.
    asking.nowMs += HOUR
    expect(await asking.ask(distinct(3))).toBe('allow')
  })

  it('count nothing when an answer that waited is judged again', async () => {
    const asking = new Asking({ rate: { calls: 1, perSeconds: 60 }, duplicates: { withinSeconds: 60 }, repeats: 1 })
    expect(await asking.ask()).toBe('allow')
    for (let i = 0; i < 3; i += 1) expect(await asking.ask({}, true)).toBe('allow')
    expect(await asking.ask()).toBe('block call_rate')
  })

  it('leave no reservation open', async () => {
    const budgets = new MemoryBudgetState()
    const asking = new Asking(
      { rate: { calls: 2, perSeconds: 60 }, loop: { calls: 1, perSeconds: 60 }, duplicates: { withinSeconds: 60 } },
      shared({ budgets }),
    )
    await asking.times(4, distinct)
    expect(budgets.open).toBe(0)
  })
})

describe('state that cannot answer', () => {
  const down = () => Promise.reject(new Error('redis://:password@host'))
  const throws = () => {
    throw new Error('down')
  }
  it.each<[string, ToolLimitsOptions, Partial<SharedState>]>([
    ['rate', { rate: { calls: 5, perSeconds: 60 } }, { budgets: { reserve: down, settle: down } }],
    ['rate, by a throw', { rate: { calls: 5, perSeconds: 60 } }, { budgets: { reserve: throws, settle: throws } }],
    ['loop', { loop: { calls: 5, perSeconds: 60 } }, { budgets: { reserve: down, settle: down } }],
    ['duplicates', { duplicates: { withinSeconds: 60 } }, { rateLimits: { take: down } }],
    ['duplicates, by nonsense', { duplicates: { withinSeconds: 60 } }, { rateLimits: { take: () => ({}) as never } }],
  ])('refuses: %s', async (_what, limits, state) => {
    expect(await new Asking(limits, shared(state)).ask()).toBe('block state_unavailable')
  })

  it('that only cannot settle has counted the call, and lets it through', async () => {
    const budgets = new MemoryBudgetState()
    const state = shared({ budgets: { reserve: (...given) => budgets.reserve(...given), settle: down } })
    const asking = new Asking({ rate: { calls: 1, perSeconds: 60 } }, state)
    expect(await asking.times(2)).toEqual(['allow', 'block call_rate'])
  })
})

describe('options', () => {
  it.each<[unknown, string]>([
    [[], 'tools must be an object of tool name to limits'],
    [{ refund: {} }, 'tools["refund"] must be given at least one of rate, duplicates, loop, repeats'],
    [{ refund: { rates: 1 } }, 'tools["refund"] must be made of rate, duplicates, loop, repeats only, got \'rates\''],
    [{ refund: { rate: 5 } }, 'tools["refund"].rate must be an object of calls and perSeconds'],
    [{ refund: { rate: { calls: 5 } } }, 'tools["refund"].rate.perSeconds must be a whole number from 1'],
    [{ refund: { rate: { calls: 1.5, perSeconds: 1 } } }, 'tools["refund"].rate.calls must be a whole number from 0'],
    [{ refund: { duplicates: { withinSeconds: 0 } } }, 'tools["refund"].duplicates.withinSeconds'],
    [{ refund: { repeats: 0 } }, 'tools["refund"].repeats must be a whole number from 1'],
    [{ 'upstream:web_search': { repeats: 1 } }, 'upstream runs the tool'],
  ])('%j: %s', (tools, expected) => {
    expect(() => new CallLimitsCheck({ tools: tools as CallLimitsOptions['tools'] & object })).toThrow(expected)
  })

  it('are in the description, without the driver of its state', () => {
    const of = (calls: number) => new CallLimitsCheck({ tools: { refund: { rate: { calls, perSeconds: 60 } } } })
    const check = of(1)
    const before = JSON.stringify(check.describe())
    check.shareState(shared())
    expect(JSON.stringify(check.describe())).toBe(before)
    expect(JSON.stringify(of(2).describe())).not.toBe(before)
  })
})
