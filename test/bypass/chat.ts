/** The chat-completions surface, for the matrix. */
import { CHAT_CALLS } from './chat-calls.ts'
import { CHAT_SPECIALS } from './chat-specials.ts'
import { CHAT_TEXT } from './chat-text.ts'
import { SCHEMA, type Surface } from './surface.ts'

export const CHAT: Surface = {
  name: 'chat',
  path: '/v1/chat/completions',
  choices: [0, 1],
  reading: {
    abort: /^data: (\{"signet_abort":true.*\})\n\ndata: \{"error":.*\}\n\ndata: \[DONE\]\n\n(?![\s\S])/m,
    numbered: pointer => pointer === '/choices' || pointer.endsWith('/tool_calls'),
    under: () => '',
    jsonText: /\/arguments$/,
  },
  aborted: () => ({ choices: [], error: { type: 'signet_refusal' } }),
  held: { error: { code: 'escalated' } },
  begins: first => /"content":"(Hello\. )?"/.test(first),
  promise: /"finish_reason":"(tool_calls|function_call)"/,
  request: (model, { mode }, tools) => ({
    model,
    stream: mode === 'stream',
    n: 2,
    messages: [{ role: 'user', content: 'Go on.' }],
    ...(tools.length === 0 ? {} : { tools: tools.map(name => ({ type: 'function', function: { name } })) }),
  }),
  asking: {
    model: 'm',
    user: 'u-1',
    stop: ['END'],
    metadata: { topic: 'weather' },
    service_tier: 'auto',
    reasoning_effort: 'low',
    safety_identifier: 's-1',
    prompt_cache_key: 'p-1',
    response_format: { type: 'json_schema', json_schema: { name: 'r', description: 'The answer.', schema: SCHEMA } },
    prediction: { type: 'content', content: [{ type: 'text', text: 'As before.' }] },
    messages: [
      { role: 'system', name: 's', content: 'Be brief.' },
      { role: 'developer', content: [{ type: 'text', text: 'Be kind.' }] },
      {
        role: 'user',
        name: 'alice',
        content: [
          { type: 'text', text: 'Go on.' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'low' } },
          { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
        ],
      },
      {
        role: 'assistant',
        content: 'Yes.',
        reasoning_content: 'Hm.',
        tool_calls: [
          { id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } },
          { id: 'call_2', type: 'custom', custom: { name: 'search_orders', input: 'shoes' } },
        ],
      },
      { role: 'tool', tool_call_id: 'call_1', content: 'Sun.' },
      { role: 'tool', tool_call_id: 'call_2', content: [{ type: 'text', text: 'None.' }] },
      { role: 'assistant', refusal: 'I cannot.', content: [{ type: 'refusal', refusal: 'I cannot.' }] },
      { role: 'user', content: 'And on.' },
    ],
    tools: [
      { type: 'function', function: { name: 'get_weather', description: 'The weather.', parameters: SCHEMA } },
      {
        type: 'custom',
        custom: {
          name: 'search_orders',
          description: 'Orders.',
          format: { type: 'grammar', grammar: { syntax: 'lark', definition: 'start: WORD' } },
        },
      },
    ],
    tool_choice: { type: 'function', function: { name: 'get_weather' } },
  },
  otherwise: {
    // A picture is in the request or must be fetched, and nothing but a plain name says what a tool is.
    '/messages/2/content/1/image_url/url redact': 'refused',
    '/tools/0/type': 'malformed',
    '/tools/1/type': 'malformed',
  },
  text: CHAT_TEXT,
  calls: CHAT_CALLS,
  specials: CHAT_SPECIALS,
}
