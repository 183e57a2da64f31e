/** The Responses surface, for the matrix. */
import { RESPONSES_CALLS } from './responses-calls.ts'
import { RESPONSES_SPECIALS } from './responses-specials.ts'
import { RESPONSES_TEXT } from './responses-text.ts'
import { LEAD, SCHEMA, type Surface } from './surface.ts'

export const RESPONSES: Surface = {
  name: 'responses',
  path: '/v1/responses',
  choices: [0],
  reading: {
    abort:
      /^event: error\ndata: (\{"type":"error".*"signet_abort":true.*\})\n\nevent: response\.failed\ndata: \{"type":"response\.failed".*\}\n\n(?![\s\S])/m,
    numbered: () => false,
    // Clients join what the events of one type say, but for calls.
    under: event => {
      if (typeof event !== 'object' || event === null || !('type' in event)) return ''
      const isCall = /arguments|input/.test(String(event.type)) && 'output_index' in event
      return `${String(event.type)}${isCall ? ` ${String(event.output_index)}` : ''} `
    },
    jsonText: /arguments.*\/(delta|arguments)$|\/(arguments|code)$/,
  },
  aborted: () => ({ type: 'error', param: null, error: { type: 'signet_refusal', param: null } }),
  held: { code: 'escalated', error: { code: 'escalated' } },
  begins: first => first.includes('"type":"response.created"') && !first.includes(LEAD),
  promise: /"type":"[a-z_]+_(call|request)"/,
  request: (model, { mode }, tools) => ({
    model,
    stream: mode === 'stream',
    input: 'Go on.',
    ...(tools.length === 0 ? {} : { tools: tools.map(name => ({ type: 'function', name, parameters: null })) }),
  }),
  asking: {
    model: 'm',
    instructions: 'Be brief.',
    user: 'u-1',
    metadata: { topic: 'weather' },
    service_tier: 'auto',
    truncation: 'disabled',
    safety_identifier: 's-1',
    prompt_cache_key: 'p-1',
    include: ['reasoning.encrypted_content'],
    reasoning: { effort: 'low', summary: 'auto' },
    text: { verbosity: 'low', format: { type: 'json_schema', name: 'r', description: 'The answer.', schema: SCHEMA } },
    input: [
      { role: 'developer', content: 'Be kind.' },
      {
        type: 'message',
        role: 'user',
        content: [
          { type: 'input_text', text: 'Go on.' },
          { type: 'input_image', image_url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'low' },
        ],
      },
      {
        type: 'reasoning',
        id: 'rs_1',
        summary: [{ type: 'summary_text', text: 'Hm.' }],
        encrypted_content: 'gAAAAABo',
      },
      {
        type: 'message',
        id: 'msg_1',
        role: 'assistant',
        status: 'completed',
        content: [
          { type: 'output_text', text: 'Yes.', annotations: [] },
          { type: 'refusal', refusal: 'I cannot.' },
        ],
      },
      { type: 'function_call', id: 'fc_1', call_id: 'call_1', name: 'get_weather', arguments: '{"city":"Oslo"}' },
      { type: 'function_call_output', call_id: 'call_1', output: 'Sun.' },
      { type: 'custom_tool_call', id: 'ctc_1', call_id: 'call_2', name: 'search_orders', input: 'shoes' },
      { type: 'custom_tool_call_output', call_id: 'call_2', output: [{ type: 'input_text', text: 'None.' }] },
      { role: 'user', content: 'And on.' },
    ],
    tools: [
      { type: 'function', name: 'get_weather', description: 'The weather.', parameters: SCHEMA },
      {
        type: 'custom',
        name: 'search_orders',
        description: 'Orders.',
        format: { type: 'grammar', syntax: 'lark', definition: 'start: WORD' },
      },
    ],
    tool_choice: { type: 'function', name: 'get_weather' },
  },
  otherwise: {
    '/input/1/content/1/image_url redact': 'refused',
    '/tools/0/type': 'malformed',
    '/tools/1/type': 'malformed',
  },
  text: RESPONSES_TEXT,
  calls: RESPONSES_CALLS,
  specials: RESPONSES_SPECIALS,
}
