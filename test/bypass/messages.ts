/** The Messages surface, for the matrix. */
import { start } from '../../src/dialects/messages.test-support.ts'
import { MESSAGES_CALLS } from './messages-calls.ts'
import { MESSAGES_SPECIALS } from './messages-specials.ts'
import { MESSAGES_TEXT } from './messages-text.ts'
import type { Reading, Surface } from './surface.ts'

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
  text: MESSAGES_TEXT,
  calls: MESSAGES_CALLS,
  specials: MESSAGES_SPECIALS,
}

function dataOf(event: string): string | undefined {
  return /^data: (.*)$/m.exec(event)?.[1]
}
