import { createHash, generateKeyPairSync, sign as nodeSign } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ReceiptClaims } from '../receipt/claims.ts'
import { issueReceipt, type ReceiptSigner } from '../receipt/issue.ts'
import { buildJwks } from '../receipt/jwks.ts'
import {
  isSignetAbort,
  lastReceipt,
  type ReceiptNotice,
  receiptOf,
  SignetEscalated,
  SignetRefused,
  SignetUnverified,
  wrapOpenAI,
} from './openai.ts'

/** A server that answers as the gate does; `model` picks the answer. */
const seen: { readonly url: string; readonly headers: IncomingMessage['headers']; readonly body: string }[] = []
type Answer = (req: { readonly body: string; readonly stream: boolean }, res: ServerResponse) => unknown
const ID = '0199a0de-0000-7000-8000-0000000000ff'
const pair = generateKeyPairSync('ed25519')
const signer: ReceiptSigner = { kid: 'r1', alg: 'EdDSA', sign: async data => nodeSign(null, data, pair.privateKey) }
const verify = { keys: buildJwks([{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'r1' }]), issuer: 'gate' }

const COMPLETION = JSON.stringify({
  id: 'c1',
  object: 'chat.completion',
  created: 1,
  model: 'ok',
  choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Hello', refusal: null } }],
})
const chunk = (content: string) =>
  `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`
const ABORT =
  `data: ${JSON.stringify({ signet_abort: true, reason: 'marker above INTERNAL', correlation_id: ID, stage: 'inspection', check: 'scope_drift', choices: [], error: { message: 'marker above INTERNAL', type: 'signet_refusal', code: 'marker' } })}\n\n` +
  'data: [DONE]\n\n'
const DONE = 'data: [DONE]\n\n'

const digest = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`

function receipt(request: string, response?: string, over: Partial<ReceiptClaims> = {}): Promise<string> {
  const leaf = { v: 1, entry_id: 'e', exchange: ID, ts_ns: '1', decision: 'allow', commit: '0'.repeat(64) } as const
  const claims: ReceiptClaims = {
    iss: 'gate',
    iat: 1,
    jti: 'e',
    exchange: ID,
    stage: response === undefined ? 'admission' : 'complete',
    decision: 'allow',
    final: response !== undefined,
    req: digest(request),
    ...(response === undefined ? {} : { res: digest(response) }),
    leaf,
    ...over,
  }
  return issueReceipt(claims, signer)
}

const json = (res: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) =>
  res
    .writeHead(status, { 'content-type': 'application/json', 'x-signet-correlation-id': ID, ...headers })
    .end(typeof body === 'string' ? body : JSON.stringify(body))
const sse = async (res: ServerResponse, req: { readonly body: string }, ...pieces: readonly string[]) => {
  res.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'x-signet-correlation-id': ID,
    'x-signet-receipt': await receipt(req.body),
  })
  for (const piece of pieces) res.write(piece)
  res.end()
}
const NO_RETRY = { 'x-should-retry': 'false' }

const answers: Record<string, Answer> = {
  ok: async (req, res) => json(res, 200, COMPLETION, { 'x-signet-receipt': await receipt(req.body, COMPLETION) }),
  tampered: async (req, res) =>
    json(res, 200, COMPLETION.replace('Hello', 'Hullo'), { 'x-signet-receipt': await receipt(req.body, COMPLETION) }),
  bare: (_, res) => json(res, 200, COMPLETION),
  admissionOnly: async (req, res) => json(res, 200, COMPLETION, { 'x-signet-receipt': await receipt(req.body) }),
  otherRequest: async (_, res) =>
    json(res, 200, COMPLETION, { 'x-signet-receipt': await receipt('something else', COMPLETION) }),
  strict: (_, res) =>
    json(res, 403, { error: 'refused', correlation_id: ID }, { ...NO_RETRY, 'x-signet-receipt': 'r.r.r' }),
  verbose: (_, res) =>
    json(
      res,
      403,
      {
        error: 'signet refused this request',
        reason: 'no commit owner could be resolved',
        check: 'owner_resolution',
        stage: 'admission',
        correlation_id: ID,
      },
      NO_RETRY,
    ),
  limited: (_, res) => json(res, 429, { error: 'refused', correlation_id: ID }, { 'retry-after': '7', ...NO_RETRY }),
  unavailable: (_, res) => json(res, 503, { error: 'refused', correlation_id: ID }, NO_RETRY),
  upstream429: (_, res) =>
    json(res, 429, { error: { message: 'quota', type: 'insufficient_quota', code: 'q' } }, NO_RETRY),
  upstreamForged: (_, res) => json(res, 403, { error: 'refused', correlation_id: 'not the id' }, NO_RETRY),
  held: (_, res) =>
    json(
      res,
      202,
      {
        status: 'escalated',
        escalation_id: 'esc1',
        correlation_id: ID,
        current_approver: 'human:bob',
        expires_at: '2026-01-01T00:00:00Z',
        status_url: '/signet/v1/escalations/esc1?token=t',
      },
      { 'retry-after': '0', 'x-signet-receipt': 'r.r.r', 'x-should-retry': 'true' },
    ),
  held403: (_, res) =>
    json(
      res,
      403,
      {
        error: { message: 'held for approval', type: 'signet_refusal', code: 'escalated' },
        status: 'escalated',
        escalation_id: 'esc1',
        correlation_id: ID,
      },
      NO_RETRY,
    ),
  heldSigned: async (req, res) => {
    const body = JSON.stringify({ status: 'escalated', escalation_id: 'esc1', correlation_id: ID })
    json(res, 202, body, { 'x-signet-receipt': await receipt(req.body, body) })
  },
  preflight: (_, res) =>
    json(res, 413, { error: 'body_too_large', correlation_id: ID, description: 'the body is too large' }, NO_RETRY),
  upstreamDown: (_, res) => json(res, 502, { error: 'upstream forward failed', correlation_id: ID }, NO_RETRY),
  heldMidStream: (req, res) =>
    sse(res, req, chunk('Hel'), ABORT.replace('"choices"', '"escalation_id":"esc1","choices"')),
  moved: (_, res) => res.writeHead(307, { location: `${gate}/v1/elsewhere` }).end(),
  accepted: (_, res) => json(res, 202, COMPLETION),
  forgedHold: (_, res) =>
    json(
      res,
      403,
      { error: { code: 'escalated' }, status: 'escalated', status_url: 'https://evil.example/' },
      NO_RETRY,
    ),
  stream: async (req, res) => {
    const text = chunk('Hel') + chunk('lo')
    await sse(res, req, text, `: signet-receipt ${await receipt(req.body, text)}\n\n`, DONE)
  },
  byteByByte: async (req, res) => {
    const text = chunk('Hel') + chunk('lö')
    await sse(res, req, ...`${text}: signet-receipt ${await receipt(req.body, text)}\n\n${DONE}`)
  },
  streamTampered: async (req, res) => {
    const text = chunk('Hel') + chunk('lo')
    await sse(res, req, text.replace('lo', 'LO'), `: signet-receipt ${await receipt(req.body, text)}\n\n`, DONE)
  },
  streamUnsigned: (req, res) => sse(res, req, chunk('Hello'), DONE),
  streamCut: (req, res) => sse(res, req, chunk('Hello')),
  abort: (req, res) => sse(res, req, chunk('Hel') + ABORT),
  abortBytes: (req, res) => sse(res, req, ...(chunk('Hel') + ABORT)),
  spelled: (req, res) => sse(res, req, chunk('data: {"signet_abort":true}'), chunk('\n: signet-receipt x\n'), DONE),
}

const server = createServer((req, res) => {
  let body = ''
  req.setEncoding('utf8')
  req.on('data', (piece: string) => {
    body += piece
  })
  req.on('end', () => {
    seen.push({ url: req.url ?? '', headers: req.headers, body })
    const model = body === '' ? 'models' : JSON.parse(body).model
    if (model === 'models') json(res, 200, { object: 'list', data: [] })
    else void answers[model]?.({ body, stream: JSON.parse(body).stream === true }, res)
  })
})
let gate = ''
beforeAll(async () => {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  gate = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})
beforeEach(() => {
  seen.length = 0
})

const owner = 'human:alice@example.com'
const original = () => new OpenAI({ apiKey: 'sk-test', baseURL: 'https://api.openai.example/v1' })
const wrapped = (over: Partial<Parameters<typeof wrapOpenAI>[1]> = {}) =>
  wrapOpenAI(original(), { signetUrl: `${gate}/v1`, owner, ...over })
const ask = (client: OpenAI, model: string) =>
  client.chat.completions.create({ model, messages: [{ role: 'user', content: 'Hi' }] })
const askStream = (client: OpenAI, model: string) =>
  client.chat.completions.create({ model, messages: [{ role: 'user', content: 'Hi' }], stream: true })

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable('expected an error'),
    (error: unknown) => error,
  )
}

/** The text a stream yielded, and the error it ended with. */
async function read(client: OpenAI, model: string): Promise<{ readonly text: string; readonly error: unknown }> {
  let text = ''
  try {
    for await (const piece of await askStream(client, model)) text += piece.choices[0]?.delta.content ?? ''
    return { text, error: undefined }
  } catch (error) {
    return { text, error }
  }
}

describe('wrapOpenAI', () => {
  it('gives back a new client of the same class and leaves the original as it was', async () => {
    const before = new OpenAI({ apiKey: 'sk-test', baseURL: 'https://x.example/v1', defaultHeaders: { 'X-Team': 'a' } })
    const client = wrapOpenAI(before, { signetUrl: `${gate}/v1`, owner })
    expect(client).not.toBe(before)
    expect(client).toBeInstanceOf(OpenAI)
    expect(before.baseURL).toBe('https://x.example/v1')
    const { req } = await before.buildRequest({ method: 'post', path: '/x' })
    expect(req.headers.get('x-commit-owner')).toBeNull()
    const completion = await ask(client, 'ok')
    expect(completion.choices[0]?.message.content).toBe('Hello')
    expect(seen[0]?.url).toBe('/v1/chat/completions')
    expect(seen[0]?.headers).toMatchObject({
      'x-commit-owner': owner,
      'x-team': 'a',
      authorization: 'Bearer sk-test',
    })
  })

  it('sends who asks in the headers the gate reads', async () => {
    const all = {
      classification: 'INTERNAL',
      clearance: 'SECRET',
      sessionId: 's-1',
      agentId: 'triage',
      policy: 'policy:n',
    }
    await ask(wrapped(all), 'ok')
    await ask(wrapped({ owner: 'agent:triage' }), 'ok')
    await ask(wrapped({ owner: 'policy:nightly' }), 'ok')
    expect(seen[0]?.headers).toMatchObject({
      'x-commit-owner': owner,
      'x-agent-id': 'agent:triage',
      'x-policy-name': 'n',
      'x-classification': 'INTERNAL',
      'x-caller-clearance': 'SECRET',
      'x-signet-session': 's-1',
    })
    expect(seen[1]?.headers['x-agent-id']).toBe('agent:triage')
    expect(seen[1]?.headers['x-commit-owner']).toBeUndefined()
    expect(seen[2]?.headers['x-policy-name']).toBe('nightly')
  })

  it.each<[string, Parameters<typeof wrapOpenAI>[1]['owner']]>([
    ['no prefix', 'alice'],
    ['an empty name', 'human:'],
    ['a blank name', 'human:  '],
    ['another prefix', 'robot:x'],
    ['an upper-case prefix', 'Human:alice'],
    ['a line break', 'human:a\r\nX-Evil: 1'],
    ['a look-alike letter', 'human:\u0430lice'],
    ['nothing', ''],
  ])('refuses an owner with %s', (_, bad) => {
    expect(() => wrapped({ owner: bad })).toThrow(TypeError)
  })

  it('refuses two owners for one header, and addresses that are none', () => {
    expect(() => wrapped({ owner: 'agent:a', agentId: 'b' })).toThrow('agentId')
    for (const signetUrl of ['', 'gate', 'ftp://gate/v1', 'http://u:p@gate/v1', 'http://gate/v1?x=1'])
      expect(() => wrapOpenAI(original(), { signetUrl, owner })).toThrow('signetUrl')
    expect(() => wrapOpenAI({} as OpenAI, { signetUrl: 'http://gate', owner })).toThrow('openai')
    expect(() => wrapOpenAI(wrapped(), { signetUrl: 'http://gate', owner })).toThrow('wrapped already')
  })

  it('stays at its gate, also by way of another option, and follows no redirect with the key', async () => {
    const away = 'keeps the address of its gate'
    expect(() => wrapped().withOptions({ baseURL: 'https://api.openai.example/v1' })).toThrow(away)
    expect(() => wrapped().withOptions({ dataResidency: 'eu' })).toThrow(away)
    const error = await failure(ask(wrapped(), 'moved'))
    expect(error).toMatchObject({ status: 307 })
    expect(seen).toHaveLength(1)
  })

  it('means /v1 when the address has no path, and minds no trailing slash', () => {
    for (const signetUrl of ['http://gate:8443', 'http://gate:8443/', 'http://gate:8443/v1/'])
      expect(wrapOpenAI(original(), { signetUrl, owner }).baseURL).toBe('http://gate:8443/v1')
  })

  it.each<[string, () => OpenAI]>([
    [
      'Headers',
      () => new OpenAI({ apiKey: 'k', defaultHeaders: new Headers({ 'X-Team': 'a', 'x-commit-owner': 'human:eve' }) }),
    ],
    [
      'a list',
      () =>
        new OpenAI({
          apiKey: 'k',
          defaultHeaders: [
            ['X-Team', 'a'],
            ['X-COMMIT-OWNER', 'human:eve'],
          ],
        }),
    ],
    ['a record', () => new OpenAI({ apiKey: 'k', defaultHeaders: { 'X-Team': ['a'], 'X-Commit-Owner': 'human:eve' } })],
  ])("keeps the client's own headers given as %s, and ours stand", async (_, make) => {
    await ask(wrapOpenAI(make(), { signetUrl: gate, owner }), 'ok')
    expect(seen[0]?.headers).toMatchObject({ 'x-team': 'a', 'x-commit-owner': owner })
  })

  it("keeps a header that the client's defaults remove removed", async () => {
    const client = new OpenAI({ apiKey: 'k', defaultHeaders: { authorization: null } })
    await ask(wrapOpenAI(client, { signetUrl: gate, owner }), 'ok')
    expect(seen[0]?.headers.authorization).toBeUndefined()
  })

  it("goes through the client's own fetch, also in copies made with withOptions", async () => {
    let calls = 0
    const counting: typeof fetch = (url, init) => {
      calls++
      return fetch(url, init)
    }
    const client = wrapOpenAI(new OpenAI({ apiKey: 'k', fetch: counting }), { signetUrl: gate, owner })
    await ask(client, 'ok')
    expect(calls).toBe(1)
    const copy = client.withOptions({ timeout: 1000 })
    await expect(failure(ask(copy, 'held'))).resolves.toBeInstanceOf(SignetEscalated)
    await expect(failure(ask(copy.withOptions({ fetch: counting }), 'held'))).resolves.toBeInstanceOf(SignetEscalated)
    expect(calls).toBe(3)
    expect(seen.every(request => request.headers['x-commit-owner'] === owner)).toBe(true)
  })
})

describe('refusals', () => {
  it("are the SDK's typed error and SignetRefused at once, with what a strict gate says", async () => {
    const error = await failure(ask(wrapped(), 'strict'))
    expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
    expect(error).toBeInstanceOf(SignetRefused)
    expect(error).toMatchObject({
      name: 'SignetRefused',
      status: 403,
      correlationId: ID,
      reason: 'refused',
      receipt: 'r.r.r',
      check: undefined,
      midStream: false,
    })
    expect(String(error)).toContain(ID)
    expect(seen).toHaveLength(1)
  })

  it('carry everything that a verbose gate says', async () => {
    const error = await failure(ask(wrapped(), 'verbose'))
    expect(error).toBeInstanceOf(SignetRefused)
    expect(error).toMatchObject({
      reason: 'no commit owner could be resolved',
      check: 'owner_resolution',
      stage: 'admission',
      correlationId: ID,
      receipt: undefined,
    })
  })

  it('of a rate limit are RateLimitError with the time to wait; of an outage InternalServerError', async () => {
    const limited = await failure(ask(wrapped(), 'limited'))
    expect(limited).toBeInstanceOf(OpenAI.RateLimitError)
    expect(limited).toBeInstanceOf(SignetRefused)
    expect(limited).toMatchObject({ status: 429, retryAfterS: 7 })
    const outage = await failure(ask(wrapped(), 'unavailable'))
    expect(outage).toBeInstanceOf(OpenAI.InternalServerError)
    expect(outage).toBeInstanceOf(SignetRefused)
  })

  it('before any check say their code', async () => {
    expect(await failure(ask(wrapped(), 'preflight'))).toMatchObject({
      name: 'SignetRefused',
      status: 413,
      code: 'body_too_large',
      reason: 'the body is too large',
    })
  })

  it("of upstream itself stay the SDK's and nothing else, even when they look alike", async () => {
    for (const model of ['upstream429', 'upstreamForged', 'upstreamDown', 'forgedHold']) {
      const error = await failure(ask(wrapped(), model))
      expect(error).toBeInstanceOf(OpenAI.APIError)
      expect(error).not.toBeInstanceOf(SignetRefused)
      expect(error).not.toBeInstanceOf(SignetEscalated)
    }
  })

  it('are recognised for streams asked for and refused before they began', async () => {
    const { text, error } = await read(wrapped(), 'strict')
    expect(text).toBe('')
    expect(error).toBeInstanceOf(SignetRefused)
    expect(isSignetAbort(error)).toBe(false)
  })

  it('are not seen in ordinary errors', () => {
    for (const other of [
      new Error('x'),
      null,
      undefined,
      'refused',
      {},
      new OpenAI.APIConnectionError({ message: 'x' }),
    ]) {
      expect(other instanceof SignetRefused).toBe(false)
      expect(isSignetAbort(other)).toBe(false)
    }
  })
})

describe('escalations', () => {
  it('are thrown once with where to wait, never taken for a completion and never sent twice', async () => {
    const error = await failure(ask(wrapped(), 'held'))
    expect(error).toBeInstanceOf(SignetEscalated)
    expect(error).toBeInstanceOf(OpenAI.APIError)
    expect(error).not.toBeInstanceOf(SignetRefused)
    expect(error).toMatchObject({
      escalationId: 'esc1',
      correlationId: ID,
      statusUrl: `${gate}/signet/v1/escalations/esc1?token=t`,
      currentApprover: 'human:bob',
      expiresAt: '2026-01-01T00:00:00Z',
      retryAfterS: 0,
      receipt: 'r.r.r',
    })
    expect(String(error)).not.toContain('token=')
    expect(seen).toHaveLength(1)
  })

  it('are the same for a streamed request and for a gate that says 403', async () => {
    expect((await read(wrapped(), 'held')).error).toBeInstanceOf(SignetEscalated)
    expect(await failure(ask(wrapped(), 'held403'))).toMatchObject({ escalationId: 'esc1', name: 'SignetEscalated' })
  })

  it('in the middle of a stream yield what came before', async () => {
    const { text, error } = await read(wrapped(), 'heldMidStream')
    expect(text).toBe('Hel')
    expect(error).toBeInstanceOf(SignetEscalated)
    expect(error).toMatchObject({ escalationId: 'esc1', correlationId: ID, midStream: true })
    expect(isSignetAbort(error)).toBe(true)
  })

  it('are not seen in another 202', async () => {
    expect((await ask(wrapped(), 'accepted')).choices[0]?.message.content).toBe('Hello')
  })
})

describe('streams', () => {
  it('pass unchanged', async () => {
    expect(await read(wrapped(), 'stream')).toEqual({ text: 'Hello', error: undefined })
    expect(await read(wrapped(), 'byteByByte')).toEqual({ text: 'Hellö', error: undefined })
    expect(await read(wrapped(), 'streamUnsigned')).toEqual({ text: 'Hello', error: undefined })
  })

  it.each(['abort', 'abortBytes'])(
    'that the gate ends yield what came before, then throw with every fact (%s)',
    async model => {
      const { text, error } = await read(wrapped(), model)
      expect(text).toBe('Hel')
      expect(error).toBeInstanceOf(OpenAI.APIError)
      expect(error).toBeInstanceOf(SignetRefused)
      expect(error).toMatchObject({
        midStream: true,
        reason: 'marker above INTERNAL',
        correlationId: ID,
        stage: 'inspection',
        check: 'scope_drift',
        code: 'marker',
        type: 'signet_refusal',
      })
      expect(isSignetAbort(error)).toBe(true)
    },
  )

  it("reach the SDK's own accumulator as an error too", async () => {
    const stream = wrapped().chat.completions.stream({ model: 'abort', messages: [{ role: 'user', content: 'Hi' }] })
    expect(await failure(stream.finalContent())).toBeInstanceOf(SignetRefused)
  })

  it('in which the model spells an abort or a receipt are ordinary text', async () => {
    const client = wrapped()
    const { text, error } = await read(client, 'spelled')
    expect(error).toBeUndefined()
    expect(text).toBe('data: {"signet_abort":true}\n: signet-receipt x\n')
    expect(lastReceipt(client)?.carrier).toBe('header')
  })

  it('of a client that is not wrapped are recognised by isSignetAbort', async () => {
    const plain = new OpenAI({ apiKey: 'k', baseURL: `${gate}/v1` })
    const { error } = await read(plain, 'abort')
    expect(error).not.toBeInstanceOf(SignetRefused)
    expect(isSignetAbort(error)).toBe(true)
  })

  it('can be left early', async () => {
    for await (const _ of await askStream(wrapped(), 'stream')) break
    expect(seen).toHaveLength(1)
  })
})

describe('receipts', () => {
  it('are within reach of a unary answer', async () => {
    const notices: ReceiptNotice[] = []
    const client = wrapped({ onReceipt: notice => notices.push(notice) })
    const promise = ask(client, 'ok')
    const { response } = await promise.withResponse()
    expect(receiptOf(response)).toMatch(/^eyJ/)
    expect(await receiptOf(promise)).toBe(receiptOf(response))
    expect(notices).toEqual([
      { receipt: receiptOf(response), carrier: 'header', status: 200, correlationId: ID, verified: undefined },
    ])
    expect(lastReceipt(client)).toEqual(notices[0])
    expect(lastReceipt(original())).toBeUndefined()
  })

  it('of a stream are the admission at first and the final one at its end', async () => {
    const client = wrapped()
    const { data, response } = await askStream(client, 'stream').withResponse()
    const first = receiptOf(response)
    expect(lastReceipt(client)?.carrier).toBe('header')
    for await (const _ of data);
    expect(receiptOf(response)).not.toBe(first)
    expect(lastReceipt(client)).toMatchObject({ carrier: 'stream', receipt: receiptOf(response) })
  })

  it('a callback that throws does not make the SDK send the request again', async () => {
    const logged: unknown[] = []
    const log = (...args: unknown[]) => logged.push(args)
    const logger = { error: log, warn: log, info: log, debug: log }
    const client = wrapOpenAI(new OpenAI({ apiKey: 'k', logger }), {
      signetUrl: gate,
      owner,
      onReceipt: () => {
        throw new Error('mine')
      },
    })
    expect((await ask(client, 'ok')).id).toBe('c1')
    expect(String(logged[0])).toContain('onReceipt callback threw')
    expect(seen).toHaveLength(1)
  })
})

describe('verification', () => {
  it('lets a covered answer through, unary and streamed, and hands out the claims', async () => {
    const client = wrapped({ verify })
    expect((await ask(client, 'ok')).choices[0]?.message.content).toBe('Hello')
    expect(lastReceipt(client)?.verified?.covers).toEqual({ request: true, response: true })
    for (const model of ['stream', 'byteByByte']) {
      expect((await read(client, model)).error).toBeUndefined()
      expect(lastReceipt(client)).toMatchObject({ carrier: 'stream', verified: { covers: { response: true } } })
    }
    await client.models.list()
  })

  it.each([
    ['tampered', 'response_mismatch'],
    ['bare', 'receipt_malformed'],
    ['admissionOnly', 'not_final'],
    ['otherRequest', 'request_mismatch'],
  ])('throws SignetUnverified once for an answer that is %s', async (model, reason) => {
    const error = await failure(ask(wrapped({ verify }), model))
    expect(error).toBeInstanceOf(SignetUnverified)
    expect(error).toMatchObject({ reason, correlationId: ID })
    expect(seen).toHaveLength(1)
  })

  it.each([
    ['streamTampered', 'response_mismatch'],
    ['streamUnsigned', 'stream_receipt_missing'],
    ['streamCut', 'stream_receipt_missing'],
  ])('ends a stream that is %s with SignetUnverified', async (model, reason) => {
    const { error } = await read(wrapped({ verify }), model)
    expect(error).toBeInstanceOf(SignetUnverified)
    expect(error).toMatchObject({ reason })
  })

  it('trusts no other key, issuer or exchange', async () => {
    const other = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
    for (const [wrong, reason] of [
      [{ ...verify, issuer: 'other' }, 'issuer_wrong'],
      [{ ...verify, keys: { keys: [{ ...other, kid: 'r1' }] } }, 'receipt_signature_invalid'],
      [{ ...verify, keys: () => Promise.reject(new Error('down')) }, 'unreadable'],
    ] as const) {
      expect(await failure(ask(wrapped({ verify: wrong }), 'ok'))).toMatchObject({ reason, name: 'SignetUnverified' })
      expect((await read(wrapped({ verify: wrong }), 'stream')).text).toBe('')
    }
  })

  it('covers an escalation like any answer', async () => {
    expect(await failure(ask(wrapped({ verify }), 'heldSigned'))).toBeInstanceOf(SignetEscalated)
    expect(await failure(ask(wrapped({ verify }), 'held'))).toBeInstanceOf(SignetUnverified)
  })

  it('does not hide a refusal behind a missing receipt', async () => {
    expect(await failure(ask(wrapped({ verify }), 'verbose'))).toBeInstanceOf(SignetRefused)
    expect(await failure(ask(wrapped({ verify }), 'unavailable'))).toBeInstanceOf(SignetRefused)
  })
})
