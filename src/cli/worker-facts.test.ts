import { describe, expect, it } from 'vitest'
import { resolveSettings } from '../config/resolve.ts'
import { fromPipeline } from '../config/settings.ts'
import { readBegin, shareOf } from './worker-facts.ts'

const MORE = {
  key: new Uint8Array(32),
  approvers: [],
  quorum: undefined,
  demoUrl: undefined,
  receipts: true,
  log: undefined,
  capabilities: undefined,
}
const PROJECT = { folder: '/', file: undefined, variables: {} }

describe('what a worker is told', () => {
  const secret = 'ab'.repeat(32)
  const resolved = resolveSettings(
    [fromPipeline({ auditSealing: true, hmacSecret: secret, accessLogPath: '-', workers: 2 }, 'pipeline.ts')],
    true,
  )
  const told = shareOf(resolved, PROJECT, MORE)

  it('holds that owners are sealed, so that its access log does not name them', () => {
    expect(readBegin(JSON.parse(JSON.stringify(told)) as Record<string, unknown>).settings).toMatchObject({
      auditSealing: true,
      accessLogPath: '-',
    })
  })

  it('holds nothing of those who are told of escalations: the primary alone tells them', () => {
    const notifications = {
      slack: { channel: 'C012', team: 'T012', app: 'A012', users: { U012: 'human:bob' }, includeArguments: true },
      webhooks: [{ name: 'ops', url: 'https://hooks.example.com/path-that-is-secret' }],
      email: {
        host: 'mail.example.com',
        from: 's@example.com',
        to: { 'human:bob': 'b@example.com' },
        username: 'signet',
      },
    }
    const secrets = {
      slackBotToken: 'xoxb-secret',
      slackSigningSecret: 'signing-secret',
      smtpPassword: 'mail-secret',
      webhookSecrets: { ops: `whsec_${Buffer.alloc(32, 7).toString('base64')}` },
    }
    const layer = fromPipeline({ notifications, ...secrets, workers: 2 }, 'pipeline.ts')
    const text = JSON.stringify(shareOf(resolveSettings([layer], true), PROJECT, MORE))
    for (const part of ['secret', 'whsec_', 'hooks.example.com', 'mail.example.com', 'C012'])
      expect(text).not.toContain(part)
  })

  it('holds no key of the audit log', () => {
    expect(JSON.stringify(told)).not.toContain(secret)
  })
})
