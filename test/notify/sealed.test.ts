/** With `auditSealing` nobody is named: not to a webhook, not in Slack, not in a mail, not in the file of notices, not to a terminal. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import type { Owner } from '../../src/core/exchange.ts'
import { AUTHORITY } from '../../src/identity/certificates.test-support.ts'
import { Notifier } from '../../src/notify/notifier.ts'
import { openDestinations } from '../../src/notify/open.ts'
import { readNotifications } from '../../src/notify/settings.ts'
import { openEgress } from '../../src/plugins/egress.ts'
import { openSqliteNotices } from '../../src/state/notices/sqlite-thread.ts'
import { systemRandom } from '../../src/state/system.ts'
import { mailServer } from './mail-server.ts'
import { receiver, type TestDesk, testDesk } from './stand.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-sealed-'))
const egress = openEgress()
const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
afterAll(async () => {
  await egress.close()
  rmSync(folder, { recursive: true, force: true })
})
let files = 0

const ALICE: Owner = {
  type: 'human',
  id: 'alice@corp.example',
  approvalChain: [],
  notApprovers: ['human:dave@corp.example'],
  authenticatedBy: 'api_key',
}
const BOB = 'human:bob@corp.example'
const CAROL = 'human:carol@corp.example'
const PEOPLE = /alice|bob@corp|carol|dave/i

async function setUp(sealed: boolean, webhookStatus = 200) {
  const t: TestDesk = testDesk({ approvers: [BOB, CAROL], quorum: 2 })
  const http = await receiver((res, { path }) =>
    res.writeHead(path === '/hook' ? webhookStatus : 200).end('{"ok":true,"ts":"1.1"}'),
  )
  const mail = await mailServer()
  ends.push(
    () => http.close(),
    () => mail.close(),
  )
  const setting = readNotifications({
    consoleUrl: 'https://signet.example.com',
    webhooks: [{ name: 'ops', url: `${http.url}/hook` }],
    slack: {
      channel: 'C0123456789',
      team: 'T0123456789',
      app: 'A0123456789',
      users: { U012: BOB },
      includeArguments: true,
      apiUrl: `${http.url}/api`,
    },
    // Where mail goes is a name too, and it has to be there: an address that says nothing.
    email: { host: '127.0.0.1', port: mail.port, from: 's@mail.example', to: { [BOB]: 'p1@mail.example' } },
  })
  const { destinations } = await openDestinations(
    {
      ...setting,
      webhookSecrets: new Map([['ops', [`whsec_${Buffer.alloc(32, 1).toString('base64')}`]]]),
      slackBotToken: 'xoxb-test',
      slackSigningSecret: 's',
      smtpPassword: undefined,
      smtpCa: AUTHORITY,
      sealed,
    },
    egress,
    systemRandom(),
  )
  const path = join(folder, `${++files}.db`)
  const said: string[] = []
  const notifier = new Notifier({
    store: await openSqliteNotices(path),
    destinations,
    audit: t.audit,
    clock: t.clock,
    random: systemRandom(),
    sealed,
    onState: (_, text) => said.push(text),
  })
  await notifier.open()
  t.followers.push(notifier.tell)
  notifier.start(t.desk)
  ends.push(() => notifier.close())
  const e = await t.hold([['refund_for_alice@corp.example', '{"amount":1}']], {
    owner: ALICE,
    reason: 'Alice@corp.example asks; carol@corp.example knows',
  })
  await notifier.quiet()
  await t.decide(e, 'approve', BOB)
  await notifier.quiet()
  await t.decide(e, 'deny', CAROL)
  await notifier.quiet()
  const sent = [...http.got.map(g => g.body), ...mail.got.flatMap(m => [m.head, m.text])].join('\n')
  return { t, http, mail, notifier, path, said, sent, e }
}

/** Every byte of the store, the write-ahead log included. */
function bytesOf(path: string): string {
  const name = path.slice(folder.length + 1)
  return readdirSync(folder)
    .filter(file => file.startsWith(name))
    .map(file => readFileSync(join(folder, file), 'latin1'))
    .join('')
}

describe('names of people', () => {
  it('are told where the log does not seal them', async () => {
    const { sent, http, mail } = await setUp(false)
    expect(http.got.length).toBeGreaterThan(3)
    expect(mail.got).toHaveLength(1)
    expect(sent).toContain('"owner":"human:alice@corp.example"')
    expect(sent).toContain('Owner:   human:alice@corp.example')
    expect(sent).toContain('signet_approve')
  })

  it('are in no notice where the log seals them, and nobody decides in Slack about whom they are not told of', async () => {
    const { sent, http, mail, e } = await setUp(true)
    expect(http.got.length).toBeGreaterThan(3)
    expect(mail.got).toHaveLength(1)
    expect(sent).not.toMatch(PEOPLE)
    expect(sent).toContain('"owner":"sealed"')
    expect(sent).toContain('Owner:   sealed')
    expect(sent).toContain('refund_for_[sealed]')
    expect(sent).toContain('Approved by sealed (api_key)')
    expect(sent).not.toContain('signet_approve')
    expect(sent).not.toContain('signet_deny')
    // Who is there sees all of it.
    expect(sent).toContain(`https://signet.example.com/console/#/approvals/${e.id}`)
  })

  it.each([true, false])('are in no byte of the store, nor are addresses (sealed: %s)', async sealed => {
    const { notifier, path, http, e } = await setUp(sealed)
    const open = bytesOf(path)
    await notifier.close()
    for (const found of [open, bytesOf(path)]) {
      expect(found).toContain(e.id)
      expect(found).not.toMatch(PEOPLE)
      expect(found).not.toContain('mail.example')
      expect(found).not.toContain(http.url)
    }
  })

  it('are not said to the terminal or the log when a notice does not arrive', async () => {
    const { t, said, notifier, mail } = await setUp(true, 410)
    await mail.close()
    await t.hold([['t', '{}']], { owner: ALICE })
    await notifier.quiet()
    expect(said.join('\n')).toMatch(/nothing is sent to webhook:ops/)
    expect(said.join('\n')).toMatch(/notices do not reach email: /)
    expect(said.join('\n')).not.toMatch(PEOPLE)
    expect(JSON.stringify(t.audit.rows.filter(r => r.checkName === 'pipeline.notification'))).not.toMatch(PEOPLE)
  })
})
