/** Client certificates over real connections to a whole gate. */
import { request } from 'node:https'
import { connect, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { assertedIdentity } from '../../src/identity/asserted.ts'
import { AUTHORITY, pem, REVOCATIONS } from '../../src/identity/certificates.test-support.ts'
import { firstPresented } from '../../src/identity/combine.ts'
import { jwtIdentity } from '../../src/identity/jwt.ts'
import { mtlsIdentity } from '../../src/identity/mtls.ts'
import { AUDIENCE, ISSUER, signed, testKey } from '../../src/identity/tokens.test-support.ts'
import { chat, startTestGate, type TestGate } from '../support/gate.ts'

const TLS = { ...pem('server'), clientCa: AUTHORITY, clientCrl: REVOCATIONS }
const mtls = () =>
  mtlsIdentity(
    { san: 'uri', rules: [{ name: 'spiffe://example.org/agent/{id}', owner: 'agent:{id}', clearance: 'CUI' }] },
    { now: Date.now },
  )
const BODY = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'Say hello' }] })

interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, unknown>>
}

function post(gate: TestGate, holder: string | undefined, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      `${gate.url}/v1/chat/completions`,
      {
        method: 'POST',
        ca: AUTHORITY,
        agent: false,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(BODY), ...headers },
        ...(holder === undefined ? {} : pem(holder)),
      },
      response => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          body += chunk
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }))
      },
    )
    asked.on('error', reject)
    asked.end(BODY)
  })
}

describe('a gate that asks for client certificates', () => {
  let gate: TestGate
  beforeAll(async () => {
    gate = await startTestGate({ identity: mtls(), tls: TLS })
  })
  afterAll(() => gate.close())

  it('speaks https, and the certificate names the owner in the row', async () => {
    expect(gate.url).toMatch(/^https:/)
    const said = { 'x-commit-owner': 'human:root', 'x-caller-clearance': 'top_secret' }
    expect(await post(gate, 'agent', said)).toMatchObject({ status: 200 })
    const row = gate.rows().findLast(r => r['check_name'] === 'pipeline.admission')
    expect(row).toMatchObject({
      owner_type: 'agent',
      owner_id: 'crawler-7',
      approval_chain: ['agent:crawler-7'],
      metadata: { _owner_authenticated_by: 'mtls' },
    })
  })

  it.each([
    ['no certificate', undefined, 'absent'],
    ['one from another authority', 'stranger', 'certificate_not_trusted'],
    ['an expired one', 'expired', 'certificate_not_trusted'],
    ['a revoked one', 'revoked', 'certificate_not_trusted'],
    ['one made for servers', 'serverPurpose', 'certificate_not_trusted'],
    ['one with two names', 'twoUris', 'certificate_with_several_names'],
    ['one whose name reads as two', 'injectedUri', 'certificate_name_unknown'],
    ['one with an address only', 'person', 'certificate_without_name'],
    ['one without names', 'commonNameOnly', 'certificate_without_name'],
  ])('%s: 401 and a row, and the model is not called', async (_, holder, problem) => {
    const before = gate.upstreamRequests()
    const answer = await post(gate, holder, { 'x-commit-owner': 'human:root', 'x-agent-id': 'agent:crawler-7' })
    expect(answer.status).toBe(401)
    expect(gate.upstreamRequests()).toBe(before)
    expect(gate.rows().at(-1)).toMatchObject({
      check_name: 'pipeline.preflight',
      owner_type: 'unresolved',
      metadata: { _code: 'credential_invalid', _status: 401, strategy: 'mtls', problem },
    })
  })

  it('resumes no session: each connection proves its certificate', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const sessions: Buffer[] = []
      const open = (session?: Buffer): Promise<TLSSocket> =>
        new Promise((resolve, reject) => {
          const socket = connect(
            {
              port: gate.running.port,
              host: '127.0.0.1',
              ca: AUTHORITY,
              ...pem('agent'),
              minVersion: version,
              maxVersion: version,
              ...(session === undefined ? {} : { session }),
            },
            () => {
              // A ticket of TLS 1.3 comes after the handshake: wait for an answer that follows it.
              socket.once('data', () => resolve(socket))
              socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
            },
          )
          socket.on('session', (s: Buffer) => sessions.push(s))
          socket.on('error', reject)
        })
      const first = await open()
      first.destroy()
      const session = sessions.at(-1)
      const second = await open(session)
      expect(second.isSessionReused()).toBe(false)
      second.destroy()
    }
  })

  it('TLS before 1.2 and plain HTTP get no answer', async () => {
    const old = new Promise<string>(resolve => {
      connect({
        port: gate.running.port,
        host: '127.0.0.1',
        ca: AUTHORITY,
        maxVersion: 'TLSv1.1',
        minVersion: 'TLSv1',
        ciphers: 'DEFAULT@SECLEVEL=0',
      })
        .on('error', error => resolve(error.message))
        .on('secureConnect', () => resolve('connected'))
    })
    expect(await old).toMatch(/protocol version|unsupported protocol|no protocols available/i)
    await expect(fetch(gate.url.replace('https:', 'http:'))).rejects.toThrow()
    expect(await post(gate, 'agent')).toMatchObject({ status: 200 })
  })
})

describe('a gate that takes tokens or certificates', () => {
  it('lets either in, and both at once or none not', async () => {
    const key = await testKey('EdDSA')
    const nowS = Math.floor(Date.now() / 1000)
    const token = await signed(key, { iss: ISSUER, aud: AUDIENCE, sub: 'alice', exp: nowS + 300 })
    const jwt = jwtIdentity(
      { issuers: [{ issuer: ISSUER, audience: AUDIENCE, jwks: { keys: [key.jwk] } }] },
      { now: Date.now },
    )
    const gate = await startTestGate({ identity: firstPresented([jwt, mtls()]), tls: TLS })
    try {
      const bearer = { authorization: `Bearer ${token}` }
      expect((await post(gate, 'agent')).status).toBe(200)
      expect((await post(gate, undefined, bearer)).status).toBe(200)
      expect((await post(gate, 'agent', bearer)).status).toBe(401)
      expect((await post(gate, 'stranger', bearer)).status).toBe(401)
      const none = await post(gate, undefined)
      expect(none.status).toBe(401)
      expect(none.headers['www-authenticate']).toBe('Bearer realm="signet"')
      const owners = gate.rows().filter(r => r['check_name'] === 'pipeline.admission')
      expect(owners.map(r => `${String(r['owner_type'])}:${String(r['owner_id'])}`)).toEqual([
        'agent:crawler-7',
        'human:alice',
      ])
    } finally {
      await gate.close()
    }
  })
})

describe('a gate with TLS and no need of certificates', () => {
  it('asks for none', async () => {
    const gate = await startTestGate({ identity: assertedIdentity(), tls: pem('server') })
    try {
      const asked = await new Promise<boolean>((resolve, reject) => {
        const socket = connect(
          { port: gate.running.port, host: '127.0.0.1', ca: AUTHORITY, ...pem('stranger') },
          () => {
            socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
            socket.once('data', data => resolve(data.toString().startsWith('HTTP/1.1 200')))
          },
        )
        socket.on('error', reject)
      })
      expect(asked).toBe(true)
      expect((await post(gate, 'stranger', { 'x-commit-owner': 'human:alice' })).status).toBe(200)
    } finally {
      await gate.close()
    }
  })
})

describe('a listener that could not do what the strategy needs', () => {
  it('does not start', async () => {
    await expect(startTestGate({ identity: mtls() })).rejects.toThrow(/tls: not set/)
    await expect(startTestGate({ identity: mtls(), tls: pem('server') })).rejects.toThrow(/tls\.clientCa: not set/)
    await expect(startTestGate({ identity: firstPresented([mtls()]) })).rejects.toThrow(/tls: not set/)
  })

  it('plain http has no certificates', async () => {
    const gate = await startTestGate()
    try {
      expect((await chat(gate, JSON.parse(BODY))).status).toBe(200)
    } finally {
      await gate.close()
    }
  })
})
