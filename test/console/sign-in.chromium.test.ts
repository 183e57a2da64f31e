/** Signing in at an identity provider, in Chromium: there and back, what is left in the address and in the log, and a page that is lured. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { testKey } from '../../src/identity/tokens.test-support.ts'
import { type Provider, signInAt, startProvider } from '../support/provider.ts'
import { type ConsoleStand, PEOPLE, startConsole } from './stand.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

let provider: Provider
let s: ConsoleStand
beforeAll(async () => {
  const who = (email: string, roles: readonly string[]) => ({ email, email_verified: true, roles })
  provider = await startProvider(await testKey('RS256', 'one'), {
    bob: who('bob@example.com', []),
    nobody: who('nobody@example.com', []),
  })
  s = await startConsole(
    { consoleOidcClientId: provider.clientId, consoleOidcClientSecret: provider.clientSecret },
    {
      issuer: provider.url,
      audience: provider.clientId,
      discovery: true,
      name: 'oidc',
      claims: { owner: { claim: 'email', type: 'human' } },
    },
  )
  provider.redirects = [`${s.control}/console/`]
})
beforeEach(() => {
  Object.assign(provider, { lifeS: 300, refreshes: true, back: (said: URLSearchParams) => said })
})
afterAll(async () => {
  await s.close()
  await provider.stop()
})

const host = () => new URL(provider.url).host
const go = (page: Page) => page.getByRole('button', { name: `Continue with ${host()}` }).click()
const signInAs = async (page: Page, who: string) => {
  await go(page)
  await page.getByRole('link', { name: who, exact: true }).click()
}
const rows = () =>
  readFileSync(s.logPath, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as { owner_id: string; metadata: Record<string, unknown> })

describe('the whole story', () => {
  it('from a link to an escalation, to the issuer, back to the very place, approved, and signed out', async () => {
    const answer = s.ask([{ name: 'issue_refund', arguments: '{"amount":1200,"account":"ACC-7"}' }])
    const [held] = await s.waiting(1)
    const page = await s.open(`#/approvals/${held?.id}`)
    await page.getByRole('heading', { name: 'Sign in to signet' }).waitFor()
    await page.getByRole('button', { name: `Continue with ${host()}` }).waitFor()
    await s.shot(page, 'sign-in-issuer')
    await page.evaluate(AXE)
    const violations = await page.evaluate(
      `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }).then(r => r.violations.map(v => v.id))`,
    )
    expect(violations).toEqual([])

    const referrers: (string | undefined)[] = []
    page.on('request', request => {
      if (request.url().startsWith(provider.url)) referrers.push(request.headers()['referer'])
    })
    await go(page)
    await page.getByRole('heading', { name: 'Who are you?' }).waitFor()
    expect(referrers).toEqual([undefined])
    const addresses: string[] = []
    page.on('framenavigated', frame => addresses.push(frame.url()))
    await page.getByRole('link', { name: 'bob', exact: true }).click()
    await page.getByRole('heading', { name: 'A tool call is held' }).waitFor()
    // Back where one was, and what the issuer sent along is in no address that stays.
    expect(page.url()).toBe(`${s.control}/console/#/approvals/${held?.id}`)
    const token = String(await page.evaluate(`JSON.parse(sessionStorage.getItem('signet.session')).token`))
    expect(token).toMatch(/^sgs_/)
    expect(addresses.join(' ')).not.toContain(token)
    expect(await page.evaluate(`sessionStorage.getItem('signet.sign-in')`)).toBe(null)
    expect(await page.evaluate('document.cookie')).toBe('')
    expect(await s.browser.cookies()).toEqual([])

    await page.getByRole('button', { name: /Approve/ }).click()
    await page.getByRole('button', { name: 'Approve this call' }).click()
    expect((await answer).choices[0]?.message.tool_calls).toHaveLength(1)
    expect(rows().find(r => r.metadata['_check_name'] === 'escalation.decided')).toMatchObject({
      owner_id: 'bob@example.com',
      metadata: { _approver_authenticated_by: 'oidc' },
    })
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByText('You are signed out.').waitFor()
    expect(
      rows()
        .map(r => r.metadata['_check_name'])
        .filter(name => String(name).startsWith('session.')),
    ).toEqual(['session.opened', 'session.closed'])
    // Going back does not sign anybody in again.
    await page.goBack()
    await page.goForward()
    await page.getByRole('heading', { name: 'Sign in to signet' }).waitFor()
    await page.close()
  })

  it('a token that ends is renewed while somebody works, and nobody notices', async () => {
    provider.lifeS = -5
    const page = await s.open()
    await signInAs(page, 'bob')
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
    provider.lifeS = 300
    await page.getByRole('link', { name: 'Pipeline' }).click()
    await page.getByRole('heading', { level: 1, name: 'Pipeline' }).waitFor()
    expect(provider.exchanged.some(e => e.get('grant_type') === 'refresh_token')).toBe(true)
    await page.close()
  })

  it('a token still opens it, beside the issuer', async () => {
    const page = await s.signedIn('viewer')
    expect(await page.locator('.session').textContent()).toContain(PEOPLE.viewer)
    await page.close()
  })
})

describe('what goes wrong is said in plain words', () => {
  const refused = (page: Page, words: string | RegExp) => page.getByRole('alert').getByText(words).waitFor()

  it('somebody says no at the issuer; and tries again', async () => {
    const page = await s.open()
    await signInAs(page, 'cancel')
    await refused(page, 'You, or your identity provider, said no to this sign-in.')
    await s.shot(page, 'sign-in-refused')
    expect(page.url()).toBe(`${s.control}/console/#/overview`)
    await signInAs(page, 'bob')
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
    await page.close()
  })

  it('somebody without a role', async () => {
    const page = await s.open()
    await signInAs(page, 'nobody')
    await refused(page, /have no role here/)
    await page.close()
  })

  it('an issuer that writes what it likes', async () => {
    provider.back = said => {
      said.set('error', '<img src=x onerror=alert(1)>')
      said.set('error_description', 'Call +1 555 0100')
      said.delete('code')
      return said
    }
    const page = await s.open()
    await signInAs(page, 'bob')
    await refused(page, 'Your identity provider did not sign you in.')
    expect(await page.locator('main img').count()).toBe(1)
    expect(await page.locator('main').textContent()).not.toContain('555')
    await page.close()
  })
})

describe('a page that is lured', () => {
  it('to an answer that it did not ask for signs nobody in, and tells nobody of it', async () => {
    const begun = await fetch(`${s.control}/api/v1/sign-in/begin`, {
      method: 'POST',
      headers: { origin: s.control },
      body: '{}',
    })
    const { location } = (await begun.json()) as { location: string }
    const theirs = await signInAt(location, 'bob')
    const page = await s.browser.newPage()
    const sent: string[] = []
    page.on('request', request => sent.push(`${request.method()} ${new URL(request.url()).pathname}`))
    await page.goto(`${s.control}/console/?${theirs}`)
    await page.getByText('This sign-in was not begun in this tab').waitFor()
    expect(page.url()).toBe(`${s.control}/console/#/overview`)
    expect(sent.filter(line => line.startsWith('POST'))).toEqual([])
    await page.close()
  })

  it('while its own sign-in is under way: neither counts', async () => {
    const begun = await fetch(`${s.control}/api/v1/sign-in/begin`, {
      method: 'POST',
      headers: { origin: s.control },
      body: '{}',
    })
    const { location } = (await begun.json()) as { location: string }
    const theirs = await signInAt(location, 'bob')
    const page = await s.open()
    await go(page)
    await page.getByRole('heading', { name: 'Who are you?' }).waitFor()
    await page.goto(`${s.control}/console/?${theirs}`)
    await page.getByText('That was not the answer to the sign-in you began.').waitFor()
    await page.close()
  })

  it.each(['https://evil.example/', '//evil.example', 'javascript:alert(1)'])(
    'to %s after signing in stays here',
    async evil => {
      provider.back = said => new URLSearchParams([...said, ['return_to', evil], ['place', evil]])
      const page = await s.open(`#/${evil}`)
      await signInAs(page, 'bob')
      await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
      expect(new URL(page.url()).origin).toBe(s.control)
      await page.close()
    },
  )
})

it('nothing was complained of, and nothing but the browser itself went to the issuer', () => {
  expect(s.complaints).toEqual([])
})
