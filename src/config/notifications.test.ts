import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { ConfigError } from './problem.ts'
import { resolveSettings } from './resolve.ts'
import { fromEnvironment, fromPipeline } from './settings.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-notifications-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let files = 0
function write(text: string, mode = 0o600): string {
  const path = join(folder, `${++files}`)
  writeFileSync(path, text, { mode })
  return path
}

const secret = (byte: number) => `whsec_${Buffer.alloc(32, byte).toString('base64')}`
const consoleUrl = 'https://signet.example.com/'
const HOOK = { name: 'ops', url: 'https://hooks.example.com/signet' }
const SLACK = { channel: 'C0123', team: 'T0123', app: 'A0123', users: { U0123: 'human:bob' }, includeArguments: true }
const MAIL = { host: 'mail.example.com', from: 's@example.com', to: { 'human:bob': 'bob@example.com' } }

function resolve(
  notifications: object | undefined,
  more: Readonly<Record<string, unknown>> = {},
  variables: Record<string, string> = {},
) {
  const given = notifications === undefined ? more : { notifications, ...more }
  return resolveSettings([fromEnvironment(variables, ''), fromPipeline(given, 'pipeline.ts')], true)
}
function problems(...args: Parameters<typeof resolve>): readonly string[] {
  try {
    resolve(...args)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

describe('notifications', () => {
  it('are nobody without the setting', () => {
    expect(resolve(undefined).notifications).toBeUndefined()
  })

  it('have defaults, and secrets from where they are kept', () => {
    const { notifications, warnings } = resolve(
      {
        consoleUrl,
        webhooks: [HOOK, { ...HOOK, name: 'two', secretFile: write(`${secret(2)}\n${secret(3)}\n`) }],
        slack: SLACK,
        email: MAIL,
      },
      { slackBotTokenFile: write('xoxb-1\n') },
      { SIGNET_WEBHOOK_SECRETS: `ops=${secret(1)}`, SIGNET_SLACK_SIGNING_SECRET: 'abc' },
    )
    expect(notifications).toMatchObject({
      consoleUrl: 'https://signet.example.com',
      slackBotToken: 'xoxb-1',
      slackSigningSecret: 'abc',
      email: {
        port: 587,
        security: 'starttls',
        events: ['escalation.created', 'escalation.progressed'],
        includeArguments: false,
      },
      webhooks: [{ includeArguments: false }, {}],
    })
    expect(notifications?.webhooks[0]?.events).not.toContain('escalation.progressed')
    expect(Object.fromEntries(notifications?.webhookSecrets ?? [])).toEqual({
      ops: [secret(1)],
      two: [secret(2), secret(3)],
    })
    expect(warnings.filter(w => w.includes('notifications'))).toEqual([])
  })

  it('come from a file too, which others must not write, in strict JSON', () => {
    const setting = { consoleUrl, webhooks: [HOOK] }
    const more = { webhookSecrets: { ops: secret(1) } }
    const read = resolve(undefined, { notificationsFile: write(JSON.stringify(setting), 0o644), ...more })
    expect(read.notifications?.webhooks).toHaveLength(1)
    const twice = write('{"webhooks":[],"webhooks":[]}', 0o644)
    expect(problems(undefined, { notificationsFile: twice })[0]).toContain('is not strict JSON (json_duplicate_key)')
    const both = problems(setting, { notificationsFile: write(JSON.stringify(setting), 0o644), ...more })
    expect(both[0]).toContain('keep one of them')
  })

  it.each<[string, object, Readonly<Record<string, unknown>>, RegExp]>([
    ['a setting that is none', { webhook: [] }, {}, /notifications\.webhook: unknown setting/],
    ['a webhook without a secret', { webhooks: [HOOK] }, {}, /webhook "ops" has no secret/],
    ['a secret that is none', { webhooks: [HOOK] }, { webhookSecrets: { ops: 'hunter2' } }, /expected whsec_ or whsk_/],
    [
      'a secret of no webhook',
      { webhooks: [] },
      { webhookSecrets: { ops: secret(1) } },
      /no webhook of notifications has that name/,
    ],
    [
      'a secret twice',
      { webhooks: [{ ...HOOK, secretFile: '/x' }] },
      { webhookSecrets: { ops: secret(1) } },
      /keep one of them/,
    ],
    ['two of one name', { webhooks: [HOOK, HOOK] }, { webhookSecrets: { ops: secret(1) } }, /two have the same name/],
    ['a name that is a label of nothing', { webhooks: [{ ...HOOK, name: 'Ops"' }] }, {}, /webhooks\[0\]\.name/],
    ['plain http', { webhooks: [{ ...HOOK, url: 'http://hooks.example.com' }] }, {}, /expected https/],
    [
      'a password in an address',
      { webhooks: [{ ...HOOK, url: 'https://a:b@hooks.example.com' }] },
      {},
      /expected no user or password/,
    ],
    ['an event that is none', { webhooks: [{ ...HOOK, events: ['created'] }] }, {}, /webhooks\[0\]\.events/],
    ['a page of the console', { consoleUrl: 'https://signet.example.com/gate' }, {}, /expected the origin/],
    ['a query for the console', { consoleUrl: 'https://signet.example.com/?token=1' }, {}, /expected the origin/],
    ['plain http to the console', { consoleUrl: 'http://signet.example.com' }, {}, /expected https/],
    [
      'Slack without a token',
      { slack: SLACK },
      { slackSigningSecret: 'a' },
      /slackBotTokenFile|SIGNET_SLACK_BOT_TOKEN_FILE/,
    ],
    [
      'Slack with users and no signing secret',
      { slack: SLACK },
      { slackBotToken: 'a' },
      /SIGNET_SLACK_SIGNING_SECRET_FILE: not set/,
    ],
    ['a channel by its name', { slack: { ...SLACK, channel: '#approvals' } }, {}, /slack\.channel: expected an id/],
    [
      'a user who is nobody',
      { slack: { ...SLACK, users: { U0123: 'bob' } } },
      {},
      /slack\.users: expected a principal/,
    ],
    ['a token without Slack', {}, { slackBotToken: 'a' }, /slackBotToken.*: set without notifications\.slack/],
    ['mail in the clear', { email: { ...MAIL, security: 'none' } }, {}, /for the loopback only/],
    [
      'a password in the clear',
      { email: { ...MAIL, host: '127.0.0.1', security: 'none', username: 'a' } },
      {},
      /not sent without TLS/,
    ],
    ['a user name without a password', { email: { ...MAIL, username: 'a' } }, {}, /SIGNET_SMTP_PASSWORD_FILE: not set/],
    [
      'a password without a user name',
      { email: MAIL },
      { smtpPassword: 'hunter2' },
      /set without notifications\.email\.username/,
    ],
    ['mail to nobody', { email: { ...MAIL, to: {} } }, {}, /email\.to: expected 1 to/],
  ])('%s is refused, and no secret is repeated', (_, setting, more, says) => {
    const found = problems(setting, more)
    expect(found.join('\n')).toMatch(says)
    expect(found.join('\n')).not.toMatch(/hunter2|whsec_[A-Za-z0-9+/]{8}/)
  })

  it('warn of what is allowed and will surprise', () => {
    const more = { slackBotToken: 'a', slackSigningSecret: 'b' }
    const { warnings } = resolve({ slack: { ...SLACK, includeArguments: false } }, more)
    expect(warnings.filter(w => w.startsWith('notifications'))).toEqual([
      expect.stringContaining('messages then have no buttons'),
      expect.stringContaining('no consoleUrl'),
    ])
    const sealing = { auditSealing: true, auditSealingKeyFile: write('5'.repeat(64)) }
    const sealed = resolve({ consoleUrl: 'https://signet.example.com/console/', slack: SLACK }, { ...more, ...sealing })
    expect(sealed.notifications).toMatchObject({ sealed: true, consoleUrl: 'https://signet.example.com' })
    expect(sealed.warnings.filter(w => w.startsWith('notifications'))).toEqual([
      expect.stringContaining('messages name nobody and have no buttons'),
    ])
  })
})
