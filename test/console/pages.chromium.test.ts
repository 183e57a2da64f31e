/** Every page of the console in Chromium, in both themes: it stands, axe finds nothing against WCAG AA, nothing leaves the origin. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ConsoleStand, OWNER, startConsole } from './stand.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']

let s: ConsoleStand
let page: Page
/** What callers still wait for when the suite ends. */
const held: Promise<unknown>[] = []

beforeAll(async () => {
  s = await startConsole()
  const say = (content: string, owner: string) =>
    s.openai(owner).chat.completions.create({ model: 'demo', messages: [{ role: 'user', content }] })
  for (const owner of [OWNER, 'agent:support-bot', 'human:dave@example.com', OWNER, OWNER])
    await say('Say hello', owner)
  await say('my password is hunter21234', OWNER)
  await s.ask([{ name: 'delete_everything', arguments: '{}' }])
  const first = s.ask([{ name: 'issue_refund', arguments: '{"amount":120,"account":"ACC-1","note":"late delivery"}' }])
  const [one] = await s.waiting(1)
  const { digest } = (await (await s.api('viewer', `/api/v1/escalations/${one?.id}`)).json()) as { digest: string }
  await s.api('approver', `/api/v1/escalations/${one?.id}/approve`, {
    method: 'POST',
    body: JSON.stringify({ digest }),
  })
  await first
  held.push(
    s
      .ask([{ name: 'issue_refund', arguments: '{"amount":1200,"account":"ACC-9","lines":[{"sku":"A1","n":2}]}' }])
      .catch(() => undefined),
  )
  await s.waiting(1)
  page = await s.signedIn('admin')
})
afterAll(async () => {
  await s.close()
  await Promise.all(held)
})

async function violations(on: Page): Promise<readonly string[]> {
  // In the debugger's world: the page's own policy, which takes no script of anybody, stays as it is.
  await on.evaluate(AXE)
  const found: unknown = await on.evaluate(
    `axe.run(document, { runOnly: ${JSON.stringify(RULES)} }).then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 160) + ' ' + n.any.map(a => a.message).join(';')).join(' | ')))`,
  )
  return found as readonly string[]
}

const PAGES = [
  ['overview', '#/overview', 'Decisions'],
  ['live', '#/live', 'Row'],
  ['approvals', '#/approvals', 'A tool call is held'],
  ['audit', '#/audit', 'Reason'],
  ['audit-row', '#/audit/3', 'verified in this browser'],
  ['receipts', '#/receipts', 'Paste the header'],
  ['pipeline', '#/pipeline', 'tool_call_inspector'],
  ['health', '#/health', 'Witnesses'],
] as const

it('counts what was blocked in decisions, and makes no share of requests of it', async () => {
  await page.goto(`${s.control}/console/#/overview`)
  await page.getByText('decisions, also several of one request').waitFor()
  expect(await page.locator('dl.tiles').innerText()).not.toContain('%')
})

it('says what each number counts, and of how long', async () => {
  await page.goto(`${s.control}/console/#/overview`)
  await page.getByRole('button', { name: '1h', exact: true }).click()
  await page.getByRole('img', { name: /^Decisions, per minute\. / }).waitFor()
  await page.getByRole('img', { name: /^Tokens, per minute\. / }).waitFor()
  for (const name of ['Check', 'Decisions', 'Owner', 'Tokens', 'Answers'])
    await page.getByRole('columnheader', { name, exact: true }).first().waitFor()
})

it('names the keys that executors verify with', async () => {
  await page.goto(`${s.control}/console/#/health`)
  const health = (await (await s.api('admin', '/api/v1/health')).json()) as {
    readonly capability_keys: { readonly signing: string }
  }
  const { keys } = (await (await fetch(`${s.serving.url}/.well-known/jwks.json`)).json()) as {
    readonly keys: readonly { readonly kid: string; readonly signet_purpose: string }[]
  }
  const kid = keys.find(key => key.signet_purpose === 'capabilities')?.kid ?? ''
  expect(health.capability_keys.signing).toBe(kid)
  const card = page.locator('section.card', { has: page.getByRole('heading', { name: 'Keys of capabilities' }) })
  await card.getByText(kid.slice(0, 22)).waitFor()
  await card.getByText('signs now').waitFor()
})

it('what is decided is not said to be held', async () => {
  await page.goto(`${s.control}/console/#/approvals`)
  await page.getByRole('button', { name: 'Decided' }).click()
  await page.getByRole('heading', { level: 2, name: 'A tool call', exact: true }).waitFor()
  await page.getByText('Nothing is left to decide.').waitFor()
  await page.getByText('as the caller says; not verified').waitFor()
  await s.shot(page, 'decided')
})

describe.each(['light', 'dark'])('%s', theme => {
  it.each(PAGES)('%s', async (name, fragment, text) => {
    await page.goto(`${s.control}/console/${fragment}`)
    await page.getByLabel('Colours').selectOption(theme)
    await page.getByText(text).first().waitFor()
    if (name === 'overview') await page.getByRole('button', { name: '1h', exact: true }).click()
    await page.getByText('Reading…').waitFor({ state: 'detached' })
    expect(await violations(page)).toEqual([])
    await s.shot(page, `${name}-${theme}`)
  })

  it('sign-in', async () => {
    const other = await s.open()
    await other.evaluate(`localStorage.setItem('signet.theme', '${theme}')`)
    await other.reload()
    await other.getByLabel('Token').waitFor()
    expect(await violations(other)).toEqual([])
    await s.shot(other, `sign-in-${theme}`)
    await other.close()
  })
})

it('the keys go everywhere: pages, rows, search, help', async () => {
  await page.goto(`${s.control}/console/#/overview`)
  const heading = (name: string) => page.getByRole('heading', { level: 1, name }).waitFor()
  for (const [key, name] of [
    ['l', 'Live'],
    ['a', 'Approvals'],
    ['u', 'Audit log'],
    ['r', 'Receipts'],
    ['p', 'Pipeline'],
    ['h', 'Keys and log'],
    ['o', 'Overview'],
  ] as const) {
    await page.keyboard.press('g')
    await page.keyboard.press(key)
    await heading(name)
  }
  await page.keyboard.press('/')
  await heading('Audit log')
  await page.getByRole('table', { name: 'Rows found' }).waitFor()
  await page.keyboard.press('j')
  await page.keyboard.press('j')
  // The address is there a moment before the page that it names.
  const chosen = async () => `#/audit/${await page.locator('tr.chosen').getByRole('button').textContent()}`
  await expect.poll(async () => page.url().endsWith(await chosen())).toBe(true)
  await page.keyboard.press('Escape')
  await page.locator('aside.detail').waitFor({ state: 'detached' })
  await page.keyboard.press('?')
  await page.getByRole('dialog', { name: 'Keys' }).waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
})

it('search: by field, by decision, by text, by exchange', async () => {
  await page.goto(`${s.control}/console/#/audit`)
  const found = page.getByRole('table', { name: 'Rows found' }).locator('tbody tr')
  const search = async (line: string) => {
    await page.getByLabel('Search the log').fill(line)
    await page.keyboard.press('Enter')
    await expect.poll(() => new URLSearchParams(new URL(page.url()).hash.split('?')[1]).get('q')).toBe(line)
    await found.first().waitFor()
  }
  await search('check:regex_content')
  // The rows of the search before may stand there until the answer comes.
  await expect.poll(() => found.allTextContents()).toEqual([expect.stringContaining('redact')])
  await search('owner:agent:support-bot')
  await expect.poll(async () => (await found.allTextContents()).every(t => t.includes('support-bot'))).toBe(true)
  await search('delete_everything decision:block')
  await expect.poll(() => found.count()).toBe(1)
  await found.first().click()
  await page.getByRole('link', { name: 'all its rows' }).click()
  await expect.poll(() => found.count()).toBe(3)
  await page.getByLabel('Search the log').fill('no such text anywhere')
  await page.keyboard.press('Enter')
  await page.getByText('No row like that').waitFor()
})

it('the pipeline says how long each check takes, at each stage', async () => {
  await page.goto(`${s.control}/console/#/pipeline`)
  const row = page.getByRole('row').filter({ hasText: 'tool_call_inspector' })
  await expect.poll(() => row.locator('.took').count()).toBeGreaterThan(0)
  expect(await row.locator('.took').first().textContent()).toMatch(/^[\d.]+ (µs|ms|s) · [\d.]+ (µs|ms|s)$/)
  await row.getByRole('button').click()
  const times = page.getByRole('table').filter({ hasText: 'Time to answer' }).last()
  await times.getByRole('row').filter({ hasText: 'commitment' }).waitFor()
  await s.shot(page, 'pipeline-times')
})

it('a receipt is verified in the browser, and one that was changed is not', async () => {
  const { response } = await s
    .openai()
    .chat.completions.create({ model: 'demo', messages: [{ role: 'user', content: 'Say hello' }] })
    .withResponse()
  const receipt = response.headers.get('x-signet-receipt') ?? ''
  await page.goto(`${s.control}/console/#/receipts`)
  await page.getByLabel('Paste the header').fill(`X-Signet-Receipt: ${receipt}`)
  await page.getByText('The signature holds.').waitFor()
  await s.shot(page, 'receipt')
  await page.getByLabel('Paste the header').fill(receipt.replace(/.(?=\.[^.]*$)/, c => (c === 'A' ? 'B' : 'A')))
  await page.getByText('Do not rely on it.').waitFor()
})

it('a row whose bytes on the way were changed is not proved', async () => {
  const other = await s.signedIn('viewer')
  await other.route('**/api/v1/rows?*', async route => {
    const res = await route.fetch()
    await route.fulfill({
      response: res,
      body: (await res.text()).replaceAll(/admission cleared|request completed/g, 'nothing to see'),
    })
  })
  await other.goto(`${s.control}/console/#/audit/3`)
  await other.locator('aside.detail').getByText('nothing to see').waitFor()
  await other.getByText('This row is not proved.').waitFor()
  await s.shot(other, 'audit-row-changed')
  await other.close()
})

it('who may not, is not offered it', async () => {
  const viewer = await s.signedIn('viewer')
  expect(await viewer.getByRole('link', { name: 'Keys and log' }).count()).toBe(0)
  await viewer.goto(`${s.control}/console/#/approvals`)
  await viewer.getByText('You may look. Approvers decide.').waitFor()
  expect(await viewer.getByRole('button', { name: /Approve/ }).count()).toBe(0)
  await viewer.close()
})

it('a wrong token signs nobody in; signing out ends the session on the gate, and a reload does not bring it back', async () => {
  const other = await s.open()
  await other.getByLabel('Token').fill('sk_wrong')
  await other.keyboard.press('Enter')
  await other.getByText('That token is not known here').waitFor()
  await other.getByLabel('Token').fill(s.token('viewer'))
  await other.keyboard.press('Enter')
  await other.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
  await other.reload()
  await other.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
  const kept = (await other.evaluate(`sessionStorage.getItem('signet.session')`)) as string
  expect(kept).not.toContain(s.token('viewer'))
  const { token } = JSON.parse(kept) as { token: string }
  await other.getByRole('button', { name: 'Sign out' }).click()
  await other.getByText('You are signed out.').waitFor()
  const me = await fetch(`${s.control}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } })
  expect(me.status).toBe(401)
  await other.reload()
  await other.getByLabel('Token').waitFor()
  expect(await s.browser.cookies()).toEqual([])
  await other.close()
})

it('the page runs no script but its own, even when somebody gets a tag into it', async () => {
  const other = await s.signedIn('viewer')
  const before = s.complaints.length
  const ran = await other.evaluate(`(() => {
    let said = ''
    try { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.ran = 1">') } catch (e) { said = e.name }
    const script = document.createElement('script')
    try { script.textContent = 'window.ran = 1' } catch {}
    document.body.append(script)
    return said + String(window.ran)
  })()`)
  expect(ran).toBe('TypeErrorundefined')
  await other.close()
  // What Chromium notes of it is what was asked for.
  s.forgive(before)
})

it('nothing was loaded from elsewhere, and no page complained', () => {
  expect(s.complaints).toEqual([])
})
