import { describe, expect, it } from 'vitest'
import { markRefused, type RefusalFacts, SignetRefused } from './errors.ts'
import type { ReceiptNotice } from './gate-fetch.ts'
import { answerId, type Exchange, SignetCallbackHandler } from './langchain-handler.ts'

const notice = (receipt: string): ReceiptNotice => ({
  receipt,
  carrier: 'header',
  status: 200,
  correlationId: `of ${receipt}`,
  verified: undefined,
})
const exchange = (receipt: string): Exchange => ({ correlationId: `of ${receipt}`, receipt: notice(receipt) })
const output = (id: string | undefined, metadata: object = {}) => ({
  generations: [[{ text: '', message: { id, response_metadata: metadata } }]],
})
const FACTS: RefusalFacts = {
  status: 403,
  correlationId: 'of a',
  reason: 'no',
  code: undefined,
  stage: undefined,
  check: undefined,
  receipt: 'r',
  retryAfterS: undefined,
  midStream: false,
}

describe('SignetCallbackHandler', () => {
  it('gives a run the receipt of the answer with its id, once', () => {
    const handler = new SignetCallbackHandler()
    handler.answered('m1', exchange('a'))
    handler.handleLLMEnd(output('m1'), 'run1')
    handler.handleLLMEnd(output('m1'), 'run2')
    expect(handler.run('run1')).toMatchObject({ receipt: 'a', correlationId: 'of a' })
    expect(handler.run('run2')).toMatchObject({ receipt: undefined, correlationId: undefined })
  })

  it('knows the id of Responses by the metadata', () => {
    const handler = new SignetCallbackHandler()
    handler.answered('resp_1', exchange('a'))
    handler.handleLLMEnd(output('msg_1', { id: 'resp_1' }), 'run1')
    expect(handler.run('run1')?.receipt).toBe('a')
  })

  it('gives no run a receipt that may be another’s', () => {
    const handler = new SignetCallbackHandler()
    handler.answered('same', exchange('a'))
    handler.answered('same', exchange('b'))
    for (const runId of ['run1', 'run2']) {
      handler.handleLLMEnd(output('same'), runId)
      expect(handler.run(runId)?.receipt).toBeUndefined()
    }
    handler.answered('same', exchange('c'))
    handler.handleLLMEnd(output('same'), 'run3')
    expect(handler.run('run3')?.receipt).toBe('c')
  })

  it('gives an answer out of LangChain’s cache none', () => {
    const handler = new SignetCallbackHandler()
    handler.answered('m1', exchange('a'))
    handler.handleLLMEnd(output('m1'), 'run1', undefined, undefined, { cached: true })
    expect(handler.run('run1')?.receipt).toBeUndefined()
  })

  it('does not leave the answer of a failed run to the next one', () => {
    const handler = new SignetCallbackHandler()
    handler.answered('same', exchange('a'))
    handler.handleLLMError(markRefused(new Error(), FACTS), 'run1')
    handler.answered('same', exchange('b'))
    handler.handleLLMEnd(output('same'), 'run2')
    expect(handler.run('run1')).toMatchObject({ receipt: 'r', correlationId: 'of a' })
    expect(handler.lastRefusal).toBeInstanceOf(SignetRefused)
    expect(handler.run('run2')?.receipt).toBe('b')
  })

  it('takes anything for an output or an error', () => {
    const handler = new SignetCallbackHandler()
    for (const odd of [undefined, null, 7, 'x', {}, { generations: [null, [null, {}]] }, new Error('x')]) {
      handler.handleLLMEnd(odd, 'end')
      handler.handleLLMError(odd, 'error')
    }
    expect(handler.run('end')).toMatchObject({ receipt: undefined, error: undefined })
    expect(handler.run('error')).toMatchObject({ receipt: undefined, error: undefined })
    expect(handler.lastRefusal).toBeUndefined()
  })

  it('forgets what is old', () => {
    const handler = new SignetCallbackHandler()
    for (let i = 0; i < 1001; i++) {
      handler.noticed(notice(`r${i}`))
      handler.handleLLMEnd({}, `run${i}`)
    }
    expect(handler.receipts.map(one => one.receipt)).toHaveLength(1000)
    expect([handler.receipts[0]?.receipt, handler.lastReceipt?.receipt]).toEqual(['r1', 'r1000'])
    expect([handler.run('run0'), handler.run('run1')?.runId, handler.runs.length]).toEqual([undefined, 'run1', 1000])
  })

  it.each([
    ['chat, whole or a chunk', { id: 'chatcmpl-1', choices: [] }, 'chatcmpl-1'],
    ['messages, whole', { type: 'message', id: 'msg_1', content: [] }, 'msg_1'],
    ['messages, the first event', { type: 'message_start', message: { id: 'msg_1' } }, 'msg_1'],
    ['responses, whole', { object: 'response', id: 'resp_1' }, 'resp_1'],
    ['responses, the first event', { type: 'response.created', response: { id: 'resp_1' } }, 'resp_1'],
    ['a ping', { type: 'ping' }, undefined],
    ['no object', 'x', undefined],
    ['an empty id', { id: '' }, undefined],
  ])('reads the id of %s', (_, json, id) => {
    expect(answerId(json)).toBe(id)
  })
})
