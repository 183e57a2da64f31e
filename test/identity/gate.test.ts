/** Verified identities through a whole gate: what callers see, what rows say, and what upstream gets. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { apiKeyIdentity, newApiKey } from '../../src/identity/api-key.ts'
import { firstPresented } from '../../src/identity/combine.ts'
import { jwtIdentity } from '../../src/identity/jwt.ts'
import type { JwtIssuer } from '../../src/identity/jwt-issuer.ts'
import { AUDIENCE, ISSUER, signed, startIssuer, type TestKey, testKey } from '../../src/identity/tokens.test-support.ts'
import { trustedProxyIdentity } from '../../src/identity/trusted-proxy.ts'
import { openEgress } from '../../src/plugins/egress.ts'
import { systemRandom } from '../../src/state/system.ts'
import { post, raw } from '../http/raw.ts'
import { chat, startTestGate, type TestGate } from '../support/gate.ts'

const ports = { now: Date.now, randomBytes: (n: number) => systemRandom().bytes(n) }
const ASK = { model: 'demo', messages: [{ role: 'user', content: 'Say hello' }] }
const nowS = () => Math.floor(Date.now() / 1000)

let key: TestKey
beforeAll(async () => {
  key = await testKey('EdDSA')
})

const token = (claims: Readonly<Record<string, unknown>> = {}) =>
  signed(key, { iss: ISSUER, aud: AUDIENCE, sub: 'alice@example.com', exp: nowS() + 300, ...claims })
const jwt = (more: Partial<JwtIssuer> = {}) =>
  jwtIdentity({ issuers: [{ issuer: ISSUER, audience: AUDIENCE, jwks: { keys: [key.jwk] }, ...more }] }, ports)

describe('tokens', () => {
  let gate: TestGate
  beforeAll(async () => {
    gate = await startTestGate({
      identity: jwt({ claims: { clearance: { claim: 'level' } } }),
      settings: { strict: true },
    })
  })
  afterAll(() => gate.close())

  it('the row says who and how, whatever the caller says', async () => {
    const answer = await chat(gate, ASK, {
      owner: 'human:root',
      headers: { authorization: `Bearer ${await token()}`, 'x-agent-id': 'agent:root' },
    })
    expect(answer.status).toBe(200)
    await answer.arrayBuffer()
    expect(gate.rows().findLast(r => r['check_name'] === 'pipeline.admission')).toMatchObject({
      owner_type: 'human',
      owner_id: 'alice@example.com',
      metadata: { _owner_authenticated_by: 'jwt' },
    })
  })

  it("the clearance is the token's: what the caller claims for itself opens nothing", async () => {
    const ask = async (level: string | undefined) => {
      const answer = await chat(gate, ASK, {
        headers: {
          authorization: `Bearer ${await token(level === undefined ? {} : { level })}`,
          'x-classification': 'secret',
          'x-caller-clearance': 'TS',
        },
      })
      await answer.arrayBuffer()
      return answer.status
    }
    expect(await ask(undefined)).toBe(403)
    expect(await ask('CUI')).toBe(403)
    expect(await ask('secret')).toBe(200)
  })

  it('a missing or bad token is 401 with a challenge, a row, and not a word about it', async () => {
    const before = gate.upstreamRequests()
    const absent = await chat(gate, ASK)
    expect(absent.status).toBe(401)
    expect(absent.headers.get('www-authenticate')).toBe('Bearer realm="signet"')
    const bad = await token({ exp: nowS() - 3600 })
    const expired = await chat(gate, ASK, { headers: { authorization: `Bearer ${bad}` } })
    expect(expired.status).toBe(401)
    expect(expired.headers.get('www-authenticate')).toBe('Bearer realm="signet", error="invalid_token"')
    expect(expired.headers.get('x-should-retry')).toBe('false')
    expect(Object.keys((await expired.json()) as object).sort()).toEqual(['correlation_id', 'error'])
    expect(gate.upstreamRequests()).toBe(before)
    const row = gate.rows().at(-1)
    expect(row).toMatchObject({ metadata: { _code: 'credential_invalid', strategy: 'jwt', problem: 'expired' } })
    expect(JSON.stringify(gate.rows())).not.toContain(bad.slice(0, 24))
  })

  it('two Authorization headers are 400, in either order', async () => {
    const good = `Bearer ${await token()}`
    for (const pair of [
      ['Bearer x', good],
      [good, 'Bearer x'],
      [good, good],
    ]) {
      const lines = pair.map(value => `Authorization: ${value}`)
      const { answers } = await raw(gate.running.port, post(lines, JSON.stringify(ASK)))
      expect(answers.map(a => a.status)).toEqual([400])
    }
  })
})

describe('what upstream gets', () => {
  let upstream: Server
  let seen: string[][] = []
  let url = ''
  beforeAll(async () => {
    upstream = createServer((req, res) => {
      seen.push(req.rawHeaders)
      req.resume()
      res.setHeader('content-type', 'application/json')
      res.end(
        JSON.stringify({
          id: 'x',
          object: 'chat.completion',
          created: 1,
          model: 'demo',
          choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
        }),
      )
    })
    await new Promise<void>(resolve => upstream.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${String((upstream.address() as AddressInfo).port)}/v1`
  })
  afterAll(() => new Promise(resolve => upstream.close(resolve)))

  async function forwarded(gate: TestGate, headers: Record<string, string>): Promise<string> {
    seen = []
    const answer = await chat(gate, ASK, { headers })
    expect(answer.status).toBe(200)
    await answer.arrayBuffer()
    expect(seen).toHaveLength(1)
    return JSON.stringify(seen[0])
  }

  it('never the credential that identified the caller, not even under another name', async () => {
    const { key: apiKey, hash } = newApiKey(ports.randomBytes)
    const keys = apiKeyIdentity({ keys: [{ hash, owner: 'agent:key' }] }, ports)
    const gate = await startTestGate({ identity: firstPresented([jwt(), keys]), upstreamUrl: url })
    try {
      const t = await token()
      expect(await forwarded(gate, { authorization: `Bearer ${t}`, 'openai-project': t })).not.toContain(t)
      expect(await forwarded(gate, { 'x-api-key': apiKey, 'openai-project': apiKey })).not.toContain('sgk_')
    } finally {
      await gate.close()
    }
  })

  it("the caller's own key for upstream, when another header identifies it", async () => {
    const identity = trustedProxyIdentity({ proxies: ['127.0.0.1'], header: 'x-auth-request-email' })
    const gate = await startTestGate({ identity, upstreamUrl: url })
    try {
      const headers = await forwarded(gate, {
        'x-auth-request-email': 'alice@example.com',
        authorization: 'Bearer sk-upstream',
      })
      expect(headers).toContain('sk-upstream')
      expect(headers).not.toContain('alice@example.com')
    } finally {
      await gate.close()
    }
  })
})

describe('a proxy in front', () => {
  it('names the owner from a listed address, and its header may not repeat', async () => {
    const identity = trustedProxyIdentity({ proxies: ['127.0.0.1'], header: 'X-Auth-Request-Email' })
    const gate = await startTestGate({ identity })
    try {
      const good = await chat(gate, ASK, { headers: { 'x-auth-request-email': 'alice@example.com' } })
      expect(good.status).toBe(200)
      await good.arrayBuffer()
      expect((await chat(gate, ASK)).status).toBe(401)
      const lines = ['X-Auth-Request-Email: root', 'X-Auth-Request-Email: alice']
      const { answers } = await raw(gate.running.port, post(lines, JSON.stringify(ASK)))
      expect(answers.map(a => a.status)).toEqual([400])
    } finally {
      await gate.close()
    }
  })

  it('is believed only from a listed address', async () => {
    const identity = trustedProxyIdentity({ proxies: ['192.0.2.0/24'], header: 'X-Auth-Request-Email' })
    const gate = await startTestGate({ identity, trustedProxies: ['127.0.0.1'] })
    try {
      const answer = await chat(gate, ASK, {
        headers: { 'x-auth-request-email': 'alice@example.com', 'x-forwarded-for': '192.0.2.7' },
      })
      expect(answer.status).toBe(401)
    } finally {
      await gate.close()
    }
  })
})

describe('an issuer that is down', () => {
  it('is 503 with a row, and the caller may try again', async () => {
    const issuer = await startIssuer([key.jwk])
    const egress = openEgress()
    const identity = jwtIdentity(
      { issuers: [{ issuer: issuer.url, audience: AUDIENCE, discovery: true }] },
      { ...ports, egress },
    )
    const gate = await startTestGate({ identity })
    try {
      const t = await token({ iss: issuer.url })
      await issuer.stop()
      const answer = await chat(gate, ASK, { headers: { authorization: `Bearer ${t}` } })
      expect(answer.status).toBe(503)
      expect(answer.headers.get('retry-after')).toBe('1')
      expect(gate.rows().at(-1)).toMatchObject({ metadata: { _code: 'state_unavailable', strategy: 'jwt' } })
    } finally {
      await gate.close()
      await egress.close()
      await issuer.stop()
    }
  })

  it('while it is up, a token gets in by way of discovery', async () => {
    const issuer = await startIssuer([key.jwk])
    const egress = openEgress()
    const identity = jwtIdentity(
      { issuers: [{ issuer: issuer.url, audience: AUDIENCE, discovery: true }] },
      { ...ports, egress },
    )
    const gate = await startTestGate({ identity })
    try {
      const answer = await chat(gate, ASK, { headers: { authorization: `Bearer ${await token({ iss: issuer.url })}` } })
      expect(answer.status).toBe(200)
      await answer.arrayBuffer()
    } finally {
      await gate.close()
      await egress.close()
      await issuer.stop()
    }
  })
})
