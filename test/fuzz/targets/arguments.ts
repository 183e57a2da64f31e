/** Arguments of tool calls under a policy. What is let through keeps to every rule, as somebody else reads it. */
import { callOf, exchangeOf, TestContext } from '../../../src/checks/testing.ts'
import { ToolCallInspectorCheck } from '../../../src/checks/tool-call-inspector.ts'
import { agentOwner } from '../../../src/core/owner.ts'
import { readArguments } from '../../../src/dialects/arguments.ts'
import { bytesOf, must, type Target, textOf } from '../target.ts'

const check = new ToolCallInspectorCheck({
  registry: {
    pay: {
      arguments: {
        schema: {
          type: 'object',
          required: ['amount', 'account'],
          properties: {
            amount: { type: ['number', 'string'] },
            items: { type: 'array', uniqueItems: true, items: { type: 'object' } },
            kind: { enum: ['a', { b: [1] }] },
            note: { type: 'string', pattern: '^[a-z ]*$', maxLength: 20 },
          },
        },
        rules: [
          { id: 'cap', at: '/amount', min: 0, max: 100 },
          { id: 'each', at: '/items/*/price', max: 10, required: false },
          { id: 'own', at: '/account', claim: 'account' },
          { id: 'not', at: '/note', deny: ['admin'], required: false },
        ],
      },
    },
  },
})
const owner = agentOwner('bot', { authenticatedBy: 'jwt', claims: { account: 'DE-17' } })

export const toolArguments: Target = {
  name: 'arguments',
  words: [
    'amount',
    'Amount',
    '__proto__',
    '"DE-17"',
    '1e2',
    '100.01',
    '"100"',
    '*',
    'price',
    'null',
    '\\u0061',
    '-0',
    '1e400',
  ],
  check(bytes) {
    const text = textOf(bytes)
    const call = callOf('pay', { argumentsText: text, arguments: readArguments(text) })
    const verdict = check.commit(call, exchangeOf({ owner }), new TestContext(check))
    must(verdict.kind === 'allow' || verdict.kind === 'block', 'a policy without escalations allows or blocks')
    if (verdict.kind === 'block') {
      must(verdict.because.code !== 'check_error', 'judging never fails')
      return
    }
    const read: unknown = JSON.parse(text)
    must(typeof read === 'object' && read !== null && 'amount' in read && 'account' in read, 'what is needed is there')
    must(read.account === 'DE-17', "the account is the owner's")
    const amount = Number(read.amount)
    must(
      (typeof read.amount === 'number' || typeof read.amount === 'string') && amount >= 0 && amount <= 100,
      'the amount is within its limits',
    )
    // As a reader without regard to case would take it.
    const keys = Object.keys(read).map(key => key.normalize('NFKC').toLowerCase())
    must(new Set(keys).size === keys.length, 'no two keys read alike')
    const items: readonly unknown[] = 'items' in read && Array.isArray(read.items) ? read.items : []
    for (const item of items) {
      const price = typeof item === 'object' && item !== null && 'price' in item ? item.price : undefined
      must(price === undefined || price === null || Number(price) <= 10, 'each price is within its limit')
    }
  },
  build(random) {
    const amount = random.pick([
      '5',
      '100',
      '100.01',
      '"99.9"',
      '"100.000000000000000000001"',
      '-1',
      '1e2',
      '[5]',
      'null',
    ])
    const items = random.pick([
      '[]',
      '[{"price":1}]',
      '[{"price":1},{"price":11}]',
      '{"0":{"price":99}}',
      '[{"Price":99}]',
    ])
    const account = random.pick(['"DE-17"', '"DE-18"', '"\\u0044E-17"', '["DE-17"]'])
    const more = random.pick([
      '',
      ',"note":"hello"',
      ',"note":"Admin"',
      ',"kind":{"b":[1]}',
      ',"__proto__":{}',
      ',"x":[1,2]',
    ])
    return bytesOf(`{"amount":${amount},"items":${items},"account":${account}${more}}`)
  },
}
