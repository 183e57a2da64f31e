/** One rule against one call's arguments, as the model wrote them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readArguments } from '../../dialects/arguments.ts'
import { callOf, exchangeOf, TestContext } from '../testing.ts'
import { ToolCallInspectorCheck } from '../tool-call-inspector.ts'
import type { ArgumentRule } from './rules.ts'

function judge(rules: readonly ArgumentRule[], text: string, spec: object = {}) {
  const check = new ToolCallInspectorCheck({ registry: { pay: { ...spec, arguments: { rules } } } })
  const call = callOf('pay', { argumentsText: text, arguments: readArguments(text) })
  return check.commit(call, exchangeOf(), new TestContext(check))
}

/** `allow`, or the verdict and what is wrong. */
function said(rules: readonly ArgumentRule[], text: string): string {
  const verdict = judge(rules, text)
  if (verdict.kind === 'allow') return 'allow'
  return `${verdict.kind} ${String(verdict.because.details?.['problem'])}`
}

const upTo100: ArgumentRule = { at: '/amount', min: 0, max: 100 }
const escalating: ArgumentRule = { at: '/amount', max: 10, action: 'escalate', id: 'large' }
const each: ArgumentRule = { at: '/items/*/price', max: '0.3' }
const role: ArgumentRule = { at: '/role', deny: ['admin', 5, null], required: false }
const sku: ArgumentRule = { at: '/sku', pattern: '[A-Z]{3}-[0-9]{4}' }
const to: ArgumentRule = { at: '/to/0', allow: ['a@example.com', 7, true, null] }

describe('a rule', () => {
  it.each<[string, ArgumentRule, string]>([
    ['{"amount":100}', upTo100, 'allow'],
    ['{"amount":0,"note":"x"}', upTo100, 'allow'],
    ['{"amount":1e2}', upTo100, 'allow'],
    ['{"amount":1e-7}', upTo100, 'allow'],
    ['{"amount":"100.00"}', upTo100, 'allow'],
    ['{"amount":-0}', upTo100, 'allow'],
    ['{"amount":"-0"}', upTo100, 'allow'],
    ['{"amount":9007199254740992}', { at: '/amount', max: '9007199254740992' }, 'allow'],
    ['{"items":[{"price":"0.1"},{"price":0.3}]}', each, 'allow'],
    ['{"items":[]}', { ...each, required: false }, 'allow'],
    ['{}', role, 'allow'],
    ['{"role":"administrator"}', role, 'allow'],
    ['{"sku":"ABC-1234"}', sku, 'allow'],
    ['{"to":["a@example.com","b"]}', to, 'allow'],
    ['{"to":[7.0]}', to, 'allow'],
    ['{"to":[null]}', to, 'allow'],
    ['{"a/b":{"~":1}}', { at: '/a~1b/~0', max: 1 }, 'allow'],
    ['{"constructor":1}', { at: '/constructor', max: 1 }, 'allow'],
    ['{"note":""}', { at: '/note', maxLength: 0 }, 'allow'],
    ['{"amount":10}', escalating, 'allow'],
    ['{"amount":{"any":1}}', { at: '/amount' }, 'allow'],
    ['{"to":{"0":"a@example.com"}}', to, 'allow'],
    ['{"amount":10.000000000000001}', escalating, 'block more_than_one_reading'],
    ['{"amount":"10.000000000000000001"}', escalating, 'escalate max'],
    ['{"amount":100.00000000000001}', upTo100, 'block max'],
    ['{"amount":"100.00000000000000000000001"}', upTo100, 'block max'],
    ['{"amount":-1e-7}', upTo100, 'block min'],
    ['{"amount":1e400}', upTo100, 'block more_than_one_reading'],
    ['{"amount":1e308}', upTo100, 'block max'],
    ['{"amount":"1e9999999999"}', upTo100, 'block not_a_number'],
    ['{"amount":"1,000"}', upTo100, 'block not_a_number'],
    ['{"amount":9007199254740993}', { at: '/amount', max: '9007199254740992' }, 'block more_than_one_reading'],
    ['{"amount":"9007199254740993"}', { at: '/amount', max: '9007199254740992' }, 'block max'],
    ['{"items":[{"price":0.1},{"price":0.30000000000000004}]}', each, 'block max'],
    ['{"items":[{"price":0.1},{}]}', each, 'block missing'],
    ['{"items":[]}', each, 'block missing'],
    ['{"items":[[{"price":9}]]}', each, 'block wrong_place'],
    ['{"items":{"0":{"price":9}}}', each, 'block wrong_place'],
    ['{"items":{"0":{"price":9}}}', { ...each, required: false }, 'block wrong_place'],
    ['{"items":{"*":{"price":9}}}', { ...each, required: false }, 'block wrong_place'],
    ['{}', upTo100, 'block missing'],
    ['{}', { at: '/amount' }, 'block missing'],
    ['{"amount":null}', { at: '/amount' }, 'block missing'],
    ['{"amount":null}', upTo100, 'block missing'],
    ['{"amount":[1]}', upTo100, 'block not_a_number'],
    ['{"__proto__":{"amount":1}}', upTo100, 'block prototype_key'],
    ['{"amount":1,"Amount":900}', upTo100, 'block look_alike_key'],
    ['{"amount":1,"\u0430mount":900}', upTo100, 'block look_alike_key'],
    ['{"Role":"admin"}', role, 'block look_alike_key'],
    ['{"to":{"\uff10":"eve"}}', { ...to, required: false }, 'block look_alike_key'],
    ['{"role":"\u0430dmin"}', role, 'block deny'],
    ['{"role":"ADMIN"}', role, 'block deny'],
    ['{"role":"5.0"}', role, 'block deny'],
    ['{"role":null}', role, 'block deny'],
    ['{"role":" 5"}', role, 'block deny'],
    ['{"role":"+05"}', role, 'block deny'],
    ['{"role":"\uff15"}', role, 'block deny'],
    ['{"role":"\u0665"}', role, 'block deny'],
    ['{"role":"admin\\u0000"}', role, 'block deny'],
    ['{"role":"\\u00a0ad\\u200bmin\\t"}', role, 'block deny'],
    ['{"role":"55"}', role, 'allow'],
    ['{"role":"-5"}', role, 'allow'],
    ['{"role":["admin"]}', role, 'block not_a_plain_value'],
    ['{"sku":"ABC-1234\\n"}', sku, 'block pattern'],
    ['{"sku":"xABC-1234"}', sku, 'block pattern'],
    ['{"to":["7"]}', to, 'block allow'],
    ['{"note":"ab"}', { at: '/note', maxLength: 1 }, 'block maxLength'],
    ['[1]', upTo100, 'block not_an_object'],
    ['null', upTo100, 'block not_an_object'],
    ['{"amount":1', upTo100, 'block not_json'],
  ])('%s under %j: %s', (text, rule, expected) => {
    expect(said([rule], text)).toBe(expected)
  })

  it('that blocks wins over one that escalates, in either order; it is named, and the value never', () => {
    for (const rules of [
      [escalating, upTo100],
      [upTo100, escalating],
    ]) {
      const verdict = judge(rules, '{"amount":4242}')
      expect(verdict).toMatchObject({
        kind: 'block',
        because: { details: { tool: 'pay', rule: '/amount range', pointer: '/amount', problem: 'max' } },
      })
      expect(JSON.stringify(verdict)).not.toContain('4242')
    }
    expect(judge([escalating], '{"amount":42}')).toMatchObject({ because: { details: { rule: 'large' } } })
    expect(judge([escalating], '{"amount":42}', { riskTier: 'critical' })).toMatchObject({
      because: { code: 'tool_critical' },
    })
  })

  it('never throws and never lets more than the maximum through', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.string(),
          fc.double().map(n => `{"amount":${n}}`),
        ),
        text => {
          const verdict = judge([upTo100, { ...each, required: false }], text)
          expect(['allow', 'block']).toContain(verdict.kind)
        },
      ),
    )
    fc.assert(
      fc.property(fc.double({ min: 0, max: 200, noNaN: true }), amount => {
        expect(said([upTo100], JSON.stringify({ amount }))).toBe(amount > 100 ? 'block max' : 'allow')
      }),
    )
  })

  it('is part of the description, which says nothing of arguments where there is no policy', () => {
    const of = (spec: object) => JSON.stringify(new ToolCallInspectorCheck({ registry: { pay: spec } }).describe())
    const ruled = (rule: ArgumentRule) => of({ arguments: { rules: [rule] } })
    expect(of({})).not.toContain('arguments')
    expect(new Set([of({}), ruled(upTo100), ruled(escalating)]).size).toBe(3)
  })
})
