/**
 * The whole story, with nothing replaced: an agent asks through the vendor's SDK, the call is held, a person approves it in
 * Chromium, the SDK's call returns, the executor verifies the capability, and a second use is refused. And what is hostile
 * in arguments is harmless wherever a person sees it.
 */
import { readFileSync } from 'node:fs'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { capabilityOf, MemoryReplayStore, remoteJwks, requireCapability } from '../../src/capability/index.ts'
import { consoleLink } from '../../src/notify/shown.ts'
import { type ConsoleStand, OWNER, PAY, PEOPLE, startConsole } from './stand.ts'

let s: ConsoleStand
let bob: Page
beforeAll(async () => {
  s = await startConsole()
  bob = await s.signedIn('approver')
})
afterAll(() => s.close())

const rows = () =>
  readFileSync(s.logPath, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as { owner_id: string; metadata: Record<string, unknown> })

it('asked, held, approved with a click and a second one, returned, verified, and not twice', async () => {
  await bob.goto(`${s.control}/console/#/approvals`)
  await bob.getByText('Nothing waits').waitFor()
  await s.shot(bob, 'approvals-empty')
  const answer = s.ask([{ name: 'issue_refund', arguments: '{"amount":1200,"account":"ACC-7"}' }])
  // It comes by itself: the page is told of the change.
  await bob.getByRole('heading', { name: 'A tool call is held' }).waitFor()
  await bob.getByText('computed here').waitFor()
  await s.shot(bob, 'story-held')
  await bob.getByRole('button', { name: /Approve/ }).click()
  const dialog = bob.getByRole('dialog')
  await dialog.getByText('Let this happen?').waitFor()
  await dialog.getByLabel('Reason (optional)').fill('ticket 7')
  await s.shot(bob, 'story-confirm')
  const [sent] = await Promise.all([
    bob.waitForRequest(request => request.url().endsWith('/approve')),
    dialog.getByRole('button', { name: 'Approve this call' }).click(),
  ])
  const { digest } = JSON.parse(sent.postData() ?? '{}') as { digest: string }
  await bob.getByRole('dialog').waitFor({ state: 'detached' })

  const call = (await answer).choices[0]?.message.tool_calls?.[0]
  if (call?.type !== 'function') throw new Error('the SDK got no call')
  const paid: unknown[] = []
  const refund = requireCapability(
    'issue_refund',
    async (args: unknown) => {
      paid.push(args)
      return 'paid'
    },
    {
      keys: remoteJwks(`${s.serving.url}/.well-known/jwks.json`),
      issuer: 'signet',
      audience: PAY,
      replay: new MemoryReplayStore(),
    },
  )
  const permit = { capability: capabilityOf(call), argumentsText: call.function.arguments }
  expect(await refund(permit)).toBe('paid')
  await expect(refund(permit)).rejects.toMatchObject({ code: 'already_used' })
  expect(paid).toEqual([{ amount: 1200, account: 'ACC-7' }])

  // What was approved is what was held, by whom and why; and so was the sign-in.
  const decided = rows().find(r => r.metadata['_check_name'] === 'escalation.decided')
  expect(decided).toMatchObject({
    owner_id: 'bob@example.com',
    metadata: { _approval_digest: digest, _decision_reason: 'ticket 7' },
  })
  expect(rows().filter(r => r.metadata['_check_name'] === 'session.opened')).toMatchObject([
    { owner_id: 'bob@example.com' },
  ])
})

const HOSTILE = {
  account: 'ACC-\u202e7-CCA\u2066\u200b',
  note: 'p\u0430ypal <img src=x onerror=alert(1)> <!channel> *bold* <https://evil.example|click> \u001b[2J\u001b]0;owned\u0007',
  ['\u202eyek']: 'z\u0300\u0301\u0302\u0303\u0304algo',
  amount: 9007199254740994,
  long: 'x'.repeat(3000),
}

it('bidi, ANSI, HTML, mrkdwn, look-alikes and towers of marks are shown, and do nothing, wherever they are shown', async () => {
  const answer = s
    .ask([{ name: 'wire_money', arguments: JSON.stringify(HOSTILE) }])
    .catch((e: { status?: number }) => e.status)
  const [e] = await s.waiting(1)
  await bob.goto(`${s.control}/console/#/approvals/${e?.id}`)
  const shown = bob.locator('article')
  await shown.getByText('Look closely.').waitFor()
  await s.shot(bob, 'hostile')
  const text = (await shown.textContent()) ?? ''
  for (const chip of [
    'U+202E RLO',
    'U+2066 LRI',
    'U+200B ZWSP',
    'U+001B ESC',
    'U+0430',
    'U+0302',
    '9007199254740994',
    'beyond 2⁵³',
  ])
    expect(text).toContain(chip)
  expect(text).toContain('<img src=x onerror=alert(1)>')
  expect(text).toContain('all 3,000 characters')
  // Not one of them is in the page as itself, nor did any become an element.
  const inPage = await bob.evaluate(
    `document.body.innerText + [...document.querySelectorAll('[title]')].map(e => e.title).join('')`,
  )
  expect(inPage).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u200b\u001b\u0007]/)
  expect(await bob.locator('article img, article a[href*="evil"]').count()).toBe(0)
  await bob.getByRole('button', { name: /Show as written/ }).click()
  expect(await bob.locator('pre.raw').textContent()).toContain('U+202E RLO')
  // What came over the wire can be read in a terminal.
  for (const path of ['', '/proposal', '/evidence']) {
    const wire = await (await s.api('viewer', `/api/v1/escalations/${e?.id}${path}`)).text()
    expect(wire).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u200b\u0000-\u0009\u000b-\u001f]/)
  }
  await bob.keyboard.press('d')
  const dialog = bob.getByRole('dialog')
  await dialog.getByText('Deny it?').waitFor()
  await dialog.getByRole('button', { name: 'Deny' }).click()
  await dialog.getByText('Say why').waitFor()
  await dialog.getByLabel('Reason').fill('looks like \u202esomething else')
  await dialog.getByRole('button', { name: 'Deny' }).click()
  await bob.getByRole('dialog').waitFor({ state: 'detached' })
  expect(await answer).toBe(403)
  await bob.locator('.decisions').getByText('denied').waitFor()
  expect(await bob.locator('.decisions').textContent()).toContain('looks like \\u202esomething else')
})

it('what is different from the call before stands beside it', async () => {
  const answer = s
    .ask([{ name: 'issue_refund', arguments: '{"amount":99999,"account":"ACC-7","urgent":true}' }])
    .catch(() => undefined)
  const [e] = await s.waiting(1)
  await bob.goto(`${s.control}/console/#/approvals/${e?.id}`)
  await bob.locator('.line.changed').getByText('99999').waitFor()
  expect(await bob.locator('.line.changed').textContent()).toContain('was 1200')
  expect(await bob.locator('.line.new').textContent()).toContain('urgent')
  await s.shot(bob, 'difference')
  await s.api('second', `/api/v1/escalations/${e?.id}/deny`, {
    method: 'POST',
    body: JSON.stringify({ digest: await digestOf(e?.id ?? ''), reason: 'no' }),
  })
  // Somebody else was faster: the page says so, and offers nothing any more.
  await bob.getByText('Nothing is left to decide.').waitFor()
  expect(await bob.getByRole('button', { name: /Approve/ }).count()).toBe(0)
  await answer
})

it('arguments that were changed on the way are not shown as the proposal, and cannot be approved', async () => {
  const answer = s.ask([{ name: 'issue_refund', arguments: '{"amount":5,"account":"ACC-1"}' }]).catch(() => undefined)
  const [e] = await s.waiting(1)
  await bob.route('**/proposal', async route => {
    const res = await route.fetch()
    await route.fulfill({ response: res, body: (await res.text()).replace('\\"amount\\":5', '\\"amount\\":4') })
  })
  await bob.goto(`${s.control}/console/#/approvals/${e?.id}`)
  await bob.getByText('What came is not what an approval would allow.').waitFor()
  await s.shot(bob, 'not-intact')
  expect(await bob.getByRole('button', { name: /Approve/ }).isDisabled()).toBe(true)
  await bob.keyboard.press('a')
  expect(await bob.getByRole('dialog').count()).toBe(0)
  await bob.unroute('**/proposal')
  await s.api('approver', `/api/v1/escalations/${e?.id}/deny`, {
    method: 'POST',
    body: JSON.stringify({ digest: await digestOf(e?.id ?? ''), reason: 'no' }),
  })
  await answer
})

it('one approves in the page while another decides: whoever is second is told that it changed', async () => {
  const answer = s.ask([{ name: 'issue_refund', arguments: '{"amount":6,"account":"ACC-1"}' }]).catch(() => undefined)
  const [e] = await s.waiting(1)
  await bob.goto(`${s.control}/console/#/approvals/${e?.id}`)
  await bob.getByRole('button', { name: /Approve/ }).click()
  // The other's decision is made between the click and the arrival of this one.
  await bob.route('**/approve', async route => {
    await s.api('second', `/api/v1/escalations/${e?.id}/deny`, {
      method: 'POST',
      body: JSON.stringify({ digest: await digestOf(e?.id ?? ''), reason: 'no' }),
    })
    await route.continue()
  })
  await bob.getByRole('dialog').getByRole('button', { name: 'Approve this call' }).click()
  await bob.locator('.decisions').getByText('denied').waitFor()
  await bob.getByText('Nothing is left to decide.').waitFor()
  expect(((await (await s.api('viewer', `/api/v1/escalations/${e?.id}`)).json()) as { state: string }).state).toBe(
    'denied',
  )
  await answer
})

it('the link of a notice asks who is there, and then shows that proposal', async () => {
  const answer = s.ask([{ name: 'issue_refund', arguments: '{"amount":8,"account":"ACC-1"}' }]).catch(() => undefined)
  const [e] = await s.waiting(1)
  const link = consoleLink(s.control, e?.id ?? '') ?? ''
  const stranger = await s.browser.newPage()
  await stranger.goto(link)
  await stranger.getByLabel('Token').waitFor()
  expect(await stranger.content()).not.toContain('issue_refund')
  await stranger.getByLabel('Token').fill(s.token('second'))
  await stranger.getByRole('button', { name: 'Sign in' }).click()
  await stranger.getByRole('heading', { name: 'A tool call is held' }).waitFor()
  await stranger.getByText('ACC-1').first().waitFor()
  expect(stranger.url()).toBe(link)
  await s.api('approver', `/api/v1/escalations/${e?.id}/deny`, {
    method: 'POST',
    body: JSON.stringify({ digest: await digestOf(e?.id ?? ''), reason: 'no' }),
  })
  await answer
})

it('nothing was loaded from elsewhere, and no page complained', () => {
  expect(PEOPLE.approver).not.toBe(OWNER)
  expect(s.complaints).toEqual([])
})

async function digestOf(id: string): Promise<string> {
  return ((await (await s.api('viewer', `/api/v1/escalations/${id}`)).json()) as { digest: string }).digest
}
