/** `signet notify` and `signet doctor` about notifications, with receivers that listen. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { run } from '../../src/cli/main.ts'
import { openSqliteNotices } from '../../src/state/notices/sqlite-thread.ts'
import { saidAddress } from '../support/said-address.ts'
import { type MailServer, mailServer } from './mail-server.ts'
import { type Receiver, receiver } from './stand.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-notify-'))
const ROOT = join(import.meta.dirname, '..', '..')
const SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`
const SLACK = { channel: 'C0123', team: 'T0123', app: 'A0123' }
let hook: Receiver
let slack: Receiver
let mail: MailServer
let status = 204
let slackAnswer: object = { ok: true, ts: '1.1', team_id: 'T0123' }

beforeAll(async () => {
  hook = await receiver(res => res.writeHead(status).end())
  slack = await receiver(res => res.writeHead(200).end(JSON.stringify(slackAnswer)))
  mail = await mailServer({ disabledCommands: ['STARTTLS'] })
})
afterAll(async () => {
  await hook.close()
  await slack.close()
  await mail.close()
  rmSync(folder, { recursive: true, force: true })
})

let environment: Record<string, string>
beforeEach(() => {
  status = 204
  slackAnswer = { ok: true, ts: '1.1', team_id: 'T0123' }
  const setting = {
    consoleUrl: 'https://signet.example.com',
    webhooks: [{ name: 'ops', url: hook.url }],
    slack: { ...SLACK, apiUrl: slack.url },
    email: {
      host: '127.0.0.1',
      port: mail.port,
      security: 'none',
      from: 's@a.example',
      to: { 'human:bob': 'bob@a.example' },
    },
  }
  writeFileSync(join(folder, 'notifications.json'), JSON.stringify(setting), { mode: 0o644 })
  environment = {
    SIGNET_NOTIFICATIONS_FILE: join(folder, 'notifications.json'),
    SIGNET_NOTICE_STORE_PATH: join(folder, 'notices.db'),
    SIGNET_WEBHOOK_SECRETS: `ops=${SECRET}`,
    SIGNET_SLACK_BOT_TOKEN: 'xoxb-secret',
  }
})

async function signet(...args: readonly string[]) {
  let out = ''
  let error = ''
  const code = await run(args, {
    out: { write: text => (out += text) },
    error: { write: text => (error += text) },
    environment,
    folder,
    now: Date.now,
    input: async () => Buffer.alloc(0),
    asked: async () => 'SIGTERM',
  })
  return { code, out, error }
}

describe('signet notify test', () => {
  it('sends one to every destination, and says what came back', async () => {
    const { code, out } = await signet('notify', 'test')
    expect(out.split('\n').filter(line => line !== '')).toEqual([
      'ok     webhook:ops: status 204',
      'ok     slack: Slack has it',
      expect.stringMatching(/^ok {5}email:human:bob: 250 /),
    ])
    expect(code).toBe(0)
    const got = hook.got.at(-1)
    expect(new Webhook(SECRET).verify(got?.body ?? '', got?.headers as Record<string, string>)).toMatchObject({
      type: 'signet.test',
      data: { destination: 'ops' },
    })
    expect(mail.got.at(-1)?.text).toBe('A test of notifications. Nothing is asked.\n')
  })

  it('is taken by the receiver that the page shows', async () => {
    const page = readFileSync(join(ROOT, 'docs', 'notifications.md'), 'utf8')
    const shown = /```js\n(.*?)```/s
      .exec(page)?.[1]
      ?.replace(
        '.listen(8080)',
        ".listen(0, '127.0.0.1', function () { console.log('http://127.0.0.1:' + this.address().port) })",
      )
    const theirs = spawn(process.execPath, ['--input-type=module', '-e', shown ?? ''], {
      cwd: ROOT,
      env: { WEBHOOK_SECRET: SECRET },
    })
    try {
      const url = await saidAddress(theirs)
      const setting = { consoleUrl: 'https://signet.example.com', webhooks: [{ name: 'ops', url }] }
      writeFileSync(join(folder, 'notifications.json'), JSON.stringify(setting), { mode: 0o644 })
      delete environment['SIGNET_SLACK_BOT_TOKEN']
      expect(await signet('notify', 'test')).toMatchObject({ code: 0, out: 'ok     webhook:ops: status 204\n' })
    } finally {
      theirs.kill()
    }
  })

  it('fails where one fails, and says why without a secret', async () => {
    status = 500
    slackAnswer = { ok: false, error: 'not_in_channel' }
    const { code, out } = await signet('notify', 'test', '--json')
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      results: [
        { destination: 'webhook:ops', ok: false, detail: 'it answered 500' },
        { destination: 'slack', ok: false, detail: 'not_in_channel' },
        { destination: 'email:human:bob', ok: true },
      ],
    })
    expect(out).not.toMatch(/xoxb|whsec_/)
  })

  it('sends to one, and knows which there are', async () => {
    const before = slack.got.length
    expect((await signet('notify', 'test', 'webhook:ops')).code).toBe(0)
    expect(slack.got.length).toBe(before)
    const { code, error } = await signet('notify', 'test', 'webhook:other')
    expect(code).toBe(2)
    expect(error).toContain('there are webhook:ops, slack, email:human:bob')
  })

  it('says what is wrong with the settings, or that there are none', async () => {
    environment['SIGNET_WEBHOOK_SECRETS'] = 'ops=whsec_short'
    expect((await signet('notify', 'test')).error).toContain('a whsec_ secret must be base64 of 24 to 64 bytes')
    environment = {}
    expect((await signet('notify', 'test')).error).toContain('no notifications are configured here')
  })
})

it('signet notify enable sends to a destination again that wanted no more', async () => {
  const path = join(folder, 'notices.db')
  const store = await openSqliteNotices(path)
  await store.use([{ name: 'webhook:ops', address: hook.url }], 1)
  await store.disable('webhook:ops', 'it answered 410 Gone')
  await store.close()
  expect(await signet('notify', 'enable', 'webhook:ops')).toMatchObject({ code: 0 })
  const again = await openSqliteNotices(path)
  expect((await again.take('webhook:ops', 5, 6)).disabled).toBeUndefined()
  await again.close()
  expect((await signet('notify', 'enable', 'slack2')).code).toBe(2)
})

describe('signet doctor', () => {
  const about = (out: string) => out.split('\n').filter(line => line.includes('notifications'))

  it('looks at notifications, and sends none', async () => {
    const before = [hook.got.length, mail.got.length]
    const { out } = await signet('doctor')
    expect(about(out)).toEqual([
      expect.stringMatching(/^ok +notifications, webhook:ops: 127\.0\.0\.1:\d+, secrets: 1, events: 5; not called$/),
      expect.stringMatching(/^ok +notifications, slack: Slack takes the token$/),
      expect.stringMatching(/^ok +notifications, email: the mail server takes the sign-in$/),
    ])
    expect(slack.got.at(-1)?.path).toBe('/auth.test')
    expect([hook.got.length, mail.got.length]).toEqual(before)
  })

  it('says what would not work', async () => {
    slackAnswer = { ok: true, team_id: 'T9999' }
    expect(about((await signet('doctor')).out)[1]).toContain('the token is of another workspace than slack.team')
    slackAnswer = { ok: false, error: 'invalid_auth' }
    expect(about((await signet('doctor')).out)[1]).toMatch(/^failed .*Slack does not take the token: invalid_auth/)
    delete environment['SIGNET_SLACK_BOT_TOKEN']
    const { code, out } = await signet('doctor')
    expect(code).toBe(1)
    expect(out).toMatch(/failed +settings: SIGNET_SLACK_BOT_TOKEN_FILE: not set/)
  })
})
