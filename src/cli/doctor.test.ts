import { writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { newFolder, signet } from './testing/command.test-support.ts'

describe('doctor', () => {
  const servers: Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
  })

  async function serving(answer: RequestListener): Promise<string> {
    const server = createServer(answer)
    servers.push(server)
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  }

  function gate(
    more: Readonly<Record<string, readonly [number, string, Readonly<Record<string, string>>?]>> = {},
  ): Promise<string> {
    const answers = {
      '/healthz': [200, '{"status":"ok","shadow":false}'],
      '/version': [200, '{"version":"9.9.9"}'],
      '/readyz': [200, '{"status":"ready"}'],
      '/v1/chat/completions': [403, '{"error":"refused"}', { 'x-signet-receipt': 'r' }],
      '/v1/models': [200, '{}'],
      ...more,
    } as Readonly<Record<string, readonly [number, string, Readonly<Record<string, string>>?]>>
    return serving((request, response) => {
      const [status, body, headers] = answers[request.url ?? ''] ?? [404, '{}']
      response.writeHead(status, headers).end(body)
    })
  }

  it('is content with a gate that refuses', async () => {
    const url = await gate()
    const { code, out } = await signet(['doctor', '--upstream', `${url}/v1`, '--self', url])
    expect(out).toContain('runs signet 9.9.9')
    expect(out).toContain('refused (403)')
    expect(code).toBe(0)
  })

  it.each<[string, Parameters<typeof gate>[0], string]>([
    ['lets an ownerless request through', { '/v1/chat/completions': [200, '{}'] }, 'loopback is trusted'],
    ['is in shadow', { '/v1/chat/completions': [200, '{}', { 'x-signet-shadow-decision': 'block' }] }, 'shadow is on'],
    ['does not know its name', { '/v1/chat/completions': [421, '{}'] }, 'allowedHosts'],
    [
      'is not ready',
      { '/readyz': [503, '{"reason":"the audit log cannot be written"}'] },
      'audit log cannot be written',
    ],
    ['has a version that is no JSON', { '/version': [200, '<html>'] }, 'names no version'],
    ['is something else', { '/healthz': [200, 'hello'] }, 'is this a signet gate'],
    ['forwards what it does not know', { '/v1/signet-doctor-unknown': [200, '{}'] }, 'must not be forwarded'],
    ['answers with escape sequences', { '/readyz': [503, '{"reason":"\\u001b[31m"}'] }, '\\x1b[31m'],
  ])('fails on a gate that %s', async (_name, answers, expected) => {
    const url = await gate(answers)
    const { code, out } = await signet(['doctor', '--self', url])
    expect(code).toBe(1)
    expect(out).toContain(expected)
    expect(out).not.toContain('\x1b')
  })

  it('is content with a gate that asks for a credential, and with what it says of owner headers', async () => {
    const url = await gate({ '/v1/chat/completions': [401, '{"error":"refused"}', { 'x-signet-receipt': 'r' }] })
    const { code, out } = await signet(['doctor', '--self', url])
    expect(out).toContain('refused (401)')
    expect(out).toMatch(/ok +identity: callers are verified/)
    expect(code).toBe(0)
    const probed = await signet(['doctor', '--self', url, '--probe-injection'])
    expect(probed.out).toMatch(/failed +injection probes: .*give one with --token-file/)
    expect(probed.code).toBe(1)
  })

  it('sends probes with a credential when it is given one', async () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'token'), 'sgk_1\n', { mode: 0o600 })
    let asked = 0
    const url = await serving((request, response) => {
      const isGiven = request.headers.authorization === 'Bearer sgk_1'
      if (isGiven) asked++
      const statuses = { '/v1/chat/completions': isGiven ? 403 : 401, '/v1/signet-doctor-unknown': 404 }
      const status = Object.entries(statuses).find(([path]) => path === request.url)?.[1] ?? 200
      response.writeHead(status).end('{"status":"ok","version":"9.9.9"}')
    })
    const { code, out } = await signet(['doctor', '--self', url, '--probe-injection', '--token-file', 'token'], {
      folder,
    })
    expect(out).toContain(`injection probes: all ${asked} refused`)
    expect(asked).toBeGreaterThan(50)
    expect(code).toBe(0)
  })

  it('fails on a gate that takes an owner header for a credential', async () => {
    const url = await serving((request, response) => {
      const answers: Readonly<Record<string, [number, string]>> = {
        '/healthz': [200, '{"status":"ok"}'],
        '/version': [200, '{"version":"9.9.9"}'],
        '/readyz': [200, '{}'],
        '/v1/chat/completions': [request.headers['x-commit-owner'] === undefined ? 401 : 200, '{}'],
      }
      const [status, body] = answers[request.url ?? ''] ?? [404, '{}']
      response.writeHead(status).end(body)
    })
    const { code, out } = await signet(['doctor', '--self', url])
    expect(out).toMatch(/failed +identity: an owner header without a credential got 200, expected 401/)
    expect(code).toBe(1)
  })

  it('fails on a gate that asks for less than the settings do', async () => {
    const url = await gate()
    const { code, out } = await signet(['doctor', '--self', url], { environment: { SIGNET_IDENTITY_FILE: 'i.json' } })
    const unset = { SIGNET_IDENTITY_FILE: ' ', SIGNET_UPSTREAM_URL: '' }
    expect((await signet(['doctor', '--self', url], { environment: unset })).code).toBe(0)
    expect(out).toMatch(/failed +identity: the settings here ask for credentials/)
    expect(code).toBe(1)
  })

  it('fails when nobody is there', async () => {
    const { code, out } = await signet([
      'doctor',
      '--self',
      'http://127.0.0.1:1',
      '--upstream',
      'http://127.0.0.1:1/v1',
      '--json',
    ])
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      results: [{ status: 'ok' }, { check: 'upstream', status: 'failed' }, { check: 'gate', status: 'failed' }],
    })
  })

  it('finds upstream and gate in a project folder', async () => {
    const folder = newFolder()
    const url = await gate()
    writeFileSync(join(folder, 'pipeline.ts'), '')
    writeFileSync(
      join(folder, '.env'),
      `SIGNET_UPSTREAM_URL="${url}/v1" # mine\nexport SIGNET_PORT=${new URL(url).port}\n`,
    )
    const { code, out } = await signet(['doctor'], { folder })
    expect(out).toContain(`${url} runs signet`)
    expect(code).toBe(0)
  })
})
