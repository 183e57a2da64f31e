/** Passkeys as operators and approvers meet them: a gate started by `signet serve`, and the commands. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { newApiKey } from '../../src/identity/api-key.ts'
import { Authenticator } from '../support/authenticator.ts'
import { ask, type Served, signet, startServed } from '../support/served.ts'

const SOURCE = pathToFileURL(resolve(import.meta.dirname, '../../src/index.ts')).href
const ORIGIN = 'https://signet.example.com'
const KEYS = { bob: newApiKey(randomBytes), admin: newApiKey(randomBytes) }

let folder: string
let served: Served
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'signet-passkeys-'))
  const keys = Object.entries(KEYS).map(([who, { hash }]) => ({ hash, owner: `human:${who}@example.com` }))
  writeFileSync(join(folder, 'control.json'), JSON.stringify({ apiKey: { keys } }), { mode: 0o600 })
  for (const [who, { key }] of Object.entries(KEYS)) writeFileSync(join(folder, who), key, { mode: 0o600 })
  served = await startServed(folder, ['--control-port', '0'], {
    SIGNET_CONTROL_IDENTITY_FILE: join(folder, 'control.json'),
    SIGNET_APPROVERS: 'human:bob@example.com',
    SIGNET_ADMINS: 'human:admin@example.com',
    SIGNET_APPROVER_AUTH: 'passkey',
    SIGNET_PASSKEY_RP_ID: 'signet.example.com',
    SIGNET_CONTROL_ALLOWED_HOSTS: 'signet.example.com',
  })
})
afterAll(async () => {
  await served.stop()
  rmSync(folder, { recursive: true })
})

const command = (who: keyof typeof KEYS, ...args: string[]) =>
  signet(folder, [...args, '--control', served.control, '--token-file', join(folder, who)])

async function post<T>(path: string, body: object): Promise<T> {
  const res = await fetch(`${served.control}/api/v1${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEYS.bob.key}` },
    body: JSON.stringify(body),
  })
  expect(res.ok).toBe(true)
  return (await res.json()) as T
}

it('an admin invites, the approver registers and signs, and the evidence is verified from a file, against the log', async () => {
  expect((await command('bob', 'passkeys', 'invite', 'human:bob@example.com')).error).toMatch(/said no \(403\)/)
  const { out } = await command('admin', 'passkeys', 'invite', 'human:bob@example.com')
  const invitation = /invitation {2}(\S+)/.exec(out)?.[1] ?? ''
  const passkey = new Authenticator('EdDSA', ORIGIN)
  const options = await post<Parameters<Authenticator['create']>[0]>('/passkeys/registration', { invitation })
  const { id } = await post<{ id: string }>('/passkeys', {
    invitation,
    name: 'key ring',
    response: passkey.create(options),
  })
  expect((await command('bob', 'passkeys', 'list')).out).toContain('key ring')
  expect((await command('admin', 'passkeys', 'list', '--principal', 'human:bob@example.com')).out).toContain(id)

  const tools = [{ type: 'function', function: { name: 'issue_refund', parameters: { type: 'object' } } }]
  const held = await ask(served.url, 'human:alice@example.com', {
    tools,
    messages: [{ role: 'user', content: 'Refund $50,000 to account X' }],
  })
  const { escalation_id: e } = (await held.json()) as { escalation_id: string }
  expect((await command('bob', 'escalations', 'show', e)).out).toContain('approved    with a passkey only')
  const refused = await command('bob', 'escalations', 'approve', e)
  expect([refused.code, refused.error]).toEqual([1, expect.stringContaining('this is approved with a passkey only')])
  const { digest } = JSON.parse((await command('bob', 'escalations', 'show', e, '--json')).out) as { digest: string }
  const asked = await post<Parameters<Authenticator['get']>[0]>(`/escalations/${e}/passkey`, {
    decision: 'approve',
    digest,
  })
  await post(`/escalations/${e}/approve`, { digest, passkey: passkey.get(asked) })

  const file = join(folder, 'evidence.json')
  const log = join(folder, 'audit.jsonl')
  const kept = await command('bob', 'escalations', 'evidence', e, '--json')
  writeFileSync(file, kept.out)
  // No gate is asked from here on.
  const offline = (...args: string[]) => signet(folder, ['escalations', 'evidence', '--file', ...args])
  const good = await offline(file, '--audit-log', log)
  expect([good.code, good.error]).toEqual([0, ''])
  expect(good.out).toMatch(/approved {4}by human:bob@example\.com, known by api_key, passkey/)
  expect(good.out).toMatch(/signature {3}holds/)
  expect(good.out).toMatch(/this key as the approver's/)

  const document = JSON.parse(kept.out) as { decisions: { reason: string | null }[] }
  const bent = { ...document, decisions: document.decisions.map(d => ({ ...d, reason: 'another' })) }
  writeFileSync(join(folder, 'bent.json'), JSON.stringify(bent))
  const bad = await offline(join(folder, 'bent.json'))
  expect([bad.code, bad.error]).toEqual([1, expect.stringContaining('the evidence does not hold')])
  // A whole and honest document of somebody who signed for himself: the log knows no such thing.
  const rows = readFileSync(log, 'utf8').split('\n')
  writeFileSync(join(folder, 'other.jsonl'), `${rows.filter(r => !r.includes('passkey.registered')).join('\n')}`)
  const unknown = await offline(file, '--audit-log', join(folder, 'other.jsonl'))
  expect([unknown.code, unknown.error]).toEqual([1, expect.stringContaining('does not say the same')])
  expect(unknown.out).toContain('NOT this key')
  writeFileSync(join(folder, 'none.json'), '{"v":1}')
  expect((await offline(join(folder, 'none.json'))).error).toContain('no evidence of an escalation')

  // Ids may begin with `-`.
  const place = ['--control', served.control, '--token-file', join(folder, 'bob')]
  expect((await signet(folder, ['passkeys', 'revoke', ...place, '--', id])).out).toMatch(/taken away/)
  expect((await command('bob', 'passkeys', 'list')).out).toContain('no passkeys')
})

it('what can only be approved with a passkey is not served where there are none', async () => {
  const alone = join(folder, 'alone')
  mkdirSync(alone)
  writeFileSync(
    join(alone, 'pipeline.ts'),
    `import { definePipeline, ToolCallInspectorCheck } from '${SOURCE}'
export default definePipeline({ checks: [ new ToolCallInspectorCheck({ registry: { pay: { riskTier: 'high', irreversible: true, approverAuth: 'passkey' } } }) ] })
`,
  )
  await expect(startServed(alone)).rejects.toThrow(
    /^Error: passkeyRpId: not set, and tool_call_inspector has tools that are approved with a passkey only/m,
  )
})
