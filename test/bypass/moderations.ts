/** The moderations surface, for the matrix: an answer is scores, and anything else it says is inspected. */
import { at, plainSurface, special, value } from './plain.ts'
import { FORBIDDEN, LEAD, TAIL } from './surface.ts'

const LEAK = LEAD + FORBIDDEN + TAIL
const RESULT = {
  flagged: true,
  categories: { violence: true, 'self-harm/intent': false },
  category_scores: { violence: 0.98, 'self-harm/intent': 1e-7 },
  category_applied_input_types: { violence: ['text', 'image'], 'self-harm/intent': ['text'] },
}
const answer = (result: object = {}, top: object = {}) => ({
  id: 'modr-9',
  model: 'omni-moderation-latest',
  results: [RESULT, { ...RESULT, ...result }],
  ...top,
})

export const MODERATIONS = plainSurface({
  name: 'moderations',
  path: '/v1/moderations',
  request: model => ({ model, input: 'Go on.' }),
  asking: {
    model: 'm',
    input: [
      { type: 'text', text: 'Go on.' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
    ],
  },
  otherwise: { '/input/1/image_url/url redact': 'refused' },
  text: {
    id: value(said => answer({}, { id: said }), at('/id')),
    model: value(said => answer({}, { model: said }), at('/model')),
    'results[] field': value(
      said => answer({ category_scores: { violence: said } }),
      at('/results/*/category_scores/violence'),
    ),
    'results[] key': value(
      said => answer({ categories: { [said]: true } }),
      at('/results/*/categories/~key'),
      'blocked',
    ),
    'error.message': value(said => ({ error: { message: said, type: 'server_error' } }), at('/error/message')),
    'unknown field': value(said => answer({}, { x_note: { deep: [said] } }), at('/x_note/deep/*')),
    'unknown key': value(said => answer({}, { [said]: 1 }), at('/~key'), 'blocked'),
  },
  specials: [
    special('scores, and nothing else', answer(), 'identical'),
    special('an input type nobody knows', answer({ category_applied_input_types: { hate: [LEAK] } }), 'refused', {
      hidden: [FORBIDDEN],
    }),
    special('scores that spell it', answer({ category_scores: [...Buffer.from(LEAK)] }), 'refused', {
      hidden: [FORBIDDEN],
    }),
    special('results that are no list', answer({}, { results: LEAK }), 'refused', { hidden: [FORBIDDEN] }),
    special('key that differs from a known one only in case', answer({}, { Results: LEAK }), 'broken off', {
      hidden: [FORBIDDEN],
    }),
  ],
})
