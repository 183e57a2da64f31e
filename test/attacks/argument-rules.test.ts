/** Arguments that break a rule of their tool do not reach the caller; arguments that keep it do. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { ToolCallInspectorCheck } from '../../src/checks/tool-call-inspector.ts'
import { chat, startTestGate, type TestGate } from '../support/gate.ts'
import {
  asking,
  chunk,
  DONE,
  declared,
  type LyingUpstream,
  opening,
  startLyingUpstream,
  stream,
  whole,
} from './support.ts'

let upstream: LyingUpstream
let gate: TestGate
beforeAll(async () => {
  upstream = await startLyingUpstream()
  const registry = { refund: { arguments: { rules: [{ id: 'cap', at: '/amount', min: 0, max: 100 }] } } }
  gate = await startTestGate({
    upstreamUrl: upstream.url,
    checks: [new OwnerResolutionCheck(), new ToolCallInspectorCheck({ registry })],
  })
})
afterAll(async () => {
  await gate.close()
  await upstream.close()
})

const ask = async (streamed: boolean, args: string) => {
  upstream.says(
    streamed
      ? stream(chunk(opening('refund', args)), chunk({}, 'tool_calls') + DONE)
      : whole(
          { tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'refund', arguments: args } }] },
          'tool_calls',
        ),
  )
  return (await chat(gate, asking({ stream: streamed, tools: declared('refund') }))).text()
}

describe.each([false, true])('on chat, streamed: %s', streamed => {
  it.each(['{"amount":73}', '{"amount":73.00}', '{"amount":"73"}', '{"amount":73,"note":"late"}'])(
    '%s is delivered',
    async args => {
      const text = await ask(streamed, args)
      expect(text).toContain(JSON.stringify(args).slice(1, -1))
      expect(text).not.toContain('refused')
    },
  )

  it.each([
    ['{"amount":7777}', "breaks the rule 'cap' (max)"],
    ['{"amount":"7777"}', "breaks the rule 'cap' (max)"],
    ['{"amount":-7777}', "breaks the rule 'cap' (min)"],
    ['{"total":7777}', "cannot be judged by the rule 'cap' (missing)"],
    ['{"amount":73,"Amount":7777}', 'keys that can be taken for others (look_alike_key)'],
    ['{"amount":73,"\u0430mount":7777}', 'keys that can be taken for others (look_alike_key)'],
  ])('%s is not', async (args, why) => {
    const text = await ask(streamed, args)
    expect(text).not.toContain('7777')
    expect(text).toContain(why)
  })
})
