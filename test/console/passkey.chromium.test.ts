/** A call that is approved with a passkey only, approved in the console: Chromium's virtual authenticator signs the decision. */
import { createServer } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { holds, verifyEvidence } from '../../src/escalation/verify-evidence.ts'
import { type ConsoleStand, startConsole } from './stand.ts'

let s: ConsoleStand
let origin: string

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  await new Promise(done => server.close(done))
  return typeof address === 'object' && address !== null ? address.port : 0
}

beforeAll(async () => {
  const port = await freePort()
  origin = `http://localhost:${String(port)}`
  s = await startConsole({
    controlPort: port,
    passkeyRpId: 'localhost',
    passkeyRegistration: 'self',
    approverAuth: 'passkey',
  })
})
afterAll(() => s.close())

it('the browser asks for it, and its signature verifies later', async () => {
  const page = await s.open('', origin)
  const cdp = await s.browser.newCDPSession(page)
  await cdp.send('WebAuthn.enable')
  await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
  const registered = await page.evaluate(`(async () => {
    const post = async (path, body) => (await fetch(path, {
      method: 'POST', headers: { authorization: 'Bearer ' + ${JSON.stringify(s.token('approver'))} }, body: JSON.stringify(body),
    })).json()
    const options = await post('/api/v1/passkeys/registration', {})
    const made = await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
    return post('/api/v1/passkeys', { name: 'laptop', response: made.toJSON() })
  })()`)
  expect(registered).toMatchObject({ name: 'laptop' })

  await page.getByLabel('Token').fill(s.token('approver'))
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
  const answer = s.ask([{ name: 'issue_refund', arguments: '{"amount":1200,"account":"ACC-7"}' }])
  const [e] = await s.waiting(1)
  await page.goto(`${origin}/console/#/approvals/${e?.id}`)
  await page.getByText('with a passkey').waitFor()
  await page.getByText('computed here').waitFor()
  await page.getByRole('button', { name: /Approve/ }).click()
  await page.getByRole('dialog').getByLabel('Reason (optional)').fill('ticket 8')
  await page.getByRole('button', { name: 'Approve with a passkey' }).click()
  expect((await answer).choices[0]?.message.tool_calls).toHaveLength(1)
  await page.locator('.decisions').getByText('by api_key, passkey').waitFor()
  await s.shot(page, 'passkey')
  const report = await verifyEvidence(await (await s.api('viewer', `/api/v1/escalations/${e?.id}/evidence`)).json())
  expect(report?.decisions).toMatchObject([{ verdict: 'signed', evidence: { origin } }])
  expect(report !== undefined && holds(report)).toBe(true)
  expect(s.complaints).toEqual([])
})
