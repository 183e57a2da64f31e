/**
 * Passkeys in a real browser: Chromium with a virtual authenticator runs the calls of docs/escalations.md, as they stand
 * there, on a page of the control plane's own origin.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { holds, verifyEvidence } from '../../src/escalation/verify-evidence.ts'
import { type Stand, startStand } from './stand.ts'

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']
const MORE_FLAGS = ['--disable-component-update', '--disable-sync']

/** The calls, as the page of the documents has them. */
function documentedCalls(): string {
  const page = readFileSync(resolve(import.meta.dirname, '../../docs/escalations.md'), 'utf8')
  const code = /```js\n(.*?)```/s.exec(page)?.[1]
  if (code === undefined) throw new Error('docs/escalations.md shows no calls')
  return code
}

let s: Stand
let origin: string
let profile: string
let browser: BrowserContext
let page: Page

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  await new Promise(done => server.close(done))
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** A page with the documented calls on it, and an authenticator that verifies its user or does not. */
async function openPage(at: string, isUserVerified = true): Promise<Page> {
  const opened = await browser.newPage()
  await opened.route(`${at}/page`, route => route.fulfill({ contentType: 'text/html', body: '<title>approve</title>' }))
  await opened.goto(`${at}/page`)
  await opened.addScriptTag({ content: documentedCalls() })
  const cdp = await browser.newCDPSession(opened)
  await cdp.send('WebAuthn.enable')
  await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified,
      automaticPresenceSimulation: true,
    },
  })
  return opened
}

beforeAll(async () => {
  const port = await freePort()
  origin = `http://localhost:${String(port)}`
  s = await startStand({ port, origins: [origin], approvers: ['human:bob'], auth: 'passkey' })
  profile = mkdtempSync(join(tmpdir(), 'signet-chromium-'))
  browser = await chromium.launchPersistentContext(profile, {
    executablePath: '/usr/bin/chromium',
    headless: true,
    args: [...FLAGS, ...MORE_FLAGS],
  })
  page = await openPage(origin)
})
afterAll(async () => {
  await browser.close()
  await s.close()
  rmSync(profile, { recursive: true, force: true })
})

async function invitation(): Promise<string> {
  const res = await s.call('POST', '/api/v1/passkeys/invitations', 'admin', { principal: 'human:bob' })
  return ((await res.json()) as { invitation: string }).invitation
}

/** Runs one of the documented calls in the page: what it gives, or the message of what it throws. */
async function run(on: Page, call: string): Promise<unknown> {
  return on.evaluate(`(async () => { try { return await ${call} } catch (e) { return String(e.message ?? e) } })()`)
}

it('a passkey made in a browser approves what is shown, and its signature verifies later', async () => {
  const token = JSON.stringify(s.token('bob'))
  const made = await run(page, `register(${token}, ${JSON.stringify(await invitation())}, 'laptop')`)
  expect(made).toMatchObject({ principal: 'human:bob', name: 'laptop', synced: false })

  const e = await s.hold()
  expect(await run(page, `decide(${token}, '${e.id}', '${e.digest}', 'approve', 'ticket 7')`)).toMatchObject({
    state: 'approved',
    decisions: [{ by: 'api_key, passkey', reason: 'ticket 7' }],
  })
  const document = await (await s.call('GET', `/api/v1/escalations/${e.id}/evidence`, 'viewer')).json()
  const report = await verifyEvidence(document)
  expect(report?.decisions).toMatchObject([{ verdict: 'signed', evidence: { origin, rpId: 'localhost' } }])
  expect(report !== undefined && holds(report)).toBe(true)

  const other = await s.hold()
  expect(await run(page, `decide(${token}, '${other.id}', '${other.digest}', 'deny', 'not this one')`)).toMatchObject({
    state: 'denied',
  })
})

it('an authenticator that cannot verify its user registers nothing', async () => {
  const careless = await openPage(origin, false)
  const made = await run(
    careless,
    `register(${JSON.stringify(s.token('bob'))}, ${JSON.stringify(await invitation())}, 'x')`,
  )
  expect(made).toEqual(expect.any(String))
  expect(await s.passkeys.list('human:bob')).toHaveLength(1)
  await careless.close()
})

it('a page of another origin gets nowhere with a good token', async () => {
  const elsewhere = await openPage('http://elsewhere.localhost:1')
  const token = JSON.stringify(s.token('bob'))
  const call = `fetch('${origin}/api/v1/me', { headers: { authorization: 'Bearer ' + ${token} } }).then(r => r.status)`
  expect(await run(elsewhere, call)).toEqual(expect.stringMatching(/fetch/i))
  await elsewhere.close()
})
