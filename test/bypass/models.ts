/** The list of models, for the matrix: nothing is asked, and every string of the answer is inspected. */
import { at, plainSurface, special, value } from './plain.ts'
import { FORBIDDEN, LEAD, REDACTED, SECRET, TAIL } from './surface.ts'

const LEAK = LEAD + FORBIDDEN + TAIL
const MODEL = { id: 'm-1', object: 'model', created: 1_760_000_000, owned_by: 'system' }
const list = (model: object = {}, top: object = {}) => ({
  object: 'list',
  data: [MODEL, { ...MODEL, ...model }],
  ...top,
})

export const MODELS = plainSurface({
  name: 'models',
  path: '/v1/models',
  request: () => undefined,
  asking: undefined,
  text: {
    'data[].id': value(said => list({ id: said }), at('/data/*/id')),
    'data[].owned_by': value(said => list({ owned_by: said }), at('/data/*/owned_by')),
    'data[] unknown field': value(said => list({ x_note: { deep: [said] } }), at('/data/*/x_note/deep/*')),
    'error.message': value(said => ({ error: { message: said, type: 'server_error' } }), at('/error/message')),
    'unknown field': value(said => list({}, { x_note: said }), at('/x_note')),
    'unknown key': value(said => list({ [said]: 1 }), at('/data/*/~key'), 'blocked'),
  },
  specials: [
    special(
      'a long list',
      { object: 'list', data: Array.from({ length: 500 }, (_, i) => ({ ...MODEL, id: `m-${i}` })) },
      'identical',
    ),
    special(
      'halves in two ids are different texts',
      list({}, { data: [{ id: FORBIDDEN.slice(0, 9) }, { id: FORBIDDEN.slice(9) }] }),
      'identical',
    ),
    special('bytes that spell it', list({ x: [...Buffer.from(LEAK)] }), 'refused', { hidden: [FORBIDDEN] }),
    special('a key inside a price list', list({ pricing: { [LEAK]: '0' } }), 'refused', { hidden: [FORBIDDEN] }),
    special(
      'a secret that two models repeat',
      list({}, { data: [1, 2].map(() => ({ id: LEAD + SECRET })) }),
      'redacted',
      {
        hidden: [SECRET],
        shown: [`${LEAD}${REDACTED}${LEAD}${REDACTED}`],
      },
    ),
    special(
      "signet's own fields, forged by upstream",
      list({}, { signet_abort: true, signet: { x: LEAK } }),
      'cleaned',
      {
        hidden: [FORBIDDEN],
      },
    ),
    special('data that is no list', list({}, { data: LEAK }), 'refused', { hidden: [FORBIDDEN] }),
  ],
})
