/** E-mail over real SMTP: who gets it, that it is never sent in the clear, and servers that fail. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SMTPServerOptions } from 'smtp-server'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import type { ApprovalPolicy } from '../../src/escalation/approvers.ts'
import { AUTHORITY } from '../../src/identity/certificates.test-support.ts'
import { type EmailPorts, emailDestinations, tryServer } from '../../src/notify/email/destination.ts'
import { Notifier } from '../../src/notify/notifier.ts'
import { readNotifications } from '../../src/notify/settings.ts'
import { openSqliteNotices } from '../../src/state/notices/sqlite-thread.ts'
import { systemRandom } from '../../src/state/system.ts'
import { exposition } from '../../src/telemetry/exposition.ts'
import { noticeMetrics } from '../../src/telemetry/notice-metrics.ts'
import { mailServer } from './mail-server.ts'
import { testDesk } from './stand.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-mail-'))
const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let files = 0

const TO = { 'human:bob@example.com': 'bob@mail.example', 'human:carol@example.com': 'carol@mail.example' }

function settingFor(port: number, more: object = {}) {
  const { email } = readNotifications({
    email: { host: '127.0.0.1', port, from: 'signet@mail.example', to: TO, ...more },
  })
  if (email === undefined) throw new Error('there is an email setting')
  return email
}

const PORTS: EmailPorts = {
  consoleUrl: 'https://signet.example.com',
  sealed: false,
  password: undefined,
  ca: AUTHORITY,
  newId: () => 'test-id',
}

async function setUp(port: number, more: object = {}, policy?: ApprovalPolicy, ports: Partial<EmailPorts> = {}) {
  const t = testDesk(policy)
  const notifier = new Notifier({
    store: await openSqliteNotices(join(folder, `${++files}.db`)),
    destinations: emailDestinations(settingFor(port, more), { ...PORTS, ...ports }),
    audit: t.audit,
    clock: t.clock,
    random: systemRandom(),
  })
  await notifier.open()
  t.followers.push(notifier.tell)
  notifier.start(t.desk)
  ends.push(() => notifier.close())
  return { ...t, notifier }
}

async function server(options: SMTPServerOptions = {}) {
  const made = await mailServer(options)
  ends.push(() => made.close())
  return made
}

describe('mail', () => {
  it('goes to who is asked, over TLS, and its link gives no right', async () => {
    const s = await server()
    const { notifier, hold } = await setUp(s.port)
    const e = await hold()
    await notifier.quiet()
    expect(s.got).toHaveLength(1)
    const [mail] = s.got
    expect(mail).toMatchObject({ from: 'signet@mail.example', to: ['bob@mail.example'], secure: true })
    expect(mail?.head).toContain(`Subject: signet: An approval is asked for\r\n (${e.id})`)
    expect(mail?.head).toContain('Auto-Submitted: auto-generated')
    expect(mail?.head).toMatch(/^Content-Type: text\/plain; charset=utf-8/m)
    expect(mail?.head).toContain(`Message-ID: <evt_${e.id}_created@mail.example>`)
    expect(mail?.text).toContain(`Digest:  ${e.digest}`)
    expect(mail?.text).toContain('Tier:      high')
    expect(mail?.text).toContain(`https://signet.example.com/console/#/approvals/${e.id}\n`)
    expect(mail?.text).not.toContain('50000')
    expect(mail?.text).not.toContain(e.tokenHash)
  })

  it('goes to the next in a chain when one has approved, and to everybody where any may', async () => {
    const s = await server()
    const chain = { approvers: ['human:bob@example.com', 'human:carol@example.com'] }
    const one = await setUp(s.port, {}, chain)
    const e = await one.hold()
    await one.notifier.quiet()
    await one.decide(e)
    await one.notifier.quiet()
    expect(s.got.map(m => m.to)).toEqual([['bob@mail.example'], ['carol@mail.example']])
    expect(s.got[1]?.head).toMatch(/Subject: signet: An approval is asked for; others have approved\s+already/)
    const two = await setUp(s.port, {}, { ...chain, quorum: 1 })
    await two.hold()
    await two.notifier.quiet()
    expect(
      s.got
        .slice(2)
        .flatMap(m => m.to)
        .sort(),
    ).toEqual(['bob@mail.example', 'carol@mail.example'])
  })

  it('has the arguments only where the operator says so, behind a margin', async () => {
    const s = await server()
    const { notifier, hold } = await setUp(s.port, { includeArguments: true })
    await hold([['issue_refund', `{"amount":50000,\n"why":"${'x'.repeat(500)}"}`]])
    await notifier.quiet()
    expect(s.got[0]?.text).toContain('\n  | {"amount":50000,\n  | "why":"xxx')
  })

  it('over implicit TLS, with a name and a password', async () => {
    const s = await server({ secure: true, authOptional: false })
    const more = { security: 'tls', username: 'signet' }
    const { notifier, hold } = await setUp(s.port, more, undefined, { password: 'hunter2' })
    await hold()
    await notifier.quiet()
    expect(s.got[0]).toMatchObject({ secure: true, user: 'signet' })
    expect(await tryServer(settingFor(s.port, more), { ...PORTS, password: 'hunter2' })).toBeUndefined()
    const wrong = await tryServer(settingFor(s.port, more), { ...PORTS, password: 'wrong-password' })
    expect(wrong).toMatch(/^the server answered 535 \(EAUTH\)$/)
  })

  it('to the loopback without TLS, where the operator says so', async () => {
    const s = await server({ disabledCommands: ['STARTTLS'] })
    const { notifier, hold } = await setUp(s.port, { security: 'none' })
    await hold()
    await notifier.quiet()
    expect(s.got[0]).toMatchObject({ secure: false })
  })
})

describe('a mail server', () => {
  it.each<[string, SMTPServerOptions, Partial<EmailPorts>]>([
    ['that offers no TLS', { disabledCommands: ['STARTTLS'] }, {}],
    ['that nobody vouches for', {}, { ca: undefined }],
  ])('%s gets no mail and no password', async (_, options, ports) => {
    let asked = 0
    const s = await server({
      ...options,
      allowInsecureAuth: true,
      onAuth: (auth, _session, done) => {
        asked += 1
        done(null, { user: auth.username })
      },
      onMailFrom: (_address, _session, done) => {
        asked += 1
        done()
      },
    })
    const { notifier, hold } = await setUp(s.port, { username: 'signet' }, undefined, { password: 'hunter2', ...ports })
    await hold()
    await notifier.quiet()
    expect([s.got.length, asked]).toEqual([0, 0])
    expect(notifier.status[0]).toMatchObject({ failed: 1, waiting: 1 })
  })

  it.each([
    [550, { failed: 1, givenUp: 1, waiting: 0 }],
    [451, { failed: 1, givenUp: 0, waiting: 1 }],
  ])('that answers %i', async (code, status) => {
    const s = await server({
      onRcptTo: (_address, _session, done) => done(Object.assign(new Error('no'), { responseCode: code })),
    })
    const { notifier, hold, audit, clock } = await setUp(s.port)
    await hold()
    await notifier.quiet()
    expect(notifier.status[0]).toMatchObject(status)
    const rows = audit.named('notification.given_up')
    expect(rows.map(row => row.metadata['_destination'])).toEqual(status.givenUp === 0 ? [] : ['email'])
    // Rows are kept for years, and who was written to is in the escalation's own.
    expect(JSON.stringify(rows)).not.toContain('bob')
    const metrics = exposition(noticeMetrics(() => notifier.status))
    expect(metrics).toContain(`signet_notices_total{destination="email",outcome="given_up"} ${status.givenUp}\n`)
    expect(metrics).not.toContain('bob')
    clock.pass(10_000)
    await notifier.quiet()
    expect(notifier.status[0]?.failed).toBe(code === 550 ? 1 : 2)
  })

  it.each<[string, (socket: Socket) => void]>([
    ['that says nothing', () => undefined],
    ['that says a letter now and then', socket => socket.write('2')],
    ['that hangs up', socket => socket.destroy()],
    ['that is none', socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ])('%s is tried again later', async (_, what) => {
    const sockets = new Set<Socket>()
    const s = createServer(socket => {
      sockets.add(socket)
      socket.on('error', () => undefined)
      what(socket)
    })
    await new Promise<void>(resolve => s.listen(0, '127.0.0.1', resolve))
    ends.push(async () => {
      for (const socket of sockets) socket.destroy()
      s.close()
    })
    const address = s.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const { notifier, hold } = await setUp(port, {}, undefined, { limitMs: 200 })
    await hold()
    await notifier.quiet()
    expect(notifier.status[0]).toMatchObject({ failed: 1, waiting: 1 })
  })
})

it('an address cannot hold a header, another address or a name', () => {
  for (const to of [
    'bob@mail.example\r\nBcc: evil@example.com',
    'bob@mail.example, evil@example.com',
    'Bob <bob@mail.example>',
    '"a b"@mail.example',
    'bob@mail.example>',
    'bob@[127.0.0.1]',
    'bob',
    '',
  ])
    expect(() => settingFor(25, { to: { 'human:bob@example.com': to } })).toThrow('expected a bare address')
})
