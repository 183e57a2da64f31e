/** The routes that the console stands on. */
import { jsonOf, problems, schema, takes } from './openapi-parts.ts'
import { OVERVIEW, PERIODS, ROWS } from './rows.ts'
import { SESSION } from './session-routes.ts'

const texts = (name: string, description: string) => ({
  name,
  in: 'query',
  explode: true,
  description,
  schema: { type: 'array', items: { type: 'string' } },
})
const whole = (name: string, description: string, more: object = {}) => ({
  name,
  in: 'query',
  description,
  schema: { type: 'integer', minimum: 0, maximum: 999_999_999_999_999, ...more },
})
const time = (name: string) => ({ name, in: 'query', schema: { type: 'string', format: 'date-time' } })

const get = (summary: string, name: Parameters<typeof schema>[0], parameters: readonly object[] = []) => ({
  get: {
    summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    responses: { 200: { description: 'now', ...jsonOf(schema(name)) }, ...problems() },
  },
})

export const CONSOLE_PATHS = {
  [SESSION]: {
    post: {
      summary: 'Exchange a credential for a session: what a page holds instead of it',
      requestBody: takes([], {}),
      responses: { 201: { description: 'told once', ...jsonOf(schema('Session')) }, ...problems(409, 413) },
    },
  },
  [`${SESSION}/close`]: {
    post: {
      summary: 'End the session that the request shows',
      requestBody: takes([], {}),
      responses: {
        200: { description: 'it is over', ...jsonOf({ type: 'object', required: ['closed'] }) },
        ...problems(409, 413),
      },
    },
  },
  [OVERVIEW]: get('What was decided in a period, added up', 'Overview', [
    { name: 'period', in: 'query', schema: { type: 'string', enum: Object.keys(PERIODS), default: '24h' } },
  ]),
  [ROWS]: get('Audit rows as they are stored, newest first', 'Rows', [
    texts('check', 'By the check that fired, or the name the row is filed under.'),
    texts('decision', 'allow, redact, escalate, block.'),
    texts('owner', 'Such as human:bob@example.com, or sealed:<key id>.'),
    texts('owner_type', 'human, agent, policy, unresolved.'),
    texts('stage', 'preflight, admission, inspection, commitment, record, upstream.'),
    texts('exchange', 'The correlation id of an exchange.'),
    { name: 'text', in: 'query', schema: { type: 'string', maxLength: 200 } },
    whole('before', 'Only rows before this index.'),
    whole('after', 'Only rows after this index.'),
    time('since'),
    time('until'),
    whole('limit', 'At most so many.', { minimum: 1, maximum: 200, default: 50 }),
  ]),
  '/api/v1/pipeline': get('The checks that decide, in the order in which they are asked', 'Pipeline'),
  '/api/v1/trust': get('Public keys that receipts and proofs are verified with', 'Trust'),
  '/api/v1/health': get('Keys by name, and the health of the log; for admins', 'Health'),
}
