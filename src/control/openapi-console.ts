/** The routes that the console stands on. */
import { jsonOf, open, problems, schema, takes } from './openapi-parts.ts'
import { OVERVIEW, PERIODS, ROWS } from './rows.ts'
import { SESSION } from './session-routes.ts'
import { SIGN_IN } from './sign-in-routes.ts'

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
  [SIGN_IN]: {
    get: {
      summary: 'Whether people can sign in at an identity provider, and at which',
      security: [],
      responses: {
        200: {
          description: 'now',
          ...jsonOf({
            type: 'object',
            required: ['issuer'],
            properties: { issuer: { type: ['string', 'null'], description: 'Its host; null: tokens are pasted.' } },
          }),
        },
        ...open(403, 421),
      },
    },
  },
  [`${SIGN_IN}/begin`]: {
    post: {
      summary: 'Begin to sign in at the identity provider; for pages of this origin',
      security: [],
      requestBody: takes([], {}),
      responses: {
        201: {
          description: 'begun',
          ...jsonOf({
            type: 'object',
            required: ['location', 'binding', 'expires_at'],
            properties: {
              location: {
                type: 'string',
                description: 'Where to send the browser (OpenID Connect Core 1.0, 3.1.2.1).',
              },
              binding: {
                type: 'string',
                description: 'For whoever completes this sign-in: kept by the page, told once.',
              },
              expires_at: { type: 'string', format: 'date-time' },
            },
          }),
        },
        ...open(400, 403, 404, 413, 421, 503),
      },
    },
  },
  [`${SIGN_IN}/complete`]: {
    post: {
      summary: 'Exchange what the issuer answered for a session; once',
      security: [],
      requestBody: takes(['binding', 'response'], {
        binding: { type: 'string', pattern: '^[A-Za-z0-9_-]{43}$' },
        response: { type: 'string', maxLength: 8192, description: 'The query with which the browser came back.' },
      }),
      responses: {
        201: { description: 'told once', ...jsonOf(schema('Session')) },
        ...open(400, 401, 403, 409, 413, 421, 503),
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
