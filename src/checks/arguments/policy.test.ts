/** What a tool's arguments may say: tables of attacks and of honest calls, and what must hold for any arguments. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { OwnerClaims } from '../../core/exchange.ts'
import { agentOwner, humanOwner, UNRESOLVED } from '../../core/owner.ts'
import { readArguments } from '../../dialects/arguments.ts'
import { callOf, exchangeOf, TestContext } from '../testing.ts'
import { ToolCallInspectorCheck } from '../tool-call-inspector.ts'
import { namedKeys } from './look-alike-keys.ts'
import type { ArgumentOptions } from './policy.ts'
import type { ArgumentRule } from './rules.ts'
import { compileSchema } from './schema.ts'

const verified = (claims: OwnerClaims = { account: 'DE-17', accounts: ['a', 'b'], number: 42 }) =>
  agentOwner('bot', { authenticatedBy: 'jwt', claims, approvalChain: ['human:carol', 'agent:bot'] })

function inspector(options: ArgumentOptions) {
  return new ToolCallInspectorCheck({ registry: { pay: { riskTier: 'low', arguments: options } } })
}

function judge(check: ToolCallInspectorCheck, argumentsText: string, owner = verified()) {
  const call = callOf('pay', { argumentsText, arguments: readArguments(argumentsText) })
  return check.commit(call, exchangeOf({ owner }), new TestContext(check))
}

/** `allow`, or the verdict, its code, the rule and the problem behind it. */
function said(options: ArgumentOptions, argumentsText: string, owner = verified()): string {
  const verdict = judge(inspector(options), argumentsText, owner)
  if (verdict.kind === 'allow') return 'allow'
  const { rule, problem } = verdict.because.details ?? {}
  return [verdict.kind, verdict.because.code, rule, problem].filter(word => word !== undefined).join(' ')
}

const rule = (one: ArgumentRule): ArgumentOptions => ({ rules: [{ id: 'r', ...one }] })
const broken = (problem: string) => `block arguments_rule r ${problem}`

describe('a limit', () => {
  const cap = rule({ at: '/amount', max: 10000 })
  it.each([
    ['{"amount":10000}', 'allow'],
    ['{"amount":0}', 'allow'],
    ['{"amount":-5}', 'allow'],
    ['{"amount":9999.99}', 'allow'],
    ['{"amount":1e4}', 'allow'],
    ['{"amount":"10000.00"}', 'allow'],
    ['{"amount":"9999.999999999999999999999"}', 'allow'],
    ['{"amount":10000.01}', broken('max')],
    ['{"amount":"10000.000000000000000000000001"}', broken('max')],
    // A double holds 10000 for it.
    ['{"amount":10000.000000000000000000000001}', 'block arguments_ambiguous more_than_one_reading'],
    ['{"amount":9007199254740993}', 'block arguments_ambiguous more_than_one_reading'],
    ['{"amount":1e5}', broken('max')],
    ['{"amount":"1e5"}', broken('max')],
    ['{"amount":"1e99999999999999999999"}', 'block arguments_rule r not_a_number'],
    ['{"amount":1e400}', 'block arguments_ambiguous more_than_one_reading'],
    ['{"amount":"10,000,000"}', 'block arguments_rule r not_a_number'],
    ['{"amount":" 5"}', 'block arguments_rule r not_a_number'],
    ['{"amount":"0x7fffffff"}', 'block arguments_rule r not_a_number'],
    ['{"amount":"+5"}', 'block arguments_rule r not_a_number'],
    ['{"amount":"٩"}', 'block arguments_rule r not_a_number'],
    ['{"amount":"NaN"}', 'block arguments_rule r not_a_number'],
    ['{"amount":[99999]}', 'block arguments_rule r not_a_number'],
    ['{"amount":{"value":99999}}', 'block arguments_rule r not_a_number'],
    ['{"amount":true}', 'block arguments_rule r not_a_number'],
    ['{"amount":null}', 'block arguments_rule r missing'],
    ['{}', 'block arguments_rule r missing'],
    ['', 'block arguments_rule r missing'],
  ])('%s: %s', (text, expected) => {
    expect(said(cap, text)).toBe(expected)
  })

  it('beyond what a double holds is written as text, and holds to the last digit', () => {
    const exact = rule({ at: '/wei', max: '12345678901234567890', min: '-0.00000000000000000001' })
    expect(said(exact, '{"wei":"12345678901234567890"}')).toBe('allow')
    expect(said(exact, '{"wei":"12345678901234567891"}')).toBe(broken('max'))
    expect(said(exact, '{"wei":"12345678901234567890.1"}')).toBe(broken('max'))
    expect(said(exact, '{"wei":"-0.00000000000000000001"}')).toBe('allow')
    expect(said(exact, '{"wei":"-0.00000000000000000002"}')).toBe(broken('min'))
  })

  it('escalates what is beyond it, and blocks what cannot be judged', () => {
    const tiers: ArgumentOptions = {
      rules: [
        { id: 'ask', at: '/amount', max: 100, action: 'escalate' },
        { id: 'never', at: '/amount', max: 10000 },
      ],
    }
    expect(said(tiers, '{"amount":100}')).toBe('allow')
    expect(said(tiers, '{"amount":"100.01"}')).toBe('escalate arguments_rule ask max')
    expect(said(tiers, '{"amount":10000}')).toBe('escalate arguments_rule ask max')
    expect(said(tiers, '{"amount":10001}')).toBe('block arguments_rule never max')
    expect(said(tiers, '{"amount":"lots"}')).toBe('block arguments_rule ask not_a_number')
    expect(judge(inspector(tiers), '{"amount":500}')).toMatchObject({
      because: { details: { rule: 'ask', pointer: '/amount', requires_approval_from: ['human:carol'] } },
    })
  })
})

describe('places', () => {
  const each = rule({ at: '/items/*/price', max: 10 })
  it.each([
    ['{"items":[{"price":1},{"price":10}]}', 'allow'],
    ['{"items":[{"price":1},{"price":11}]}', broken('max')],
    ['{"items":[{"price":1},{}]}', 'block arguments_rule r missing'],
    ['{"items":[]}', 'block arguments_rule r missing'],
    ['{"items":{"0":{"price":11}}}', 'block arguments_rule r wrong_place'],
    ['{"items":"[{\\"price\\":11}]"}', 'block arguments_rule r wrong_place'],
    ['{"items":[11]}', 'block arguments_rule r wrong_place'],
    ['{"items":[[{"price":11}]]}', 'block arguments_rule r wrong_place'],
  ])('with a wildcard, %s: %s', (text, expected) => {
    expect(said(each, text)).toBe(expected)
  })

  const optional = rule({ at: '/limit/value', max: 10, required: false })
  it.each([
    ['{}', 'allow'],
    ['{"limit":null}', 'allow'],
    ['{"limit":{}}', 'allow'],
    ['{"limit":{"value":null}}', 'allow'],
    ['{"limit":{"value":3}}', 'allow'],
    ['{"limit":{"value":30}}', broken('max')],
    // A tool that is lenient would take it for the value.
    ['{"limit":30}', 'block arguments_rule r wrong_place'],
    ['{"limit":[{"value":30}]}', 'block arguments_rule r wrong_place'],
  ])('that need not be there, %s: %s', (text, expected) => {
    expect(said(optional, text)).toBe(expected)
  })

  it('may have keys that hold slashes, tildes and the names of prototypes', () => {
    expect(said(rule({ at: '/a~1b/c~0d', max: 1 }), '{"a/b":{"c~d":2}}')).toBe(broken('max'))
    expect(said(rule({ at: '/constructor', max: 1 }), '{}')).toBe('block arguments_rule r missing')
    expect(said(rule({ at: '/toString', max: 1, required: false }), '{}')).toBe('allow')
    expect(said(rule({ at: '/list/1', max: 1 }), '{"list":[5,1]}')).toBe('allow')
    expect(said(rule({ at: '/list/1', max: 1 }), '{"list":[5]}')).toBe('block arguments_rule r missing')
  })
})

describe('lists, patterns and lengths', () => {
  it.each<[ArgumentRule, string, string]>([
    [{ at: '/c', allow: ['EUR', 'USD'] }, '{"c":"EUR"}', 'allow'],
    [{ at: '/c', allow: ['EUR', 'USD'] }, '{"c":"eur"}', broken('allow')],
    [{ at: '/c', allow: ['EUR', 'USD'] }, '{"c":"ЕUR"}', broken('allow')],
    [{ at: '/c', allow: ['EUR', 'USD'] }, '{"c":["EUR"]}', 'block arguments_rule r not_a_plain_value'],
    [{ at: '/c', allow: ['1'] }, '{"c":1}', broken('allow')],
    [{ at: '/c', allow: [1] }, '{"c":1.0}', 'allow'],
    [{ at: '/c', allow: ['a', null] }, '{"c":null}', 'allow'],
    [{ at: '/c', allow: [true] }, '{"c":"true"}', broken('allow')],
    [{ at: '/u', deny: ['admin', 42] }, '{"u":"alice"}', 'allow'],
    [{ at: '/u', deny: ['admin', 42] }, '{"u":"administrator"}', 'allow'],
    [{ at: '/u', deny: ['admin', 42] }, '{"u":41}', 'allow'],
    [{ at: '/u', deny: ['admin', 42] }, '{"u":"Admin"}', broken('deny')],
    [{ at: '/u', deny: ['admin', 42] }, '{"u":"\\u0430dmin"}', broken('deny')],
    [{ at: '/u', deny: ['admin', 42] }, '{"u":"ad\\u200bmin "}', broken('deny')],
    [{ at: '/u', deny: ['admin', 42] }, '{"u":"42.0"}', broken('deny')],
    [{ at: '/u', deny: ['admin', 42] }, '{"u":["admin"]}', 'block arguments_rule r not_a_plain_value'],
    [{ at: '/to', pattern: '[a-z]+@example\\.com' }, '{"to":"bob@example.com"}', 'allow'],
    [{ at: '/to', pattern: '[a-z]+@example\\.com' }, '{"to":"bob@example.com.evil.org"}', broken('pattern')],
    [{ at: '/to', pattern: '[a-z]+@example\\.com' }, '{"to":"eve@evil.org,bob@example.com"}', broken('pattern')],
    [{ at: '/to', pattern: '[a-z]+@example\\.com' }, '{"to":"bob@example.com\\n"}', broken('pattern')],
    [{ at: '/to', pattern: 'a|b' }, '{"to":"ab"}', broken('pattern')],
    [{ at: '/to', pattern: '[a-z]+' }, '{"to":["bob"]}', 'block arguments_rule r not_a_text'],
    [{ at: '/n', maxLength: 3 }, '{"n":"abc"}', 'allow'],
    [{ at: '/n', maxLength: 3 }, '{"n":"😀😀😀"}', 'allow'],
    [{ at: '/n', maxLength: 3 }, '{"n":"😀😀😀😀"}', broken('maxLength')],
    [{ at: '/n', maxLength: 3 }, '{"n":"abcd"}', broken('maxLength')],
    [{ at: '/n', maxLength: 3 }, '{"n":1234}', 'block arguments_rule r not_a_text'],
  ])('%j with %s: %s', (one, text, expected) => {
    expect(said(rule(one), text)).toBe(expected)
  })

  it('a pattern takes hostile text of a megabyte in one pass', () => {
    // Quadratic for a backtracking matcher, and not found by the test of patterns.
    const check = inspector(rule({ at: '/t', pattern: '.*a.*a.*a.*b' }))
    expect(judge(check, JSON.stringify({ t: 'a'.repeat(1_000_000) })).kind).toBe('block')
    const schema = inspector({
      schema: { type: 'object', properties: { t: { type: 'string', pattern: 'x.*a.*a.*b$' } } },
    })
    expect(judge(schema, JSON.stringify({ t: `x${'a'.repeat(1_000_000)}` })).kind).toBe('block')
  })
})

describe("the owner's claim", () => {
  const own = rule({ at: '/account', claim: 'account' })
  it.each<[string, ArgumentOptions, string, string]>([
    ['the same', own, '{"account":"DE-17"}', 'allow'],
    ['another', own, '{"account":"DE-18"}', broken('claim')],
    ['another in case', own, '{"account":"de-17"}', broken('claim')],
    ['nothing', own, '{}', 'block arguments_rule r missing'],
    ['a list', own, '{"account":["DE-17"]}', 'block arguments_rule r not_a_plain_value'],
    ['one of a list', rule({ at: '/account', claim: 'accounts' }), '{"account":"b"}', 'allow'],
    ['none of a list', rule({ at: '/account', claim: 'accounts' }), '{"account":"a,b"}', broken('claim')],
    ['a number', rule({ at: '/account', claim: 'number' }), '{"account":42}', 'allow'],
    ['a number as text', rule({ at: '/account', claim: 'number' }), '{"account":"42"}', 'allow'],
    ['its principal', rule({ at: '/as', claim: 'owner' }), '{"as":"agent:bot"}', 'allow'],
    ['its name', rule({ at: '/as', claim: 'owner_id' }), '{"as":"bot"}', 'allow'],
    ['a claim nobody made', rule({ at: '/as', claim: 'tenant' }), '{"as":"x"}', 'block claim_missing r claim_missing'],
    [
      'a claim called constructor',
      rule({ at: '/as', claim: 'constructor' }),
      '{"as":"x"}',
      'block claim_missing r claim_missing',
    ],
  ])('%s', (_what, options, text, expected) => {
    expect(said(options, text)).toBe(expected)
  })

  it('is never what an owner says of itself, unless the rule says so', () => {
    const asserted = humanOwner('alice', { authenticatedBy: 'asserted' })
    const named = { at: '/as', claim: 'owner_id' }
    expect(said(own, '{"account":"DE-17"}', asserted)).toBe('block claim_missing r claim_missing')
    expect(said(rule(named), '{"as":"alice"}', asserted)).toBe('block claim_missing r claim_missing')
    expect(said(rule({ ...named, asserted: true }), '{"as":"alice"}', asserted)).toBe('allow')
    expect(said(rule({ ...named, asserted: true }), '{"as":"bob"}', asserted)).toBe(broken('claim'))
    expect(said(rule({ ...named, asserted: true }), '{"as":""}', UNRESOLVED)).toBe(
      'block claim_missing r claim_missing',
    )
  })

  it('that is missing blocks even where the rule escalates', () => {
    const asks = rule({ at: '/account', claim: 'account', action: 'escalate' })
    expect(said(asks, '{"account":"DE-18"}')).toBe('escalate arguments_rule r claim')
    expect(said(asks, '{"account":"DE-18"}', verified({}))).toBe('block claim_missing r claim_missing')
  })
})

describe('keys and readings', () => {
  const options: ArgumentOptions = {
    schema: {
      type: 'object',
      properties: {
        amount: { type: 'number' },
        id: { type: 'string' },
        ID: { type: 'string' },
        meta: { type: 'object' },
      },
    },
    rules: [{ id: 'r', at: '/items/*/price', max: 10, required: false }],
  }
  it.each([
    ['{"amount":1}', 'allow'],
    ['{"id":"a","ID":"b"}', 'allow'],
    ['{"amount":1,"other":2}', 'allow'],
    ['{"meta":{"Amount":1,"x":2}}', 'allow'],
    ['{"items":[{"price":1,"name":"x"}]}', 'allow'],
    ['{"Amount":1}', 'block arguments_ambiguous look_alike_key'],
    ['{"amount":1,"AMOUNT":99999}', 'block arguments_ambiguous look_alike_key'],
    ['{"ａmount":99999}', 'block arguments_ambiguous look_alike_key'],
    ['{"amo\\u200dunt":99999}', 'block arguments_ambiguous look_alike_key'],
    ['{"meta":{"a":1,"A":2}}', 'block arguments_ambiguous look_alike_key'],
    ['{"items":[{"Price":99}]}', 'block arguments_ambiguous look_alike_key'],
    ['{"amount":1,"\u0430mount":99999}', 'block arguments_ambiguous look_alike_key'],
    ['{"items":[{"pr\u0456ce":99}]}', 'block arguments_ambiguous look_alike_key'],
    ['{"meta":{"\u0430":1,"a":2,"\u0441\u0443\u043c\u043c\u0430":3}}', 'allow'],
    ['{"x":[{"ſ":1,"s":2}]}', 'block arguments_ambiguous look_alike_key'],
    ['{"__proto__":{"amount":99999}}', 'block arguments_ambiguous prototype_key'],
    ['{"meta":{"\\u005f_proto__":{}}}', 'block arguments_ambiguous prototype_key'],
    ['{"amount":1,"amount":99999}', 'block arguments_ambiguous more_than_one_reading'],
    ['{"amount":1,"\\u0061mount":99999}', 'block arguments_ambiguous more_than_one_reading'],
    ['[{"amount":1}]', 'block arguments_ambiguous not_an_object'],
    ['null', 'block arguments_ambiguous not_an_object'],
    ['"{}"', 'block arguments_ambiguous not_an_object'],
    ['{"amount":1}}', 'block arguments_ambiguous not_json'],
    ["{'amount':1}", 'block arguments_ambiguous not_json'],
    ['{"id":"\\ud800"}', 'block arguments_ambiguous more_than_one_reading'],
  ])('%s: %s', (text, expected) => {
    expect(said(options, text)).toBe(expected)
  })

  it('refuses free-form text for a tool whose arguments are judged', () => {
    const check = inspector(options)
    const call = callOf('pay', { argumentsText: '{"amount":1}', arguments: undefined, form: 'text' })
    expect(check.commit(call, exchangeOf(), new TestContext(check))).toMatchObject({
      kind: 'block',
      because: { code: 'arguments_ambiguous', details: { problem: 'not_json' } },
    })
  })
})

describe('a schema', () => {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    required: ['to'],
    additionalProperties: false,
    properties: {
      to: { type: 'string', pattern: '^[a-z]+$', maxLength: 10 },
      cc: { type: ['array', 'null'], items: { $ref: '#/$defs/name' }, uniqueItems: true, maxItems: 3 },
      price: { type: 'number', multipleOf: 0.01, exclusiveMinimum: 0 },
      kind: { enum: ['a', { b: [1] }] },
      when: {
        anyOf: [{ type: 'null' }, { type: 'object', required: ['at'], properties: { at: { type: 'integer' } } }],
      },
    },
    $defs: { name: { type: 'string', minLength: 1 } },
  }
  it.each([
    ['{"to":"bob"}', 'allow'],
    ['{"to":"bob","cc":null}', 'allow'],
    ['{"to":"bob","cc":["a","b"]}', 'allow'],
    ['{"to":"bob","price":19.99}', 'allow'],
    ['{"to":"bob","price":0.07}', 'allow'],
    ['{"to":"bob","kind":{"b":[1]}}', 'allow'],
    ['{"to":"bob","when":{"at":5}}', 'allow'],
    ['{"to":"bob","when":null}', 'allow'],
    ['{}', '#/required'],
    ['{"to":"Bob"}', '#/properties/to/pattern'],
    ['{"to":"bob","x":1}', '#/additionalProperties'],
    ['{"to":"bob","cc":["a","a"]}', '#/properties/cc/uniqueItems'],
    ['{"to":"bob","cc":[""]}', '#/$defs/name/minLength'],
    ['{"to":"bob","price":19.999}', '#/properties/price/multipleOf'],
    ['{"to":"bob","price":0}', '#/properties/price/exclusiveMinimum'],
    ['{"to":"bob","kind":{"b":[1,2]}}', '#/properties/kind/enum'],
    ['{"to":"bob","kind":{"valueOf":1,"toString":2}}', '#/properties/kind/enum'],
    ['{"to":"bob","when":{}}', '#/properties/when/anyOf'],
    ['{"to":"bob","toString":1}', '#/additionalProperties'],
  ])('%s: %s', (text, expected) => {
    const verdict = judge(inspector({ schema }), text)
    if (verdict.kind === 'allow') expect('allow').toBe(expected)
    else {
      expect(verdict.because).toMatchObject({ code: 'arguments_schema', details: { rule: 'schema' } })
      // In anyOf the first alternative that failed is named.
      expect(String(verdict.because.details?.['schema_path'])).toContain(expected)
    }
  })

  it.each<[string, unknown, string]>([
    [
      'a pattern that backtracks',
      { properties: { a: { type: 'string', pattern: '(a+)+$' } } },
      '/properties/a/pattern',
    ],
    ['one among patternProperties', { patternProperties: { '(x|x)*y': {} } }, '/patternProperties/(x|x)*y'],
    ['one that RE2 has not', { properties: { a: { type: 'string', pattern: '(?!a)b' } } }, 'RE2'],
    ['one nobody refers to', { $defs: { a: { type: 'string', pattern: '(a+)+' } } }, '/$defs/a/pattern'],
    ['a reference out of it', { properties: { a: { $ref: 'https://example.com/s.json' } } }, 'nothing is fetched'],
    ['a reference to the metaschema', { $ref: 'https://json-schema.org/draft/2020-12/schema' }, 'nothing is fetched'],
    ['a reference to itself', { properties: { a: { $ref: '#' } } }, 'refers to itself'],
    [
      'a circle',
      { $ref: '#/$defs/a', $defs: { a: { anyOf: [{ $ref: '#/$defs/b' }] }, b: { not: { $ref: '#/$defs/a' } } } },
      'refers to itself',
    ],
    ['a dynamic reference', { $dynamicRef: '#x' }, '/$dynamicRef'],
    ['an id', { $id: 'https://example.com/s' }, '/$id'],
    ['an asynchronous one', { $async: true }, '/$async'],
    ['a format', { properties: { a: { type: 'string', format: 'email' } } }, '/properties/a/format'],
    ['a keyword nobody knows', { properties: { a: { type: 'number', maximun: 5 } } }, '/properties/a/maximun'],
    ['a wrong value', { properties: { a: { type: 'number', maximum: '5' } } }, '/properties/a/maximum'],
    ['an older draft', { $schema: 'http://json-schema.org/draft-07/schema#' }, '/$schema'],
    ['one without a type', { type: undefined, properties: { a: {} } }, 'missing type'],
    ['one that doubles with each reference', doubling(), 'more than 10000 schemas'],
    ['one that is very deep', { properties: { a: negated(4_000) } }, 'too deep'],
    ['a property that is never there', { properties: JSON.parse('{"__proto__":{"type":"string"}}') }, '/__proto__'],
  ])('is refused at start: %s', (_what, part, expected) => {
    const given = { type: 'object', ...(part as object) }
    expect(() => inspector({ schema: given })).toThrow(/^tool_call_inspector: registry\["pay"\]\.arguments\.schema/)
    expect(() => inspector({ schema: given })).toThrow(expected)
  })

  it('a value is not written out once for each branch that asks for it', () => {
    let looks = 0
    // `{"kind":{"k0":0,…,"k59999":59999}}`: what counts is how often it is gone through.
    const kind = new Proxy<Record<string, number>>(
      { k0: 0 },
      {
        ownKeys(target) {
          looks += 1
          return Reflect.ownKeys(target)
        },
      },
    )
    const branch = (schema: object) => ({ type: 'object', properties: { kind: schema }, required: ['kind'] })
    const thirty = (of: (n: number) => object) => ({ oneOf: Array.from({ length: 30 }, (_, n) => branch(of(n))) })
    const looksOf = (
      of: (n: number) => object,
      value: object = { kind },
    ): readonly [broken: boolean, looks: number] => {
      looks = 0
      const broken = compileSchema(thirty(of), namedKeys()).broken(value) !== undefined
      return [broken, looks]
    }
    expect(looksOf(n => ({ const: `k${n}` }))).toEqual([true, 0])
    expect(looksOf(n => ({ enum: [`k${n}`, n] }))).toEqual([true, 0])
    expect(looksOf(n => ({ const: { k0: n } }))).toEqual([false, 1])
    const two = { kind: [kind, { k0: 0 }] }
    expect(looksOf(n => ({ type: 'array', uniqueItems: true, minItems: n }), two)[1]).toBeLessThanOrEqual(1)
    expect(said({ schema: thirty(n => ({ const: { k0: n } })) }, '{"kind":{"k0":29}}')).toBe('allow')
    expect(said({ schema: thirty(n => ({ const: -n })) }, '{"kind":-0.0}')).toBe('allow')
  })

  it('keeps patterns apart', () => {
    const two = {
      type: 'object',
      properties: { a: { type: 'string', pattern: '^a$' }, b: { type: 'string', pattern: '^b$' } },
    }
    expect(said({ schema: two }, '{"a":"a","b":"b"}')).toBe('allow')
    expect(said({ schema: two }, '{"a":"b"}')).toBe('block arguments_schema schema')
    expect(said({ schema: two }, '{"b":"a"}')).toBe('block arguments_schema schema')
  })

  it('cannot be changed through the object it was made from', () => {
    const given = { type: 'object', properties: { a: { type: 'number', maximum: 5 } } }
    const check = inspector({ schema: given })
    given.properties.a.maximum = 500
    expect(judge(check, '{"a":6}').kind).toBe('block')
  })

  it('never throws, whatever the arguments are', () => {
    const strict = inspector({
      schema,
      rules: [
        { at: '/to', deny: ['x'] },
        { at: '/cc/*', maxLength: 5, required: false },
      ],
    })
    const loose = inspector({ schema: { type: ['object', 'array'], uniqueItems: true, not: { const: { a: 1 } } } })
    const keys = fc.constantFrom(
      'to',
      'cc',
      'price',
      'kind',
      'when',
      'valueOf',
      'toString',
      'hasOwnProperty',
      'length',
      '__proto__',
      'constructor',
    )
    const value = fc.letrec(tie => ({
      any: fc.oneof(
        { depthSize: 'small' },
        fc.jsonValue(),
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(keys, tie('any'), { maxKeys: 4 }),
      ),
    })).any
    fc.assert(
      fc.property(value, given => {
        for (const check of [strict, loose]) {
          for (const args of [given, readArguments(JSON.stringify(given))]) {
            const call = callOf('pay', { argumentsText: JSON.stringify(given), arguments: args })
            expect(['allow', 'block']).toContain(check.commit(call, exchangeOf(), new TestContext(check)).kind)
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})

function negated(times: number): object {
  let schema: object = { type: 'string' }
  for (let i = 0; i < times; i++) schema = { not: schema }
  return schema
}

function doubling(): object {
  const defs = Object.fromEntries(
    Array.from({ length: 20 }, (_, i) => [
      `d${i}`,
      { anyOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] },
    ]),
  )
  return { $ref: '#/$defs/d0', $defs: { ...defs, d20: {} } }
}

describe('what is said of a call', () => {
  it('names the rule and never the value or a key that the model made up', () => {
    const secret = 'hunter2-4111111111111111'
    const options: ArgumentOptions = {
      schema: { type: 'object', additionalProperties: { type: 'object', additionalProperties: { type: 'number' } } },
      rules: [{ at: '/x', max: 1, required: false }],
    }
    for (const text of [`{"${secret}":{"${secret}":"${secret}"}}`, `{"x":{"v":1},"${secret}":5}`]) {
      const verdict = judge(inspector(options), text)
      expect(verdict.kind).toBe('block')
      expect(JSON.stringify(verdict)).not.toContain('hunter2')
    }
    expect(JSON.stringify(judge(inspector(rule({ at: '/x', max: 1 })), `{"x":"${secret}"}`))).not.toContain('hunter2')
  })

  it('a block of the tier stands before anything the arguments say', () => {
    const check = new ToolCallInspectorCheck({
      registry: { pay: { riskTier: 'critical', arguments: { rules: [{ at: '/a', max: 1 }] } } },
    })
    expect(judge(check, '{"a":5}')).toMatchObject({ because: { code: 'tool_critical' } })
  })

  it('the description changes with the schema and with each rule', () => {
    const of = (options: ArgumentOptions) => JSON.stringify(inspector(options).describe())
    const base: ArgumentOptions = { schema: { type: 'object' }, rules: [{ at: '/a', max: 1 }] }
    const described = new Set([
      of(base),
      of({ ...base, schema: { type: 'object', maxProperties: 3 } }),
      of({ ...base, rules: [{ at: '/a', max: 2 }] }),
      of({ ...base, rules: [{ at: '/a', max: 1, action: 'escalate' }] }),
      of({ ...base, rules: [{ at: '/a', max: 1, required: false }] }),
      of({ ...base, rules: [] }),
    ])
    expect(described.size).toBe(6)
    expect(of(base)).toBe(of(structuredClone(base)))
  })

  it('a rule that escalates needs an approver at start', () => {
    expect(inspector(rule({ at: '/a', max: 1, action: 'escalate' })).canEscalate).toBe(true)
    expect(inspector(rule({ at: '/a', max: 1 })).canEscalate).toBe(false)
  })
})

describe('a wrong rule is one line that names the tool and the place', () => {
  it.each<[unknown, string]>([
    [5, 'arguments must be an object with schema, rules or both, got 5'],
    [{}, 'arguments must be given schema, rules or both'],
    [{ rule: [] }, "arguments must be made of schema, rules only, got 'rule'"],
    [{ rules: {} }, 'arguments.rules must be a list of rules'],
    [{ rules: [5] }, 'arguments.rules[0] must be a rule'],
    [{ rules: [{ at: 'amount', max: 1 }] }, "arguments.rules[0].at must be a JSON Pointer, e.g. '/amount'"],
    [{ rules: [{ at: '/a~2', max: 1 }] }, 'arguments.rules[0].at'],
    [{ rules: [{ at: '/a/__proto__/b', max: 1 }] }, 'arguments.rules[0].at'],
    [{ rules: [{ at: '/a', required: false }] }, 'arguments.rules[0] must be given a demand'],
    [{ rules: [{ at: '/a', max: 1, deny: [1] }] }, 'arguments.rules[0] must be given one demand'],
    [{ rules: [{ at: '/a', maximum: 1 }] }, 'arguments.rules[0] must be made of'],
    [{ rules: [{ at: '/a', max: '1,000' }] }, 'arguments.rules[0].max must be a number up to 2^53'],
    [{ rules: [{ at: '/a', max: 2 ** 60 }] }, 'arguments.rules[0].max must be a number up to 2^53'],
    [{ rules: [{ at: '/a', min: Number.NaN }] }, 'arguments.rules[0].min'],
    [{ rules: [{ at: '/a', allow: [] }] }, 'arguments.rules[0].allow must be a list of values'],
    [{ rules: [{ at: '/a', deny: [{}] }] }, 'arguments.rules[0].deny[0]'],
    [{ rules: [{ at: '/a', pattern: '(a+)+' }] }, 'arguments.rules[0].pattern must be a usable regular expression'],
    [{ rules: [{ at: '/a', pattern: '(?<=a)b' }] }, 'RE2'],
    [{ rules: [{ at: '/a', maxLength: -1 }] }, 'arguments.rules[0].maxLength'],
    [{ rules: [{ at: '/a', claim: '' }] }, 'arguments.rules[0].claim'],
    [{ rules: [{ at: '/a', claim: 'account', asserted: true }] }, 'arguments.rules[0].asserted'],
    [{ rules: [{ at: '/a', max: 1, asserted: true }] }, 'arguments.rules[0].asserted'],
    [{ rules: [{ at: '/a', max: 1, action: 'redact' }] }, "arguments.rules[0].action must be 'block' or 'escalate'"],
    [{ rules: [{ at: '/a', max: 1, required: 'no' }] }, 'arguments.rules[0].required'],
    [
      {
        rules: [
          { at: '/a', max: 1 },
          { at: '/a', max: 2 },
        ],
      },
      "rules with an id each, got '/a max'",
    ],
  ])('%j', (options, expected) => {
    const make = () => inspector(options as ArgumentOptions)
    expect(make).toThrow('tool_call_inspector: registry["pay"].')
    expect(make).toThrow(expected)
  })

  it('for a tool that upstream runs there are no arguments to judge', () => {
    const registry = { 'upstream:web_search': { arguments: { rules: [{ at: '/q', maxLength: 5 }] } } }
    expect(() => new ToolCallInspectorCheck({ registry })).toThrow('upstream runs the tool')
  })
})
