/** `onRefuse: 'continue'`: a turn in which every call is refused is not delivered, and the model is asked again. */
import { describe, expect, it } from 'vitest'
import { RegexOutputCheck } from '../../src/checks/regex-output.ts'
import { TokenBudgetCheck } from '../../src/checks/token-budget.ts'
import { ALLOW } from '../../src/core/verdict.ts'
import { demoChecks } from '../support/gate.ts'
import {
  ALLOWED,
  CASES,
  chat,
  finalClaims,
  meta,
  NOTICE,
  REFUSED,
  roundsOf,
  story,
  thrown,
  toolsOf,
  upstream,
} from './support.ts'

describe.each(CASES)('a refused turn ($name, stream: $stream)', ({ name, stream, ask }) => {
  it('is told to the model, and its next answer is delivered', async () => {
    const rows = await story(async (gate, ledger) => {
      upstream.say({ text: 'Let me see. ', calls: [REFUSED] }, { text: 'I may not do that.' })
      const turn = await ask(gate, stream)
      expect(turn.text).toBe('I may not do that.')
      expect(turn.raw).not.toMatch(/format_disk|all-of-it|Let me see/)
      expect(upstream.seen).toHaveLength(2)
      const [asked = '', again = ''] = upstream.seen
      expect(asked).toBe(turn.sent)
      // What the caller wrote, byte for byte, with only the list extended.
      const before = name === 'responses' ? turn.sent.indexOf('"Clean up."') : turn.sent.indexOf('"Clean up."}]') + 12
      expect(again.slice(0, before)).toBe(turn.sent.slice(0, before))
      expect(again).toContain(NOTICE)
      expect(again).toContain('Let me see. ')
      expect(again).toContain('all-of-it')
      expect(ledger.settled.map(o => o.kind)).toEqual(['completed', 'completed'])
      const claims = await finalClaims(gate, turn, stream)
      expect(claims.exchange).toBe(turn.headers.get('x-signet-correlation-id'))
    })
    expect(new Set(rows.map(r => meta(r)['_exchange_id'])).size).toBe(1)
    expect(new Set(rows.map(r => r['request_fingerprint'])).size).toBe(1)
    expect(roundsOf(rows, 'pipeline.admission')).toEqual([0, 1])
    expect(roundsOf(rows, 'tool_call_inspector')).toEqual([0])
    expect(roundsOf(rows, 'pipeline.continue')).toEqual([0])
    expect(roundsOf(rows, 'pipeline.complete')).toEqual([1])
  })

  it('is delivered when the model insists three times', async () => {
    const rows = await story(async (gate, ledger) => {
      upstream.say({ calls: [REFUSED] }, { calls: [REFUSED] }, { calls: [REFUSED] }, { text: 'never asked' })
      const turn = await ask(gate, stream)
      expect(turn.calls).toEqual([])
      expect(turn.text).toContain(NOTICE)
      expect(upstream.seen).toHaveLength(3)
      expect(upstream.seen[2]?.split(NOTICE)).toHaveLength(3)
      expect(ledger.admitted).toBe(3)
      await finalClaims(gate, turn, stream)
    })
    expect(roundsOf(rows, 'tool_call_inspector')).toEqual([0, 1, 2])
    expect(roundsOf(rows, 'pipeline.continue')).toEqual([0, 1])
    expect(roundsOf(rows, 'pipeline.complete')).toEqual([2])
  })

  it('may be followed by an allowed call, which is delivered once', async () => {
    await story(async gate => {
      upstream.say({ calls: [REFUSED, { ...REFUSED, name: 'wipe' }] }, { text: 'Then the weather.', calls: [ALLOWED] })
      const turn = await ask(gate, stream)
      expect(turn.calls).toEqual(['get_weather'])
      expect(turn.raw).not.toContain('format_disk')
      expect(upstream.seen[1]).toContain('[signet refused the tool call wipe')
      await finalClaims(gate, turn, stream)
    })
  })

  it('is delivered when a call beside the refused one may run', async () => {
    const rows = await story(async gate => {
      upstream.say({ calls: [REFUSED, ALLOWED] })
      const turn = await ask(gate, stream)
      expect(turn.calls).toEqual(['get_weather'])
      expect(turn.text).toContain(NOTICE)
      expect(upstream.seen).toHaveLength(1)
    })
    expect(roundsOf(rows, 'pipeline.commitment')).toEqual([0])
  })

  it('goes on redacted, and what the next answer says is inspected', async () => {
    const patterns = [
      { pattern: 'sk-test-[A-Za-z0-9]{8,40}', action: 'redact' as const, label: 'key' },
      { pattern: 'launch code', action: 'block' as const, label: 'code' },
    ]
    const checks = [...demoChecks().filter(c => c.name !== 'regex_output'), new RegexOutputCheck({ patterns })]
    const rows = await story(
      async gate => {
        upstream.say(
          { text: 'The key is sk-test-ABCDEFGH1234. ', calls: [REFUSED] },
          { text: 'Here is the launch code now.' },
        )
        const error = await thrown(() => ask(gate, stream))
        expect(String(error)).not.toContain('launch code now')
        expect(upstream.seen[1]).toContain('The key is ')
        expect(upstream.seen[1]).not.toContain('sk-test-ABCDEFGH1234')
        expect(upstream.seen[1]).toContain(NOTICE)
      },
      { checks },
    )
    const found = rows.filter(r => r['check_name'] === 'pipeline.inspection')
    // A surface may tell the same text several times.
    expect([...new Set(found.map(r => `${r['decision']} ${meta(r)['_round'] ?? 0}`))]).toEqual(['redact 0', 'block 1'])
  })

  it('is delivered when the budget is used up by then', async () => {
    const checks = [
      ...demoChecks().filter(c => c.name !== 'token_budget'),
      new TokenBudgetCheck({ cap: 1500, requestEstimateDefault: 1000 }),
    ]
    const rows = await story(
      async gate => {
        upstream.say({ calls: [REFUSED], outputTokens: 1400 }, { text: 'never asked' })
        const turn = await ask(gate, stream, name === 'messages' ? { max_tokens: 1000 } : {})
        expect(turn.text).toContain(NOTICE)
        expect(upstream.seen).toHaveLength(1)
        await finalClaims(gate, turn, stream)
      },
      { checks },
    )
    expect(roundsOf(rows, 'token_budget')).toEqual([1])
    const stays = rows.find(r => meta(r)['_check_name'] === 'pipeline.continue')
    expect(stays).toMatchObject({ decision: 'block', metadata: { _code: 'token_budget_exceeded', _round: 1 } })
    expect(roundsOf(rows, 'pipeline.complete')).toEqual([0])
  })

  it('is delivered when the conversation would be longer than a request may be', async () => {
    const rows = await story(
      async gate => {
        upstream.say({ text: 'x'.repeat(2000), calls: [REFUSED] })
        const more = name === 'messages' ? { max_tokens: 1000 } : {}
        expect((await ask(gate, stream, more)).text).toContain(NOTICE)
        expect(upstream.seen).toHaveLength(1)
      },
      { settings: { maxBodyBytes: 1500 } },
    )
    expect(rows.find(r => meta(r)['_check_name'] === 'pipeline.continue')).toMatchObject({
      metadata: { _code: 'body_too_large' },
    })
  })

  it('whose successor fails upstream says so, as any answer', async () => {
    const rows = await story(async (gate, ledger) => {
      upstream.say({ calls: [REFUSED] }, { status: 500 })
      expect(await thrown(() => ask(gate, stream))).toMatchObject({ status: 500 })
      upstream.say({ calls: [REFUSED] }, { text: 'Half an answer', breaks: true })
      expect(String(await thrown(() => ask(gate, stream)))).not.toContain('format_disk')
      expect(ledger.settled.map(o => o.kind)).toEqual(['completed', 'completed', 'completed', 'faulted'])
    })
    expect(roundsOf(rows, 'pipeline.upstream')).toEqual([1])
  })

  it('ends with the caller who leaves while the model is asked again', async () => {
    const asked = Promise.withResolvers<void>()
    const gone = Promise.withResolvers<void>()
    const rows = await story(async (gate, ledger) => {
      const wait = () => {
        asked.resolve()
        return gone.promise
      }
      upstream.say({ calls: [REFUSED] }, { wait, text: 'for nobody' })
      const caller = new AbortController()
      const turn = thrown(() => ask(gate, stream, {}, caller.signal))
      await asked.promise
      const settled = new Promise<void>(resolve => {
        const push = ledger.settled.push.bind(ledger.settled)
        ledger.settled.push = o => {
          resolve()
          return push(o)
        }
      })
      caller.abort()
      await turn
      await settled
      gone.resolve()
      expect(ledger.settled.map(o => o.kind)).toEqual(['completed', 'disconnected'])
    })
    const left = rows.filter(r => meta(r)['_outcome'] === 'disconnected')
    expect(left.map(r => meta(r)['_round'])).toEqual([1])
  })

  it('ends with the caller who leaves while the next round is admitted', async () => {
    const caller = new AbortController()
    const rows = await story(async (gate, ledger) => {
      const admit = ledger.admit
      const over = Promise.withResolvers<void>()
      ledger.admit = (x, ctx) => {
        if (x.round === undefined) return admit(x, ctx)
        admit(x, ctx)
        caller.abort()
        return new Promise(resolve => ctx.signal.addEventListener('abort', () => resolve(ALLOW)))
      }
      const push = ledger.settled.push.bind(ledger.settled)
      ledger.settled.push = o => {
        if (o.kind === 'disconnected') over.resolve()
        return push(o)
      }
      upstream.say({ calls: [REFUSED] }, { text: 'for nobody' })
      await thrown(() => ask(gate, stream, {}, caller.signal))
      await over.promise
      expect(upstream.seen).toHaveLength(1)
    })
    const left = rows.filter(r => meta(r)['_outcome'] === 'disconnected')
    expect(left.map(r => meta(r)['_round'] ?? 0)).toEqual([0, 1])
  })

  it('is streamed and whole as today when the setting is off, or shadow lets the call through', async () => {
    await story(
      async gate => {
        upstream.say({ calls: [REFUSED] })
        expect((await ask(gate, stream)).text).toContain(NOTICE)
        expect(upstream.seen).toHaveLength(1)
      },
      { settings: { onRefuse: 'deliver' } },
    )
    await story(
      async gate => {
        upstream.say({ calls: [REFUSED] })
        expect((await ask(gate, stream)).calls).toEqual(['format_disk'])
        expect(upstream.seen).toHaveLength(1)
      },
      { shadow: true },
    )
  })

  it('says no more to the model than to a caller in strict mode', async () => {
    await story(
      async gate => {
        upstream.say({ calls: [REFUSED] }, { text: 'Well.' })
        expect((await ask(gate, stream)).text).toBe('Well.')
        expect(upstream.seen[1]).toContain(`${NOTICE}]`)
      },
      { settings: { strict: true } },
    )
  })

  it('that waits for a human is held, not told', async () => {
    await story(async gate => {
      const tools = { tools: toolsOf(name, ['issue_refund']) }
      upstream.say({ calls: [REFUSED] }, { calls: [{ name: 'issue_refund', args: '{"order_id":"1","amount":50000}' }] })
      const said = await ask(gate, stream, tools).then(
        turn => turn.raw,
        error => String(error),
      )
      expect(said).not.toContain('50000')
      expect(upstream.seen).toHaveLength(2)
    })
  })
})

describe('chat answers that cannot go on', () => {
  it.each([
    ['two choices', { n: 2 }, { calls: [REFUSED] }],
    ['a call cut off by the limit', {}, { calls: [REFUSED], finish: 'length' }],
    [
      'two calls of one id',
      {},
      {
        calls: [
          { ...REFUSED, id: 'a' },
          { ...REFUSED, name: 'wipe', id: 'a' },
        ],
      },
    ],
    ['no tools in the request', { tools: undefined }, { calls: [REFUSED] }],
  ])('%s', async (_what, more, said) => {
    await story(async gate => {
      upstream.say(said)
      const outcome = await chat(gate, false, more).then(
        t => t.text,
        e => String(e),
      )
      expect(outcome).toMatch(/signet refused|protocol|502/)
      expect(outcome).not.toContain('all-of-it')
      expect(upstream.seen).toHaveLength(1)
    })
  })
})
