/** The description of the control plane's API (OpenAPI 3.1), served at `/openapi.json`. A test holds it against what is served. */
import { BASE } from './decision.ts'
import { json, type Route } from './listener.ts'
import { CONSOLE_PATHS } from './openapi-console.ts'
import { jsonOf, open, problems, schema, takes, text } from './openapi-parts.ts'
import { SCHEMAS } from './openapi-schemas.ts'
import { PASSKEYS } from './passkeys.ts'
import { SLACK_PATH } from './slack.ts'

const id = { name: 'id', in: 'path', required: true, schema: { type: 'string', format: 'uuid' } }
const passkey = {
  name: 'passkey',
  in: 'path',
  required: true,
  schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,1364}$' },
}
const digest = {
  type: 'string',
  maxLength: 200,
  description: 'The digest that was shown: what is decided is exactly that.',
}
const reason = { type: 'string', minLength: 1, maxLength: 1000, description: 'Not blank.' }
const invitation = { type: 'string', pattern: '^[A-Za-z0-9_-]{43}$' }
const principal = { type: 'string', description: 'Such as human:bob@example.com.' }

const decide = (summary: string, required: readonly string[]) => ({
  post: {
    summary,
    parameters: [id],
    requestBody: takes(required, {
      digest,
      reason,
      seen_decisions: {
        type: 'integer',
        minimum: 0,
        description: 'How many had decided when it was shown; `changed` when others have since.',
      },
      passkey: { type: 'object', description: 'AuthenticationResponseJSON over the challenge of `…/passkey`.' },
    }),
    responses: {
      200: { description: 'decided', ...jsonOf(schema('Escalation')) },
      ...problems(404, 409, 410, 413),
    },
  },
})

export function openApi(version: string) {
  return {
    openapi: '3.1.0',
    info: { title: 'signet control plane', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    security: [{ bearer: [] }],
    paths: {
      '/openapi.json': {
        get: {
          summary: 'This description',
          security: [],
          responses: { 200: { description: 'as served', ...jsonOf({ type: 'object' }) }, ...open(403, 421) },
        },
      },
      '/metrics': {
        get: {
          summary: 'For Prometheus; without controlIdentity, for anybody on the same machine',
          responses: { 200: { description: 'the text format', ...text('text/plain') }, ...problems(404) },
        },
      },
      '/api/v1/me': {
        get: {
          summary: 'Who the credential proves, and its role',
          responses: { 200: { description: 'known', ...jsonOf(schema('Person')) }, ...problems() },
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
              schema: { type: 'array', items: schema('State') },
            },
            { name: 'limit', in: 'query', schema: { type: 'integer', minimum: 1, maximum: 200, default: 50 } },
            { name: 'before', in: 'query', schema: { type: 'string', format: 'uuid' } },
            {
              name: 'arguments',
              in: 'query',
              description: '`false`: calls come without their arguments',
              schema: { type: 'boolean', default: true },
            },
          ],
          responses: {
            200: {
              description: 'a page; where arguments are long it ends before `limit`, and `next` says where it goes on',
              ...jsonOf({
                type: 'object',
                required: ['escalations', 'next'],
                properties: {
                  escalations: { type: 'array', items: schema('Escalation') },
                  next: { type: ['string', 'null'] },
                },
              }),
            },
            ...problems(),
          },
        },
      },
      [`${BASE}/watch`]: {
        get: {
          summary: 'Every change, as server-sent events named `escalation`',
          responses: { 200: { description: 'a stream', content: { 'text/event-stream': {} } }, ...problems() },
        },
      },
      [`${BASE}/{id}`]: {
        get: {
          summary: 'One escalation, as an approver is shown it',
          parameters: [id],
          responses: { 200: { description: 'found', ...jsonOf(schema('Escalation')) }, ...problems(404) },
        },
      },
      [`${BASE}/{id}/proposal`]: {
        get: {
          summary:
            'Exactly what would happen, and the last call of the same tool before it; the digest is over `shown`',
          parameters: [id],
          responses: { 200: { description: 'found', ...jsonOf(schema('Proposal')) }, ...problems(404) },
        },
      },
      [`${BASE}/{id}/evidence`]: {
        get: {
          summary: 'Who decided, and the signatures of their passkeys, to be verified without the gate',
          parameters: [id],
          responses: { 200: { description: 'found', ...jsonOf(schema('Evidence')) }, ...problems(404) },
        },
      },
      [`${BASE}/{id}/approve`]: decide('Approve exactly what was shown', ['digest']),
      [`${BASE}/{id}/deny`]: decide('Deny it, and say why', ['digest', 'reason']),
      [`${BASE}/{id}/passkey`]: {
        post: {
          summary: 'What a browser is asked to sign for this decision; it changes nothing',
          parameters: [id],
          requestBody: takes(['decision', 'digest'], {
            decision: { type: 'string', enum: ['approve', 'deny'] },
            digest,
            reason: { ...reason, description: 'The very reason that the decision will give; needed to deny.' },
          }),
          responses: {
            200: { description: 'to be signed', ...jsonOf(schema('RequestOptions')) },
            ...problems(404, 409, 413),
          },
        },
      },
      ...CONSOLE_PATHS,
      [PASSKEYS]: {
        get: {
          summary: "Passkeys: your own, or for admins anybody's",
          parameters: [{ name: 'principal', in: 'query', schema: principal }],
          responses: {
            200: {
              description: 'oldest first',
              ...jsonOf({
                type: 'object',
                required: ['passkeys'],
                properties: { passkeys: { type: 'array', items: schema('Passkey') } },
              }),
            },
            ...problems(),
          },
        },
        post: {
          summary: 'Register a passkey that a browser has made for `registration`',
          requestBody: takes(['response'], {
            invitation,
            name: { type: 'string', minLength: 1, maxLength: 100, description: 'Not blank.' },
            response: { type: 'object', description: 'RegistrationResponseJSON.' },
          }),
          responses: { 201: { description: 'registered', ...jsonOf(schema('Passkey')) }, ...problems(409, 413) },
        },
      },
      [`${PASSKEYS}/registration`]: {
        post: {
          summary: 'Begin to register a passkey',
          requestBody: takes([], { invitation }),
          responses: {
            200: { description: 'for the browser', ...jsonOf(schema('CreationOptions')) },
            ...problems(409, 413),
          },
        },
      },
      [`${PASSKEYS}/invitations`]: {
        post: {
          summary: 'Let somebody register one passkey',
          requestBody: takes(['principal'], { principal }),
          responses: {
            201: {
              description: 'told once; for that person alone, within a day',
              ...jsonOf({
                type: 'object',
                required: ['principal', 'invitation', 'expires_at'],
                properties: { principal, invitation, expires_at: { type: 'string', format: 'date-time' } },
              }),
            },
            ...problems(413),
          },
        },
      },
      [`${PASSKEYS}/{passkey}/revoke`]: {
        post: {
          summary: "Take a passkey away: your own, or for admins anybody's",
          parameters: [passkey],
          requestBody: takes([], {}),
          responses: {
            200: {
              description: 'it is gone',
              ...jsonOf({ type: 'object', required: ['id'], properties: { id: { type: 'string' } } }),
            },
            ...problems(404, 413),
          },
        },
      },
      [SLACK_PATH]: {
        post: {
          summary: 'Where Slack says that somebody pressed a button; served when notifications.slack has users',
          security: [{ slack: [] }],
          parameters: [
            {
              name: 'X-Slack-Request-Timestamp',
              in: 'header',
              required: true,
              schema: { type: 'string', pattern: '^[0-9]{1,12}$' },
            },
          ],
          requestBody: {
            required: true,
            content: {
              'application/x-www-form-urlencoded': {
                schema: {
                  type: 'object',
                  additionalProperties: false,
                  required: ['payload'],
                  properties: { payload: { type: 'string', description: 'JSON: block_actions or view_submission.' } },
                },
              },
            },
          },
          responses: {
            200: { description: 'taken; who may not decide is told so in Slack' },
            ...open(400, 403, 409, 413, 421, 503),
          },
        },
      },
    },
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        slack: {
          type: 'apiKey',
          in: 'header',
          name: 'X-Slack-Signature',
          description:
            'HMAC-SHA256 by Slack over the time in X-Slack-Request-Timestamp and the body, as Slack documents it.',
        },
      },
      schemas: SCHEMAS,
    },
  }
}

export function openApiRoute(version: string): Route {
  const document = openApi(version)
  const path = '/openapi.json'
  return { path, methods: ['GET'], takes: asked => asked === path, answer: async () => json(200, document) }
}
