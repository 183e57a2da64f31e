import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { defaultPipeline } from '../config/default-pipeline.ts'
import { AUTHORITY, pem } from '../identity/certificates.test-support.ts'
import { startDemoUpstream } from '../upstream/demo/server.ts'
import { run } from './main.ts'

const root = mkdtempSync(join(tmpdir(), 'signet-serve-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let folders = 0
const newFolder = (): string => mkdtempSync(join(root, `${folders++}-`))

interface Running {
  readonly url: string
  /** Asks it to end; its exit code. */
  stop(): Promise<number>
  readonly written: { out: string; error: string }
}

/** Starts `signet serve` and waits until it listens, or ends with why it did not. */
async function serve(
  folder: string,
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<Running | { readonly code: number; readonly error: string }> {
  const written = { out: '', error: '' }
  const listening = Promise.withResolvers<string>()
  const asked = Promise.withResolvers<string>()
  const ended = run(['serve', '--port', '0', '--audit-log', join(folder, 'audit.jsonl'), ...args], {
    out: {
      write: (text: string) => {
        written.out += text
        const url = /https?:\/\/[0-9.:[\]]+/.exec(text)?.[0]
        if (url !== undefined) listening.resolve(url)
      },
    },
    error: { write: (text: string) => (written.error += text) },
    environment,
    folder,
    now: Date.now,
    input: async () => new Uint8Array(),
    asked: () => asked.promise,
  })
  const first = await Promise.race([listening.promise, ended])
  if (typeof first === 'number') return { code: first, error: written.error }
  return {
    url: first,
    written,
    stop: () => {
      asked.resolve('SIGTERM')
      return ended
    },
  }
}

async function started(...args: Parameters<typeof serve>): Promise<Running> {
  const running = await serve(...args)
  if ('code' in running) throw new Error(running.error)
  return running
}

/** One command in the folder of a running gate. */
async function signetIn(
  folder: string,
  args: readonly string[],
): Promise<{ readonly out: string; readonly error: string }> {
  const written = { out: '', error: '' }
  await run(args, {
    out: { write: (text: string) => (written.out += text) },
    error: { write: (text: string) => (written.error += text) },
    environment: {},
    folder,
    now: Date.now,
    input: async () => new Uint8Array(),
    asked: () => new Promise(() => undefined),
  })
  return written
}

const QUESTION = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'Hello' }] })

const ask = (url: string, headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: QUESTION,
  })

async function signet(
  folder: string,
  args: readonly string[],
): Promise<{ readonly code: number; readonly out: string; readonly error: string }> {
  const written = { out: '', error: '' }
  const code = await run(args, {
    out: { write: (text: string) => (written.out += text) },
    error: { write: (text: string) => (written.error += text) },
    environment: {},
    folder,
    now: Date.now,
    input: async () => new Uint8Array(),
    asked: async () => '',
  })
  return { code, ...written }
}

const SECRET = '0123456789abcdef'.repeat(4)
const DEV = ['--upstream', 'demo', '--dev']

describe('serve --dev', () => {
  it('gates from the first request, on loopback too, and writes a log that verifies with the keys it kept', async () => {
    const folder = newFolder()
    const first = await started(folder, DEV)
    const refused = await ask(first.url)
    expect(refused.status).toBe(403)
    expect(await refused.json()).toMatchObject({ check: 'owner_resolution', stage: 'admission' })
    expect((await ask(first.url, { 'x-commit-owner': 'human:alice' })).status).toBe(200)
    expect(await first.stop()).toBe(0)
    expect(first.written.out).toMatch(
      /pipeline: the default pipeline\n {2}owner_resolution \(admission\)\n {2}rate_limit/,
    )

    for (const name of ['chain.1.json', 'receipts.1.json'])
      expect(statSync(join(folder, '.signet', name)).mode & 0o777).toBe(0o600)
    const kept = readFileSync(join(folder, '.signet', 'chain.1.json'), 'utf8')
    const second = await started(folder, DEV)
    expect((await ask(second.url, { 'x-commit-owner': 'human:alice' })).status).toBe(200)
    await second.stop()
    expect(readFileSync(join(folder, '.signet', 'chain.1.json'), 'utf8')).toBe(kept)
    expect(await signet(folder, ['audit', 'verify'])).toMatchObject({ code: 0 })
  })

  it('goes on with the same log once the project has a key of its own', async () => {
    const folder = newFolder()
    await (await started(folder, DEV)).stop()
    const own = await started(folder, DEV, { SIGNET_HMAC_SECRET: SECRET })
    expect((await ask(own.url)).status).toBe(403)
    expect(await own.stop()).toBe(0)
    writeFileSync(join(folder, '.env'), `SIGNET_HMAC_SECRET=${SECRET}\n`, { mode: 0o600 })
    expect(await signet(folder, ['audit', 'verify'])).toMatchObject({ code: 0 })
  })

  it('reads .env', async () => {
    const folder = newFolder()
    writeFileSync(join(folder, '.env'), `SIGNET_UPSTREAM_URL=demo\nSIGNET_UPSTREAM_LABEL=from-dotenv\n`)
    const running = await started(folder, ['--dev'])
    expect((await ask(running.url)).headers.get('x-signet-upstream')).toBe('from-dotenv')
    await running.stop()
  })

  it('--shadow enforces nothing and says so', async () => {
    const running = await started(newFolder(), [...DEV, '--shadow'])
    const answer = await ask(running.url, { 'x-commit-owner': 'human:alice', 'x-classification': 'SECRET' })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('x-signet-shadow-decision')).toBe('block')
    await running.stop()
    expect(running.written.error).toContain('warning: shadow is on')
  })
})

describe('serve', () => {
  it('does not start when calls can be held and nobody may approve them', async () => {
    const running = await serve(newFolder(), ['--upstream', 'demo', '--allow-ephemeral-key'], {
      SIGNET_IDENTITY: 'asserted',
    })
    expect('code' in running && running.error).toMatch(
      /^Error: approvers: tool_call_inspector can hold calls .* or use --dev$/m,
    )
  })

  it('lets the approver that --dev made approve a held call, whose caller has waited', async () => {
    const folder = newFolder()
    const running = await started(folder, [...DEV, '--control-port', '0', '--on-escalate', 'hold'])
    const control = /(http:\/\/127\.0\.0\.1:\d+), key/.exec(running.written.out + running.written.error)?.[1] ?? ''
    const signet = async (...args: string[]) => {
      const { out, error } = await signetIn(folder, ['escalations', ...args, '--control', control])
      if (error !== '') throw new Error(error)
      return out
    }
    const tools = [{ type: 'function', function: { name: 'issue_refund', parameters: { type: 'object' } } }]
    const pending = fetch(`${running.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice' },
      body: JSON.stringify({
        model: 'demo',
        tools,
        messages: [{ role: 'user', content: 'Refund $50,000 to account X' }],
      }),
    })
    let id = ''
    for (let tries = 0; id === '' && tries < 500; tries += 1)
      id = /"id": "([0-9a-f-]{36})"/.exec(await signet('list', '--json'))?.[1] ?? ''
    expect(await signet('show', id)).toMatch(/call {8}issue_refund\n.*50000/)
    expect(await signet('approve', id)).toMatch(/it is approved/)
    expect(await (await pending).text()).toContain('issue_refund')
    const told = async (...args: string[]) => (await signetIn(folder, [...args, '--control', control])).error
    expect(await told('escalations', 'show', 'nope')).toMatch(/^Error: [^\n]*knows no such escalation[^\n]*\n$/)
    expect(await told('passkeys', 'list')).toMatch(/^Error: [^\n]*passkeyRpId[^\n]*\n$/)
    await running.stop()
  })

  it('tells callers only that they were refused', async () => {
    const folder = newFolder()
    const running = await started(folder, ['--upstream', 'demo', '--allow-ephemeral-key'], {
      SIGNET_IDENTITY: 'asserted',
      SIGNET_APPROVERS: 'human:bob@example.com',
    })
    const refused = await ask(running.url)
    expect(refused.status).toBe(403)
    expect(Object.keys((await refused.json()) as object)).toEqual(['error', 'correlation_id'])
    await running.stop()
    expect(existsSync(join(folder, '.signet'))).toBe(false)
    // The key that dies with the process is printed once, so that the log can be verified later.
    const [, id = '', hex = ''] = /--key-id (\S+) --hmac-secret (\S+)/.exec(running.written.error) ?? []
    expect(await signet(folder, ['audit', 'verify', '--key-id', id, '--hmac-secret', hex])).toMatchObject({ code: 0 })
  })

  it('holds an exchange for as long, and of an answer as much, as the settings say', async () => {
    const folder = newFolder()
    const tools = [{ type: 'function', function: { name: 'issue_refund', parameters: { type: 'object' } } }]
    const refund = (url: string) =>
      fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice' },
        body: JSON.stringify({ model: 'demo', tools, messages: [{ role: 'user', content: 'Refund $50,000 to X' }] }),
      })
    const patient = await started(folder, DEV, { SIGNET_ESCALATION_TTL_S: '7' })
    const before = Date.now()
    expect((await refund(patient.url)).status).toBe(202)
    const after = Date.now()
    await patient.stop()
    const [, until = ''] = /"_expires_at_ms":(\d+)/.exec(readFileSync(join(folder, 'audit.jsonl'), 'utf8')) ?? []
    expect(Number(until)).toBeGreaterThanOrEqual(before + 7000)
    expect(Number(until)).toBeLessThanOrEqual(after + 7000)

    const tight = await started(newFolder(), DEV, { SIGNET_MAX_HELD_BYTES: '10' })
    expect((await refund(tight.url)).status).not.toBe(202)
    await tight.stop()
  })

  it('logs JSON lines when asked', async () => {
    const running = await started(newFolder(), [...DEV, '--log-format', 'json'])
    await running.stop()
    const events = running.written.out
      .trim()
      .split('\n')
      .map(line => (JSON.parse(line) as { event: string }).event)
    expect(events).toEqual([
      'listening',
      'log',
      'control',
      'approver',
      'identity',
      'pipeline',
      ...defaultPipeline().checks.map(() => 'check'),
      'stopping',
      'stopped',
    ])
  })

  it.each<[string, readonly string[], Record<string, string>, RegExp]>([
    [
      'no keys and no identity',
      ['--upstream', 'demo'],
      {},
      /SIGNET_HMAC_SECRET: not set.*\n.*SIGNET_RECEIPT_KEY_FILE: not set.*\n.*SIGNET_IDENTITY: not set/,
    ],
    [
      'a short secret',
      DEV,
      { SIGNET_HMAC_SECRET: 'ab'.repeat(16) },
      /SIGNET_HMAC_SECRET: is 16 bytes long, expected at least 32/,
    ],
    ['a wrong scheme', ['--upstream', 'ftp://x', '--dev'], {}, /--upstream: "ftp:\/\/x" has the scheme/],
    [
      'a misspelt boolean',
      DEV,
      { SIGNET_STRICT_ERROR_REDACTION: 'ture' },
      /SIGNET_STRICT_ERROR_REDACTION: expected 1, true/,
    ],
    ['a misspelt setting', DEV, { SIGNET_UPSTREAM_LABLE: 'x' }, /did you mean SIGNET_UPSTREAM_LABEL/],
    [
      'a port out of range',
      [...DEV, '--port', '70000'],
      {},
      /--port: expected a whole number from 0 to 65535, got 70000/,
    ],
    [
      'a folder that is not there',
      [...DEV, '--audit-log', '/nope/nope/audit.jsonl'],
      {},
      /--audit-log: the folder "\/nope\/nope" does not exist/,
    ],
    [
      'a stored key on an open address',
      [...DEV, '--host', '0.0.0.0'],
      { SIGNET_UPSTREAM_API_KEY: 'sk-1' },
      /anybody who reaches the port spends it/,
    ],
    ['an address that is not here', [...DEV, '--host', '192.0.2.1'], {}, /192\.0\.2\.1 is no address of this machine/],
    ['an env file that is not there', [...DEV, '--env-file', 'nope.env'], {}, /nope\.env: cannot be read/],
    [
      'a receipt key that is none',
      DEV,
      { SIGNET_RECEIPT_KEY_FILE: fileURLToPath(import.meta.url) },
      /open to others|not a readable/,
    ],
  ])(
    'does not start with %s: one line per problem, no trace, no secret',
    async (_name, args, environment, expected) => {
      const running = await serve(newFolder(), args, environment)
      expect(running).toMatchObject({ code: 2, error: expect.stringMatching(expected) })
      if (!('code' in running)) return
      for (const line of running.error.trim().split('\n')) expect(line).toMatch(/^Error: /)
      expect(running.error).not.toContain('abababab')
    },
  )

  it('does not start on a taken port', async () => {
    const other = createServer()
    await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const running = await serve(newFolder(), [...DEV, '--port', String(port)])
    expect(running).toEqual({
      code: 2,
      error: `Error: port ${port} on 127.0.0.1 is taken; stop what listens there or choose another with --port\n`,
    })
    other.close()
  })

  it('refuses a log that another process writes, or that was cut short', async () => {
    const folder = newFolder()
    const running = await started(folder, DEV)
    await ask(running.url)
    expect(await serve(folder, DEV)).toMatchObject({ code: 2 })
    await running.stop()
    writeFileSync(join(folder, 'audit.jsonl'), '')
    expect(await serve(folder, DEV)).toMatchObject({
      code: 2,
      error: expect.stringMatching(/^Error: .*restore the log\n$/),
    })
  })
})

describe('serve with verified callers', () => {
  it('over TLS knows a caller by its certificate, and doctor is content', async () => {
    const folder = newFolder()
    const file = (name: string, text: string, mode: number): string => {
      writeFileSync(join(folder, name), text, { mode })
      return join(folder, name)
    }
    const { cert, key } = pem('server')
    const rules = [{ name: 'spiffe://example.org/agent/{id}', owner: 'agent:{id}' }]
    const running = await started(folder, DEV, {
      SIGNET_TLS_CERT_FILE: file('gate.crt', cert, 0o644),
      SIGNET_TLS_KEY_FILE: file('gate.key', key, 0o600),
      SIGNET_TLS_CLIENT_CA_FILE: file('clients-ca.crt', AUTHORITY, 0o644),
      SIGNET_IDENTITY_FILE: file('identity.json', JSON.stringify({ mtls: { san: 'uri', rules } }), 0o644),
    })
    expect(running.url).toMatch(/^https:/)
    expect(running.written.out).toContain('\ncallers: mtls\n')
    const statusWith = (holder: object): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const headers = { 'content-type': 'application/json', 'x-commit-owner': 'human:root' }
        request(
          `${running.url}/v1/chat/completions`,
          { method: 'POST', headers, ca: AUTHORITY, agent: false, ...holder },
          response => {
            response.resume()
            response.on('end', () => resolve(response.statusCode))
          },
        )
          .on('error', reject)
          .end(QUESTION)
      })
    expect(await statusWith({})).toBe(401)
    expect(await statusWith(pem('stranger'))).toBe(401)
    expect(await statusWith(pem('agent'))).toBe(200)

    // Its own certificate is enough to know it by, whoever issued that.
    const doctor = await signet(folder, ['doctor', '--self', running.url, '--ca', 'gate.crt'])
    expect(doctor.out).toContain('callers are verified')
    expect(doctor.code).toBe(0)
    const blind = await signet(folder, ['doctor', '--self', running.url])
    expect(blind).toMatchObject({
      code: 1,
      out: expect.stringMatching(/cannot be reached .*name its certificate.*--ca/),
    })
    writeFileSync(join(folder, 'stranger.crt'), pem('stranger').cert)
    const stranger = await signet(folder, ['doctor', '--self', running.url, '--ca', 'stranger.crt'])
    expect(stranger.code).toBe(1)
    expect(stranger.out).toContain('name its certificate, or the authority of that, with --ca FILE')
    const plain = await signet(folder, ['doctor', '--self', running.url.replace('https:', 'http:')])
    expect(plain.code).toBe(1)
    expect(plain.out).toContain('if the gate speaks TLS, give its https:// URL')
    expect(await running.stop()).toBe(0)
    const rows = readFileSync(join(folder, 'audit.jsonl'), 'utf8')
    expect(rows).toContain('"owner_id":"crawler-7"')
    expect(rows).not.toContain('"owner_id":"root"')
  })

  it('gives each provider its own key, and neither the key that named the caller', async () => {
    const seen: { who: string; headers: Readonly<Record<string, unknown>> }[] = []
    const upstream = (who: string) => startDemoUpstream({ onRequest: ({ headers }) => seen.push({ who, headers }) })
    const [openai, anthropic] = [await upstream('openai'), await upstream('anthropic')]
    const folder = newFolder()
    const made = await signet(folder, ['keys', 'generate', '--kind', 'api'])
    const [key = '', line = ''] = made.out.trim().split('\n')
    const entry = { ...(JSON.parse(line) as object), owner: 'agent:crawler-7' }
    writeFileSync(join(folder, 'identity.json'), JSON.stringify({ apiKey: { keys: [entry] } }), { mode: 0o600 })
    const running = await started(folder, ['--dev'], {
      SIGNET_IDENTITY_FILE: join(folder, 'identity.json'),
      SIGNET_UPSTREAM_URL: openai.url,
      SIGNET_UPSTREAM_API_KEY: 'sk-openai',
      SIGNET_ANTHROPIC_UPSTREAM_URL: anthropic.url,
      SIGNET_ANTHROPIC_UPSTREAM_API_KEY: 'sk-anthropic',
      SIGNET_ANTHROPIC_UPSTREAM_LABEL: 'the other one',
    })
    expect(running.written.out).toContain("Anthropic's surfaces -> the other one")
    const credentials = { authorization: `Bearer ${key}` }
    expect((await ask(running.url, credentials)).status).toBe(200)
    expect((await ask(running.url, { 'x-commit-owner': 'human:alice' })).status).toBe(401)
    const messages = await fetch(`${running.url}/v1/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': key },
      body: JSON.stringify({ model: 'demo', max_tokens: 8, messages: [{ role: 'user', content: 'Hello' }] }),
    })
    expect(messages.headers.get('x-signet-upstream')).toBe('the other one')
    await running.stop()
    await openai.close()
    await anthropic.close()
    expect(seen.map(({ who, headers }) => [who, headers['authorization'], headers['x-api-key']])).toEqual([
      ['openai', 'Bearer sk-openai', undefined],
      ['anthropic', undefined, 'sk-anthropic'],
    ])
    expect(JSON.stringify(seen)).not.toContain(key)
  })
})

describe('beside a running gate', () => {
  it('doctor is content, and every injection probe is refused', async () => {
    const running = await started(newFolder(), DEV)
    const { code, out } = await signet(root, [
      'doctor',
      '--upstream',
      'demo',
      '--self',
      running.url,
      '--probe-injection',
    ])
    expect(out).toMatch(/injection probes: all \d+ refused/)
    expect(out).toContain('refusal carries a receipt')
    expect(code).toBe(0)
    await running.stop()
  })

  it('doctor finds a gate in shadow', async () => {
    const running = await started(newFolder(), [...DEV, '--shadow'])
    const { code, out } = await signet(root, ['doctor', '--self', running.url])
    expect(out).toMatch(/failed +refusal: .*shadow is on/)
    expect(code).toBe(1)
    await running.stop()
  })

  it('receipt verify checks an answer with the public key, from the gate or from a file', async () => {
    const folder = newFolder()
    const key = await signet(folder, ['keys', 'generate', '--kind', 'ed25519', '--out', 'receipt.pem'])
    expect(key.code).toBe(0)
    const running = await started(folder, DEV, { SIGNET_RECEIPT_KEY_FILE: join(folder, 'receipt.pem') })
    const answer = await ask(running.url, { 'x-commit-owner': 'human:alice' })
    const receipt = answer.headers.get('x-signet-receipt') ?? ''
    writeFileSync(join(folder, 'response'), Buffer.from(await answer.arrayBuffer()))
    writeFileSync(join(folder, 'request'), QUESTION)
    writeFileSync(join(folder, 'receipt'), `${receipt}\n`)
    const verify = (...args: string[]) => signet(folder, ['receipt', 'verify', ...args])
    const jwks = `${running.url}/.well-known/jwks.json`
    const bytes = ['--request', 'request', '--response', 'response']
    expect(await verify(receipt, '--jwks', jwks, ...bytes)).toMatchObject({
      code: 0,
      out: expect.stringContaining('the request and the response'),
    })
    expect(
      JSON.parse((await verify('--file', 'receipt', '--jwks', 'receipt.pem.pub', '--final', '--json')).out),
    ).toMatchObject({ ok: true, claims: { decision: 'allow', final: true } })
    writeFileSync(join(folder, 'jwks.json'), await (await fetch(jwks)).text())
    expect(await verify('--file', 'receipt', '--jwks', 'jwks.json')).toMatchObject({ code: 0 })

    expect(await verify(receipt, '--jwks', jwks, '--request', 'response')).toMatchObject({
      code: 1,
      error: expect.stringContaining('request_mismatch'),
    })
    expect(await verify(receipt, '--jwks', jwks, '--issuer', 'other')).toMatchObject({ code: 1 })
    expect(await verify(`${receipt.slice(0, -4)}AAAA`, '--jwks', jwks)).toMatchObject({ code: 1 })
    expect(await verify('signet=v1; alg=ed25519', '--jwks', jwks)).toMatchObject({ code: 1 })
    await running.stop()
    expect(await verify(receipt, '--jwks', jwks)).toMatchObject({ code: 2 })
    expect(await verify(receipt, '--jwks', 'receipt.pem')).toMatchObject({
      code: 2,
      error: expect.stringContaining('holds a private key'),
    })
    expect(await verify(receipt, '--jwks', 'response')).toMatchObject({ code: 2 })
    expect(await verify(receipt, '--jwks', 'nope')).toMatchObject({ code: 2 })
    expect(await verify('--jwks', 'jwks.json')).toMatchObject({ code: 2 })
  })

  it('bench measures a gate of its own beside its upstream and leaves nothing behind', async () => {
    const folder = newFolder()
    const { code, out, error } = await signet(folder, [
      'bench',
      '--requests',
      '4',
      '--concurrency',
      '2',
      '--format',
      'json',
      '--gate',
      'p99=10s',
    ])
    expect(code).toBe(0)
    expect(error).toContain('kept p99=10s')
    expect(JSON.parse(out)).toMatchObject({
      schema_version: 1,
      requests: 4,
      results: [
        { name: 'gate', failed: 0 },
        { name: 'upstream alone', failed: 0 },
      ],
    })
    expect((await signet(folder, ['bench', '--requests', '2', '--no-baseline', '--gate', 'p1=0us'])).code).toBe(1)
    expect((await signet(folder, ['bench', '--url', 'http://127.0.0.1:1', '--requests', '1'])).code).toBe(1)
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('the default pipeline', () => {
  it('is not empty, trusts no network, and allows no tool', () => {
    const names = defaultPipeline().checks.map(({ name }) => name)
    expect(names).toContain('owner_resolution')
    expect(names).toContain('prompt_injection')
    expect(names).not.toContain('loopback_trust')
    const inspector = defaultPipeline().checks.find(({ name }) => name === 'tool_call_inspector')
    expect(inspector?.describe()).toMatchObject({
      options: { registry: [], allowUnregistered: false, allowCritical: false },
    })
  })

  it('knows the tools of the demo model when that is upstream', () => {
    const inspector = defaultPipeline({ demo: true }).checks.find(({ name }) => name === 'tool_call_inspector')
    expect(inspector?.describe()).toMatchObject({
      options: {
        registry: [
          { tool: 'delete_account', riskTier: 'critical', irreversible: true },
          { tool: 'get_weather', riskTier: 'low', irreversible: false },
          { tool: 'issue_refund', riskTier: 'high', irreversible: true },
          { tool: 'search_orders', riskTier: 'low' },
          { tool: 'send_email', riskTier: 'medium' },
        ],
      },
    })
  })
})
