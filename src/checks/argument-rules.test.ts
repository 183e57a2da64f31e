import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readArguments } from '../dialects/arguments.ts'
import type { ArgumentRule } from './argument-rules.ts'
import { callOf, exchangeOf, TestContext } from './testing.ts'
import { ToolCallInspectorCheck } from './tool-call-inspector.ts'

function judge(rules: readonly ArgumentRule[], text: string, spec: object = {}) {
  const check = new ToolCallInspectorCheck({ registry: { pay: { ...spec, rules } } })
  const call = callOf('pay', { argumentsText: text, arguments: readArguments(text) })
  return check.commit(call, exchangeOf(), new TestContext(check))
}

function kindOf(rules: readonly ArgumentRule[], text: string): string {
  const verdict = judge(rules, text)
  if (verdict.kind === 'allow') return 'allow'
  const { code, details } = verdict.because
  return code === 'argument_rule' ? `${verdict.kind} ${String(details?.['kind'])}` : `${verdict.kind} ${code}`
}

const upTo100: ArgumentRule = { path: '/amount', min: 0, max: 100 }
const escalating: ArgumentRule = { path: '/amount', max: 10, action: 'escalate', name: 'large' }
const each: ArgumentRule = { path: '/items/*/price', max: '0.3' }
const role: ArgumentRule = { path: '/role', noneOf: ['admin', 5, null], required: false }
const sku: ArgumentRule = { path: '/sku', pattern: '[A-Z]{3}-[0-9]{4}' }
const to: ArgumentRule = { path: '/to/0', oneOf: ['a@example.com', 7, true, null] }

describe('rules on arguments', () => {
  it.each<[string, ArgumentRule, string]>([
    ['{"amount":100}', upTo100, 'allow'],
    ['{"amount":0,"note":"x"}', upTo100, 'allow'],
    ['{"amount":1e2}', upTo100, 'allow'],
    ['{"amount":1e-7}', upTo100, 'allow'],
    ['{"amount":"100.00"}', upTo100, 'allow'],
    ['{"amount":-0}', upTo100, 'allow'],
    ['{"amount":"-0"}', upTo100, 'allow'],
    ['{"amount":9007199254740992}', { path: '/amount', max: '9007199254740992' }, 'allow'],
    ['{"items":[{"price":"0.1"},{"price":0.3}]}', each, 'allow'],
    ['{"items":[]}', each, 'allow'],
    ['{}', role, 'allow'],
    ['{"role":"administrator"}', role, 'allow'],
    ['{"sku":"ABC-1234"}', sku, 'allow'],
    ['{"to":["a@example.com","b"]}', to, 'allow'],
    ['{"to":[7.0]}', to, 'allow'],
    ['{"to":[null]}', to, 'allow'],
    ['{"a/b":{"~":1}}', { path: '/a~1b/~0', max: 1 }, 'allow'],
    ['{"__proto__":1}', { path: '/__proto__', max: 1 }, 'allow'],
    ['{"note":""}', { path: '/note', maxLength: 0 }, 'allow'],
    ['{"amount":10}', escalating, 'allow'],
    ['{"amount":{"any":1}}', { path: '/amount' }, 'allow'],
    ['{"amount":10.000000000000001}', escalating, 'block arguments_ambiguous'],
    ['{"amount":"10.000000000000000001"}', escalating, 'escalate max'],
    ['{"amount":100.00000000000001}', upTo100, 'block max'],
    ['{"amount":"100.00000000000000000000001"}', upTo100, 'block max'],
    ['{"amount":-1e-7}', upTo100, 'block min'],
    ['{"amount":1e400}', upTo100, 'block arguments_ambiguous'],
    ['{"amount":1e308}', upTo100, 'block max'],
    ['{"amount":"1e9999999999"}', upTo100, 'block type'],
    ['{"amount":"1,000"}', upTo100, 'block type'],
    ['{"amount":9007199254740993}', { path: '/amount', max: '9007199254740992' }, 'block arguments_ambiguous'],
    ['{"amount":"9007199254740993"}', { path: '/amount', max: '9007199254740992' }, 'block max'],
    ['{"items":[{"price":0.1},{"price":0.30000000000000004}]}', each, 'block max'],
    ['{"items":[{"price":0.1},{}]}', each, 'block missing'],
    ['{"items":[[{"price":9}]]}', each, 'block type'],
    ['{"items":{"0":{"price":9}}}', each, 'block type'],
    ['{}', upTo100, 'block missing'],
    ['{"amount":null}', upTo100, 'block type'],
    ['{"amount":[1]}', upTo100, 'block type'],
    ['{"__proto__":{"amount":1}}', upTo100, 'block missing'],
    ['{"amount":1,"Amount":900}', upTo100, 'block look_alike'],
    ['{"amount":1,"\u0430mount":900}', upTo100, 'block look_alike'],
    ['{"Role":"admin"}', role, 'block look_alike'],
    ['{"role":"\u0430dmin"}', role, 'block noneOf'],
    ['{"role":"ADMIN"}', role, 'block noneOf'],
    ['{"role":"5.0"}', role, 'block noneOf'],
    ['{"role":["admin"]}', role, 'block type'],
    ['{"sku":"ABC-1234\\n"}', sku, 'block pattern'],
    ['{"sku":"xABC-1234"}', sku, 'block pattern'],
    ['{"to":["7"]}', to, 'block oneOf'],
    ['{"note":"ab"}', { path: '/note', maxLength: 1 }, 'block maxLength'],
    ['[1]', upTo100, 'block arguments_ambiguous'],
    ['null', upTo100, 'block arguments_ambiguous'],
    ['{"amount":1', upTo100, 'block arguments_ambiguous'],
  ])('%s under %j: %s', (text, rule, expected) => {
    expect(kindOf([rule], text)).toBe(expected)
  })

  it('lets block win over escalate, in either order, and names the rule and never the value', () => {
    for (const rules of [
      [escalating, upTo100],
      [upTo100, escalating],
    ]) {
      const verdict = judge(rules, '{"amount":4242}')
      expect(verdict).toMatchObject({
        kind: 'block',
        because: { details: { tool: 'pay', rule: '/amount', kind: 'max' } },
      })
      expect(JSON.stringify(verdict)).not.toContain('4242')
    }
    expect(judge([escalating], '{"amount":42}')).toMatchObject({ because: { details: { rule: 'large' } } })
    expect(judge([escalating], '{"amount":42}', { riskTier: 'critical' })).toMatchObject({
      because: { code: 'tool_critical' },
    })
  })

  it('refuses a free-form call of a tool with rules', () => {
    const check = new ToolCallInspectorCheck({ registry: { pay: { rules: [upTo100] } } })
    const call = callOf('pay', { form: 'text', argumentsText: '{"amount":1}', arguments: undefined })
    expect(check.commit(call, exchangeOf(), new TestContext(check))).toMatchObject({
      because: { code: 'arguments_ambiguous' },
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
        expect(kindOf([upTo100], JSON.stringify({ amount }))).toBe(amount > 100 ? 'block max' : 'allow')
      }),
    )
  })

  it('changes the description, and only where there are rules', () => {
    const of = (spec: object) => JSON.stringify(new ToolCallInspectorCheck({ registry: { pay: spec } }).describe())
    expect(of({ rules: [] })).toBe(of({}))
    expect(new Set([of({}), of({ rules: [upTo100] }), of({ rules: [escalating] })]).size).toBe(3)
    expect(new ToolCallInspectorCheck({ registry: { pay: { rules: [escalating] } } }).canEscalate).toBe(true)
    expect(new ToolCallInspectorCheck({ registry: { pay: { rules: [upTo100] } } }).canEscalate).toBe(false)
  })

  it.each<[string, object]>([
    ['path', { path: 'amount' }],
    ['path', { path: '/a~2' }],
    ['pattern', { path: '/a', pattern: '(a+)+' }],
    ['pattern', { path: '/a', pattern: '(' }],
    ['max', { path: '/a', max: '1,000' }],
    ['max', { path: '/a', max: Number.NaN }],
    ['oneOf', { path: '/a', oneOf: [] }],
    ['maxLength', { path: '/a', maxLength: -1 }],
    ['action', { path: '/a', action: 'warn' }],
    ['rules', { path: '/a', maximum: 1 }],
  ])('a wrong %s is an error that names the tool: %j', (field, rule) => {
    const registry = { pay: JSON.parse('{}') }
    registry.pay.rules = [rule]
    const make = () => new ToolCallInspectorCheck({ registry })
    expect(make).toThrow('registry["pay"].rules[0]')
    expect(make).toThrow(field)
    const upstream = { 'upstream:web_search': { rules: [upTo100] } }
    expect(() => new ToolCallInspectorCheck({ registry: upstream })).toThrow('never seen here')
  })
})
