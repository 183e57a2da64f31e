/** The Messages surface, for the matrix. */
import { start } from '../../src/dialects/messages.test-support.ts'
import { MESSAGES_CALLS } from './messages-calls.ts'
import { MESSAGES_SPECIALS } from './messages-specials.ts'
import { MESSAGES_TEXT } from './messages-text.ts'
import { type Reading, SCHEMA, type Surface } from './surface.ts'

interface BlockEvent {
  readonly index?: unknown
  readonly delta?: { readonly type?: unknown }
}

/** Clients join what the deltas of one block say; texts of different blocks are read as one by a person. */
export const READING: Reading = {
  abort: /^event: error\ndata: (\{"type":"error","error":\{.*\},"signet_abort":true.*\})\n\n(?![\s\S])/m,
  numbered: () => false,
  under: event => {
    const { index, delta } = (event ?? {}) as BlockEvent
    return delta?.type === 'input_json_delta' ? `/block ${String(index)}` : ''
  },
  jsonText: /\/partial_json$/,
}

/** What messages and token counts have in common. */
export const ASKING = {
  model: 'm',
  system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral', ttl: '5m' } }],
  thinking: { type: 'enabled', budget_tokens: 1024 },
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Go on.' },
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } },
        {
          type: 'document',
          title: 'Notes',
          context: 'Written today.',
          source: { type: 'text', media_type: 'text/plain', data: 'It rains.' },
          citations: { enabled: true },
        },
        {
          type: 'search_result',
          source: 'notes',
          title: 'Notes',
          content: [{ type: 'text', text: 'It rains.' }],
        },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'Hm.', signature: 'c2lnbmVk' },
        { type: 'redacted_thinking', data: 'c2VhbGVk' },
        { type: 'text', text: 'Yes.' },
        { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: { city: 'Oslo' } },
        { type: 'tool_use', id: 'toolu_2', name: 'get_weather', input: { city: 'Rome' } },
      ],
    },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'toolu_1', content: 'Sun.' },
        { type: 'tool_result', tool_use_id: 'toolu_2', content: [{ type: 'text', text: 'Rain.' }], is_error: false },
      ],
    },
    { role: 'assistant', content: 'Well.' },
    { role: 'user', content: 'And on.' },
  ],
  tools: [{ name: 'get_weather', description: 'The weather.', input_schema: SCHEMA }],
  tool_choice: { type: 'tool', name: 'get_weather' },
}

/** What the API has signed or sealed is not rewritten. */
export const SEALED: NonNullable<Surface['otherwise']> = {
  '/messages/1/content/0/thinking redact': 'refused',
  '/messages/1/content/0/signature redact': 'refused',
  '/messages/1/content/1/data redact': 'refused',
}

export const MESSAGES: Surface = {
  name: 'messages',
  path: '/v1/messages',
  choices: [0],
  reading: READING,
  aborted: status => ({ type: 'error', error: { type: status === 403 ? 'permission_error' : 'api_error' } }),
  held: {},
  begins: first => dataOf(first) === dataOf(start()),
  promise: /"stop_reason":"tool_use"/,
  request: (model, { mode }, tools) => ({
    model,
    max_tokens: 64,
    stream: mode === 'stream',
    messages: [{ role: 'user', content: 'Go on.' }],
    ...(tools.length === 0 ? {} : { tools: tools.map(name => ({ name, input_schema: { type: 'object' } })) }),
  }),
  asking: { ...ASKING, max_tokens: 64, stop_sequences: ['END'], service_tier: 'auto', metadata: { user_id: 'u-1' } },
  otherwise: SEALED,
  text: MESSAGES_TEXT,
  calls: MESSAGES_CALLS,
  specials: MESSAGES_SPECIALS,
}

function dataOf(event: string): string | undefined {
  return /^data: (.*)$/m.exec(event)?.[1]
}
