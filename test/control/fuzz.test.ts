/**
 * Requests made from the description that the control plane serves, sound and broken, against the running listener: every
 * answer is one that the description has, in its shape; none is a 500; and nothing is decided but by who may.
 */
import { type IncomingMessage, request } from 'node:http'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { matchPath } from '../../src/control/path.ts'
import { Authenticator } from '../support/authenticator.ts'
import {
  broken,
  type Known,
  type Operation,
  type Parameter,
  type Schema,
  type Sent,
  soundRequest,
} from './arbitrary.ts'
import { PEOPLE, RP, type Shown, type Stand, startStand, type Who } from './stand.ts'

interface Described {
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: object }>> }>
  >
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

let s: Stand
let document: Document
let known: Known
const operations: Operation[] = []
const ajv = new Ajv2020({ strict: false, allErrors: true })
formats.default(ajv)

beforeAll(async () => {
  s = await startStand({ registration: 'self', approvers: [PEOPLE.bob, PEOPLE.carol] })
  document = (await (await s.call('GET', '/openapi.json')).json()) as Document
  ajv.addSchema(document, 'api')
  const { a, id } = await passkeyOf('bob')
  // Of the one above some request will be rid; these stay.
  await passkeyOf('bob')
  await passkeyOf('carol')
  const held = [await s.hold(), await s.hold(), await s.hold()]
  known = {
    schemas: document.components.schemas,
    values: {
      id: held.map(e => e.id),
      before: held.map(e => e.id),
      digest: held.map(e => e.digest),
      principal: Object.values(PEOPLE),
      passkey: [id, a.get({ challenge: 'AAAA', rpId: RP.id })],
    },
  }
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, d] of Object.entries(methods)) {
      operations.push({
        method: method.toUpperCase(),
        path,
        parameters: d.parameters ?? [],
        body: d.requestBody?.content['application/json']?.schema,
      })
    }
  }
})
afterAll(() => s.close())

async function passkeyOf(who: Who): Promise<{ readonly a: Authenticator; readonly id: string }> {
  const a = new Authenticator('ES256', RP.origins[0] ?? '')
  const begun = await s.call('POST', '/api/v1/passkeys/registration', who, {})
  const options = (await begun.json()) as Parameters<Authenticator['create']>[0]
  const made = await s.call('POST', '/api/v1/passkeys', who, { response: a.create(options) })
  return { a, id: ((await made.json()) as { id: string }).id }
}

interface Got {
  readonly status: number
  readonly type: string
  readonly text: string
}

function send(sent: Sent, who: Who | undefined): Promise<Got> {
  const { port } = new URL(s.control.url)
  return new Promise((resolve, reject) => {
    const req = request({
      host: '127.0.0.1',
      port,
      method: sent.method,
      path: sent.target,
      agent: false,
      headers: {
        ...(who === undefined ? {} : { authorization: `Bearer ${s.token(who)}` }),
        ...(sent.body === undefined ? {} : { 'content-length': sent.body.length }),
        ...sent.headers,
      },
    })
    req.on('error', reject)
    req.on('response', (res: IncomingMessage) => {
      const type = res.headers['content-type'] ?? ''
      const chunks: Buffer[] = []
      const done = () => resolve({ status: res.statusCode ?? 0, type, text: Buffer.concat(chunks).toString() })
      res.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        // It never ends by itself.
        if (type === 'text/event-stream') req.destroy()
      })
      res.on('error', done)
      res.on('close', done)
    })
    req.end(sent.body)
  })
}

/** What the description says about this very request; `undefined`: it is about none such. */
function describedFor(sent: Sent): { readonly pointer: string; readonly described: Described } | undefined {
  const path = sent.target.split('?')[0] ?? ''
  const method = sent.method === 'HEAD' ? 'get' : sent.method.toLowerCase()
  for (const [template, methods] of Object.entries(document.paths)) {
    const described = methods[method]
    if (described === undefined || matchPath(template, path) === undefined) continue
    return { pointer: `/paths/${template.replaceAll('~', '~0').replaceAll('/', '~1')}/${method}`, described }
  }
  return undefined
}

/** What is wrong with an answer, in a line. */
function wrongWith(sent: Sent, { status, type, text }: Got): string | undefined {
  const about = describedFor(sent)
  if (about === undefined) {
    if (![400, 403, 404, 405, 421].includes(status)) return `undescribed, and answered ${status}`
  } else {
    const answer = about.described.responses[String(status)]
    if (answer === undefined) return `${status} is not described`
    const media = type.split(';')[0] ?? ''
    const schema = answer.content?.[media]
    if (schema === undefined) return `${status} as ${type} is not described`
    if (sent.method === 'HEAD' || media !== 'application/json') return undefined
    const pointer = `${about.pointer}/responses/${status}/content/${media.replace('/', '~1')}/schema`
    const validate = ajv.getSchema(`api#${encodeURI(pointer)}`)
    if (validate === undefined) return `no schema at ${pointer}`
    return validate(JSON.parse(text)) === true ? undefined : `${status}: ${ajv.errorsText(validate.errors)}`
  }
  if (text === '') return undefined
  const valid = ajv.getSchema('api#/components/schemas/Problem')
  return valid?.(JSON.parse(text)) === true ? undefined : `${status} without a problem: ${text.slice(0, 200)}`
}

/** Path and body about one escalation that waits: drawn apart, they seldom are. */
function aboutOne(sent: Sent, { id, digest }: Shown): Sent {
  const body = Buffer.from(sent.body ?? []).toString()
  const about = /"digest":"sha256:[0-9a-f]{64}"/
  return {
    ...sent,
    target: sent.target.replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/, id),
    body: Buffer.from(body.replace(about, `"digest":"${digest}"`)),
  }
}

const anybody = fc.constantFrom<Who | undefined>(
  undefined,
  'viewer',
  'bob',
  'carol',
  'admin',
  'owner',
  'nobody',
  'old',
  'agent',
)
const anyOperation = () => fc.constantFrom(...operations)

async function check(sent: Sent, who: Who | undefined): Promise<Got> {
  const got = await send(sent, who)
  const wrong = wrongWith(sent, got)
  if (wrong !== undefined) throw new Error(`${who ?? 'nobody'}: ${sent.method} ${sent.target.slice(0, 200)}: ${wrong}`)
  return got
}

it('sound requests get answers that the description has, and each kind of good answer is among them', {
  timeout: 300_000,
}, async () => {
  const seen = new Set<string>()
  await fc.assert(
    fc.asyncProperty(
      anyOperation().chain(o => fc.tuple(fc.constant(o), soundRequest(o, known))),
      anybody,
      fc.boolean(),
      async ([o, drawn], who, paired) => {
        const sent = paired && o.method === 'POST' && o.path.includes('{id}') ? aboutOne(drawn, await s.hold()) : drawn
        const { status } = await check(sent, who)
        seen.add(`${o.method} ${o.path} ${status}`)
      },
    ),
    { numRuns: 4500, seed: 11 },
  )
  // The requests were real: most operations were carried out, most refusals met.
  const carried = operations.filter(o => [...seen].some(line => line.startsWith(`${o.method} ${o.path} 2`)))
  expect(
    operations
      .filter(o => !carried.includes(o))
      .map(o => `${o.method} ${o.path}`)
      .sort(),
  ).toEqual([
    // Needs an authenticator, which passkeys.test.ts has.
    'POST /api/v1/passkeys',
    // Needs a session, which sessions.test.ts has.
    'POST /api/v1/session/close',
    // Need an identity provider, which sign-in.test.ts has.
    'POST /api/v1/sign-in/begin',
    'POST /api/v1/sign-in/complete',
    // Needs Slack's signature, which slack.test.ts makes.
    'POST /slack/interactions',
  ])
  for (const status of [401, 403, 404, 409]) expect([...seen].some(line => line.endsWith(` ${status}`))).toBe(true)
})

it('broken requests too, and none of them is a 500', { timeout: 300_000 }, async () => {
  const statuses = new Map<number, number>()
  await fc.assert(
    fc.asyncProperty(
      anyOperation().chain(o => broken(soundRequest(o, known))),
      anybody,
      async (sent, who) => {
        const { status } = await check(sent, who)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      },
    ),
    { numRuns: 3000, seed: 11 },
  )
  for (const status of [400, 401, 403, 404, 405, 413, 421])
    expect([status, statuses.get(status) ?? 0]).not.toEqual([status, 0])
})

it('after all that, nothing was decided but by approvers, and the log verifies', async () => {
  for (const id of known.values['id'] ?? []) {
    const e = (await (await s.call('GET', `/api/v1/escalations/${String(id)}`, 'viewer')).json()) as {
      decisions: { approver: string }[]
    }
    for (const { approver } of e.decisions) expect([PEOPLE.bob, PEOPLE.carol]).toContain(approver)
  }
  expect((await s.gate.verify()).ok).toBe(true)
})
