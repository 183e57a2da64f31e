/** The Responses surface, for the matrix. */
import { RESPONSES_CALLS } from './responses-calls.ts'
import { RESPONSES_SPECIALS } from './responses-specials.ts'
import { RESPONSES_TEXT } from './responses-text.ts'
import { LEAD, type Surface } from './surface.ts'

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
  text: RESPONSES_TEXT,
  calls: RESPONSES_CALLS,
  specials: RESPONSES_SPECIALS,
}
