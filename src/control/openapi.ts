/** The description of the control plane's API (OpenAPI 3.1), served at `/openapi.json`. A test holds it against what is served. */
import { BASE } from './escalations.ts'
import { json, type Route } from './listener.ts'

const id = { name: 'id', in: 'path', required: true, schema: { type: 'string', format: 'uuid' } }
const escalation = { $ref: '#/components/schemas/Escalation' }
const jsonOf = (schema: object) => ({ content: { 'application/json': { schema } } })
const problems = (...statuses: readonly number[]) =>
  Object.fromEntries(
    statuses.map(status => [
      status,
      { description: PROBLEMS[status] ?? '', ...jsonOf({ $ref: '#/components/schemas/Problem' }) },
    ]),
  )
const PROBLEMS: Readonly<Record<number, string>> = {
  400: 'the request is not understood',
  401: 'no credential, or one that does not hold',
  403: 'not with this role, or not by this person',
  404: 'no such escalation',
  409: 'it is not so any more: decided already, somebody else is asked, or another digest',
  410: 'the time to decide is over',
  413: 'the body is too large',
  503: 'the decision could not be written down, and did not count',
}

const decide = (summary: string, required: readonly string[]) => ({
  post: {
    summary,
    parameters: [id],
    requestBody: {
      required: true,
      ...jsonOf({
        type: 'object',
        additionalProperties: false,
        required,
        properties: {
          digest: { type: 'string', description: 'The digest that was shown: what is decided is exactly that.' },
          reason: { type: 'string', minLength: 1, maxLength: 1000 },
        },
      }),
    },
    responses: {
      200: { description: 'decided', ...jsonOf(escalation) },
      ...problems(400, 401, 403, 404, 409, 410, 413, 503),
    },
  },
})

export function openApi(version: string) {
  return {
    openapi: '3.1.0',
    info: { title: 'signet control plane', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    security: [{ bearer: [] }],
    paths: {
      '/api/v1/me': {
        get: {
          summary: 'Who the credential proves, and its role',
          responses: {
            200: { description: 'known', ...jsonOf({ $ref: '#/components/schemas/Person' }) },
            ...problems(400, 401, 403),
          },
        },
      },
      [BASE]: {
        get: {
          summary: 'Escalations, newest first',
          parameters: [
            {
              name: 'state',
              in: 'query',
              explode: true,
              schema: { type: 'array', items: { $ref: '#/components/schemas/State' } },
            },
            { name: 'limit', in: 'query', schema: { type: 'integer', minimum: 1, maximum: 200, default: 50 } },
            { name: 'before', in: 'query', schema: { type: 'string', format: 'uuid' } },
          ],
          responses: {
            200: {
              description: 'a page',
              ...jsonOf({
                type: 'object',
                required: ['escalations', 'next'],
                properties: { escalations: { type: 'array', items: escalation }, next: { type: ['string', 'null'] } },
              }),
            },
            ...problems(400, 401, 403),
          },
        },
      },
      [`${BASE}/watch`]: {
        get: {
          summary: 'Every change, as server-sent events named `escalation`',
          responses: { 200: { description: 'a stream', content: { 'text/event-stream': {} } }, ...problems(401, 403) },
        },
      },
      [`${BASE}/{id}`]: {
        get: {
          summary: 'One escalation, as an approver is shown it',
          parameters: [id],
          responses: { 200: { description: 'found', ...jsonOf(escalation) }, ...problems(401, 403, 404) },
        },
      },
      [`${BASE}/{id}/approve`]: decide('Approve exactly what was shown', ['digest']),
      [`${BASE}/{id}/deny`]: decide('Deny it, and say why', ['digest', 'reason']),
    },
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: {
        State: { type: 'string', enum: ['pending', 'approved', 'denied', 'expired', 'released'] },
        Person: {
          type: 'object',
          required: ['principal', 'role'],
          properties: {
            principal: { type: 'string' },
            role: { type: 'string', enum: ['viewer', 'approver', 'admin'] },
          },
        },
        Problem: {
          type: 'object',
          required: ['error'],
          properties: { error: { type: 'string' }, description: { type: 'string' }, escalation },
        },
        Call: {
          type: 'object',
          required: ['id', 'tool', 'tier', 'arguments', 'arguments_digest', 'audience'],
          properties: {
            id: { type: 'string' },
            tool: { type: 'string' },
            tier: { type: ['string', 'null'], description: 'As the check that held it rates the tool.' },
            arguments: {
              type: 'string',
              description: 'What the model wrote; controls and invisible characters are escaped.',
            },
            arguments_digest: { type: 'string' },
            audience: { type: ['string', 'null'] },
          },
        },
        Decision: {
          type: 'object',
          required: ['approver', 'decision', 'by', 'at', 'reason'],
          properties: {
            approver: { type: 'string' },
            decision: { type: 'string', enum: ['approve', 'deny'] },
            by: { type: 'string' },
            at: { type: 'string', format: 'date-time' },
            reason: { type: ['string', 'null'] },
          },
        },
        Escalation: {
          type: 'object',
          required: [
            'id',
            'state',
            'stage',
            'owner',
            'digest',
            'calls',
            'current_approvers',
            'may_decide',
            'expires_at',
          ],
          properties: {
            id: { type: 'string', format: 'uuid' },
            state: { $ref: '#/components/schemas/State' },
            stage: { type: 'string', enum: ['admission', 'commitment'] },
            exchange: { type: 'string' },
            owner: { type: 'string' },
            owner_authenticated_by: { type: 'string' },
            surface: { type: 'string' },
            upstream: { type: 'string' },
            check: { type: 'string' },
            reason: { type: 'string' },
            policy_digest: { type: 'string' },
            request_digest: { type: 'string' },
            digest: { type: 'string' },
            created_at: { type: 'string', format: 'date-time' },
            expires_at: { type: 'string', format: 'date-time' },
            rule: { type: 'object' },
            current_approvers: { type: 'array', items: { type: 'string' } },
            may_decide: { type: 'boolean' },
            calls: { type: 'array', items: { $ref: '#/components/schemas/Call' } },
            decisions: { type: 'array', items: { $ref: '#/components/schemas/Decision' } },
          },
        },
      },
    },
  }
}

export function openApiRoute(version: string): Route {
  const document = openApi(version)
  return { methods: ['GET'], takes: path => path === '/openapi.json', answer: async () => json(200, document) }
}
