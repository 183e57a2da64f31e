import { describe, expect, it } from 'vitest'
import type { Dialect, RefusedTurn, RequestView } from '../core/wire.ts'
import { chatDialect } from './chat.ts'
import { messagesDialect } from './messages.ts'
import { responsesDialect } from './responses.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (raw: Uint8Array | undefined) => (raw === undefined ? undefined : new TextDecoder().decode(raw))

function viewOf(dialect: Dialect, body: string): RequestView {
  const view = dialect.readRequest(bytes(body))
  if ('kind' in view) throw new Error(view.message)
  return view
}

function refusedCall(id: string, name = 'wipe', argumentsText = '{}', form: 'json' | 'text' = 'json') {
  return { call: { key: id, choice: 0, id, name, argumentsText, arguments: {}, form }, notice: `[no ${name}]` }
}

function turnOf(said: readonly unknown[], more: Partial<RefusedTurn> = {}): RefusedTurn {
  const stream = more.stream ?? false
  const raw = said.map(value => bytes(stream ? `data: ${JSON.stringify(value)}\n\n` : JSON.stringify(value)))
  return { stream, said: raw, refused: [refusedCall('c1')], ...more }
}

describe('going on, chat', () => {
  const CALL = '{"id":"c1","type":"function","function":{"name":"wipe","arguments":"{}"}}'
  const RESULT = '{"role":"tool","tool_call_id":"c1","content":"[no wipe]"}'
  const answer = (message: object) => ({ choices: [{ index: 0, message: { role: 'assistant', ...message } }] })

  it('leaves every byte of the caller, whatever its spelling', () => {
    const body = '{ "model":"m", "seed" : 1.0e0,\n"messages":[ {"role":"user","content":"\\u0061"} ] , "top_p":0.10 }'
    const next = text(chatDialect.continueRequest?.(viewOf(chatDialect, body), turnOf([answer({ content: 'hm' })])))
    expect(next).toBe(
      body.replace('} ] ,', `} ,{"role":"assistant","content":"hm","tool_calls":[${CALL}]},${RESULT}] ,`),
    )
  })

  it('hands custom tools back as what they are', () => {
    const view = viewOf(chatDialect, '{"model":"m","messages":[]}')
    const turn = turnOf([answer({ content: null })], { refused: [refusedCall('c1', 'sh', 'rm "-rf"', 'text')] })
    expect(text(chatDialect.continueRequest?.(view, turn))).toContain(
      '"content":null,"tool_calls":[{"id":"c1","type":"custom","custom":{"name":"sh","input":"rm \\"-rf\\""}}]',
    )
  })

  it.each([
    ['the older function_call', { function_call: { name: 'wipe', arguments: '{}' } }],
    ['sound', { audio: { id: 'a', data: '' } }],
    ['a list of parts', { content: [{ type: 'text', text: 'x' }] }],
  ])('does not go on with %s', (_what, message) => {
    const view = viewOf(chatDialect, '{"model":"m","messages":[]}')
    expect(chatDialect.continueRequest?.(view, turnOf([answer(message)]))).toBeUndefined()
  })

  it('does not go on when calls cannot be told apart, or there is more than one choice', () => {
    const view = viewOf(chatDialect, '{"model":"m","messages":[]}')
    const said = [answer({ content: 'x' })]
    const go = (v: RequestView, refused: RefusedTurn['refused']) =>
      chatDialect.continueRequest?.(v, turnOf(said, { refused }))
    expect(go(view, [refusedCall('')])).toBeUndefined()
    expect(go(view, [refusedCall('a'), refusedCall('a')])).toBeUndefined()
    expect(go({ ...view, n: 2 }, [refusedCall('a')])).toBeUndefined()
    expect(go(view, [refusedCall('a'), refusedCall('b')])).toBeDefined()
  })
})

describe('going on, responses', () => {
  const item = { id: 'fc_1', type: 'function_call', call_id: 'c1', name: 'wipe', arguments: '{}' }
  const reasoning = { id: 'rs_1', type: 'reasoning', summary: [], encrypted_content: 'QUJDRA==' }
  const go = (body: string, turn: RefusedTurn) =>
    text(responsesDialect.continueRequest?.(viewOf(responsesDialect, body), turn))
  const RESULT = '{"type":"function_call_output","call_id":"c1","output":"[no wipe]"}'
  const items = `${JSON.stringify(reasoning)},${JSON.stringify(item)},${RESULT}`

  it('makes a list of a text as the caller spelled it', () => {
    expect(go('{"input":"\\u0061b","model":"m"}', turnOf([{ output: [reasoning, item] }]))).toBe(
      `{"input":[{"role":"user","content":"\\u0061b"},${items}],"model":"m"}`,
    )
  })

  it('reads a stream by the items it finished', () => {
    const done = (i: object, output_index: number) => ({ type: 'response.output_item.done', output_index, item: i })
    const said = [{ type: 'response.created', response: {} }, done(reasoning, 0), done(item, 1)]
    expect(go('{"input":[],"model":"m"}', turnOf(said, { stream: true }))).toBe(`{"input":[${items}],"model":"m"}`)
  })

  it('leaves out reasoning that upstream has not kept and has not handed over', () => {
    const bare = { id: 'rs_0', type: 'reasoning', summary: [] }
    const body = (more: string) => `{"input":[],"model":"m"${more}}`
    const turn = turnOf([{ output: [bare, reasoning, item] }])
    expect(go(body(',"store":false'), turn)).toBe(`{"input":[${items}],"model":"m","store":false}`)
    expect(go(body(''), turn)).toContain('rs_0')
  })

  it('answers a custom call in its own kind', () => {
    const custom = { id: 'ct', type: 'custom_tool_call', call_id: 'c1', name: 'sh', input: 'ls' }
    expect(go('{"input":[],"model":"m"}', turnOf([{ output: [custom] }]))).toContain(
      '{"type":"custom_tool_call_output","call_id":"c1","output":"[no wipe]"}',
    )
  })

  it.each([
    ['a conversation kept upstream', '{"input":[],"model":"m","conversation":"conv_1"}', [item]],
    ['a call that is no function', '{"input":[],"model":"m"}', [{ ...item, type: 'shell_call' }]],
    ['no item of the call', '{"input":[],"model":"m"}', []],
    ['no input', '{"model":"m"}', [item]],
  ])('does not go on with %s', (_what, body, output) => {
    expect(go(body, turnOf([{ output }]))).toBeUndefined()
  })
})

describe('going on, messages', () => {
  const go = (turn: RefusedTurn) =>
    text(messagesDialect.continueRequest?.(viewOf(messagesDialect, '{"model":"m","max_tokens":9,"messages":[]}'), turn))
  const result =
    '{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"[no wipe]","is_error":true}]}'
  const wrap = (blocks: string) =>
    `{"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":[${blocks}]},${result}]}`
  const thinking = { type: 'thinking', thinking: 'Hm, hm.', signature: 'U0lH' }
  const use = { type: 'tool_use', id: 'c1', name: 'wipe', input: { n: 1 } }

  it('says the blocks as they came, but for empty text', () => {
    const said = turnOf([{ content: [thinking, { type: 'text', text: '' }, use] }])
    expect(go(said)).toBe(wrap([thinking, use].map(b => JSON.stringify(b)).join(',')))
  })

  const streamed = (input: readonly string[]) =>
    turnOf(
      [
        { type: 'message_start', message: {} },
        { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
        { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Hm, ' } },
        { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'hm.' } },
        { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'U0lH' } },
        { type: 'content_block_stop', index: 0 },
        { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
        { type: 'content_block_stop', index: 1 },
        { type: 'content_block_start', index: 2, content_block: { ...use, input: {} } },
        ...input.map(partial_json => ({
          type: 'content_block_delta',
          index: 2,
          delta: { type: 'input_json_delta', partial_json },
        })),
        { type: 'content_block_stop', index: 2 },
      ],
      { stream: true },
    )

  it('puts a stream together, signed thinking included, numbers as they were spelled', () => {
    const { input: _, ...rest } = use
    const call = `${JSON.stringify(rest).slice(0, -1)},"input":{"n":1.00}}`
    expect(go(streamed(['', '{"n":', '1.00}']))).toBe(wrap(`${JSON.stringify(thinking)},${call}`))
    expect(go(streamed([]))).toContain('"input":{}}')
  })

  it.each([['{}},{"type":"text","text":"x"'], ['{"n":1},"role":"user"'], ['[1]'], ['{"n":']])(
    'does not go on with the input %s, which would spell more than an input',
    input => {
      expect(go(streamed([input]))).toBeUndefined()
    },
  )

  it('does not go on with what it does not know how to put together', () => {
    const delta = { type: 'content_block_delta', index: 0, delta: { type: 'citations_delta', citation: {} } }
    const start = { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }
    expect(go(turnOf([start, delta], { stream: true }))).toBeUndefined()
    expect(go(turnOf([delta], { stream: true }))).toBeUndefined()
  })
})
