/** What a model writes into a call's arguments, name and reason, shown harmlessly by every channel. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Escalation } from '../../src/escalation/escalation.ts'
import { AUTHORITY } from '../../src/identity/certificates.test-support.ts'
import { emailDestinations } from '../../src/notify/email/destination.ts'
import { escalationMail } from '../../src/notify/email/message.ts'
import { readNotifications } from '../../src/notify/settings.ts'
import { createSlackApi } from '../../src/notify/slack/api.ts'
import { slackDestination } from '../../src/notify/slack/destination.ts'
import { slackMessage } from '../../src/notify/slack/message.ts'
import { webhookDestination } from '../../src/notify/webhook/webhook.ts'
import { openEgress } from '../../src/plugins/egress.ts'
import { type MailServer, mailServer } from './mail-server.ts'
import { ATTACKS, type Receiver, receiver, testDesk, UNSEEN } from './stand.ts'

const egress = openEgress()
const t = testDesk()
let mail: MailServer
let http: Receiver
beforeAll(async () => {
  mail = await mailServer()
  http = await receiver(res => res.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true,"ts":"1.1"}'))
})
afterAll(async () => {
  await mail.close()
  await http.close()
  await egress.close()
  await t.desk.close()
})

const INCLUDE = { includeArguments: true }
const OPTIONS = { consoleUrl: 'https://signet.example.com', includeArguments: true, sealed: false }

/** Every text in a message, with the kind of the object that it stands in. */
function texts(block: unknown, inside = ''): readonly (readonly [kind: string, text: string])[] {
  if (typeof block === 'string') return [[inside, block]]
  if (Array.isArray(block)) return block.flatMap(b => texts(b, inside))
  if (typeof block !== 'object' || block === null) return []
  const { type, ...rest } = { type: undefined, ...block } as { type?: unknown }
  return Object.values(rest).flatMap(b => texts(b, typeof type === 'string' ? type : inside))
}

/** As Slack's own clients read plain text: no control, and nothing that begins an entity or a mention of Slack's. */
function isHarmless(text: string): boolean {
  const visible = text.replaceAll('\n', '')
  return !UNSEEN.test(visible) && !/[<>]/.test(visible) && !/&(?!(?:amp|lt|gt);)/.test(visible)
}

function checkSlack(message: object): void {
  const all = texts(message)
  for (const [kind, text] of all) {
    expect(kind).not.toBe('mrkdwn')
    expect([text, isHarmless(text)]).toEqual([text, true])
  }
  expect(JSON.stringify(message)).not.toContain('"mrkdwn"}')
}

/** What is not behind the margin is ours: no line of it was made by an argument. */
function checkMail(text: string, plain: string): void {
  const ours = (of: string) => of.split('\n').filter(line => !line.startsWith('  | ')).length
  expect([text, UNSEEN.test(text.replaceAll('\n', ''))]).toEqual([text, false])
  expect(ours(text)).toBe(ours(plain))
}

describe.each(ATTACKS)('%s', (what, text) => {
  const args = [JSON.stringify({ note: text }), text, `{"note":"${text}"}`]

  it('in the arguments is harmless in Slack, in mail and in a webhook', async () => {
    const { slack, email, webhooks } = readNotifications({
      slack: {
        channel: 'C0123456789',
        team: 'T0123456789',
        app: 'A0123456789',
        users: { U012: 'human:bob' },
        ...INCLUDE,
        apiUrl: `${http.url}/api`,
      },
      email: {
        host: '127.0.0.1',
        port: mail.port,
        from: 's@mail.example',
        to: { 'human:bob@example.com': 'bob@mail.example' },
        ...INCLUDE,
      },
      webhooks: [{ name: 'ops', url: http.url, ...INCLUDE }],
    })
    const [webhook] = webhooks
    if (slack === undefined || email === undefined || webhook === undefined) throw new Error('all are set')
    const { consoleUrl, sealed } = OPTIONS
    const newId = () => 'id'
    const destinations = [
      slackDestination(slack, { consoleUrl, sealed, api: createSlackApi(slack.apiUrl, 'xoxb-test', egress) }),
      ...emailDestinations(email, { consoleUrl, sealed, password: undefined, ca: AUTHORITY, newId }),
      webhookDestination(webhook, {
        egress,
        consoleUrl,
        sealed,
        newId,
        secrets: [`whsec_${Buffer.alloc(32, 1).toString('base64')}`],
      }),
    ]
    const plain = await t.hold(args.map(() => ['issue_refund', '{}'] as const))
    const e = await t.hold(args.map(a => ['issue_refund', a] as const))
    const notice = { id: 'evt_1', destination: 'd', escalation: e.id, event: 'escalation.created', atMs: 1 }
    const before = [http.got.length, mail.got.length] as const
    for (const to of destinations) {
      const sending = { nowMs: t.clock.ms, signal: new AbortController().signal, receipt: async () => undefined }
      expect(await to.send(notice, e, sending)).toMatchObject({ kind: 'delivered' })
    }
    const [message, hook] = http.got.slice(before[0])
    checkSlack(JSON.parse(message?.body ?? '') as object)
    const got = mail.got[before[1]]
    checkMail(got?.text ?? '', escalationMail(notice, plain, OPTIONS).text)
    expect(got?.to).toEqual(['bob@mail.example'])
    // At the start of a line: the ids in a subject are hexadecimal, and may hold these letters.
    expect(got?.head).not.toMatch(/evil|^bcc\s*:/im)
    expect(UNSEEN.test(hook?.body ?? '\0')).toBe(false)
    const said = JSON.parse(hook?.body ?? '') as { data: { calls: { arguments: string }[] } }
    expect(said.data.calls.map(c => UNSEEN.test(c.arguments.replaceAll('\n', '')))).toEqual([false, false, false])
    // Shown, not lost: what was valid JSON is still the same JSON.
    expect(JSON.parse(said.data.calls[0]?.arguments ?? '')).toEqual({ note: text })
    const shown = texts(JSON.parse(message?.body ?? '')).filter(([kind]) => kind === 'text')
    expect(JSON.parse(shown[0]?.[1] ?? '')).toEqual({ note: text })
  })

  it('in the owner, the approvers, the name of the tool, the reason and the check is harmless too', async () => {
    const held = await t.hold()
    const e: Escalation = {
      ...held,
      reason: text,
      check: text,
      upstream: text,
      owner: { ...held.owner, id: text, approvalChain: [`human:${text}`] },
      rule: { kind: 'chain', approvers: [`human:${text}`, `human:b${text}`] },
      calls: held.calls.map(c => ({ ...c, tool: text, tier: text, audience: text })),
      decisions: [{ approver: `human:${text}`, decision: 'approve', by: text, atMs: 1, digest: 'd', reason: text }],
    }
    for (const sealed of [false, true]) checkSlack(slackMessage(e, { ...OPTIONS, sealed, buttons: true }))
    const { subject, text: body } = escalationMail({ event: 'escalation.created' }, e, OPTIONS)
    const plain = {
      ...e,
      check: 'c',
      reason: 'r',
      owner: held.owner,
      calls: e.calls.map(c => ({ ...c, tool: 't', tier: 'high', audience: 'a' })),
    }
    checkMail(body, escalationMail({ event: 'escalation.created' }, plain, OPTIONS).text)
    expect(subject).toMatch(/^[\x20-\x7e]+$/)
    expect(what).toBeTruthy()
  })
})

it('a fact that is too long for Slack is cut between characters, and between what was escaped', async () => {
  const base = await t.hold()
  for (let n = 0; n < 12; n += 1) {
    const reason = `${'x'.repeat(n)}${'&'.repeat(300 - n)}`
    const owner = { ...base.owner, id: '&'.repeat(290) }
    for (const check of ['&'.repeat(300), `${'&'.repeat(4)}${'😀'.repeat(148)}`, '😀'.repeat(150)]) {
      const message = slackMessage({ ...base, owner, reason, check }, { ...OPTIONS, buttons: true })
      checkSlack(message)
      for (const [, text] of texts(message)) expect(text.length).toBeLessThanOrEqual(3000)
    }
  }
})

it('so is any text whatever', async () => {
  const base = await t.hold()
  await fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), fc.string({ unit: 'binary' }), (text, name) => {
      const e: Escalation = {
        ...base,
        reason: name,
        calls: base.calls.map(c => ({ ...c, tool: name, argumentsText: text })),
      }
      checkSlack(slackMessage(e, { ...OPTIONS, buttons: true }))
      const { text: body } = escalationMail({ event: 'escalation.created' }, e, OPTIONS)
      checkMail(body, escalationMail({ event: 'escalation.created' }, base, OPTIONS).text)
    }),
    { numRuns: 500 },
  )
})

it.each([
  ['line feeds between members', `{"to":"alice","amount":10,${'\n'.repeat(2000)}"to_account":"EVIL"}`],
  ['line feeds and spaces in turn', `{"to":"alice","amount":10,${' \n'.repeat(1000)}"to_account":"EVIL"}`],
  ['spaces in a text', `{"note":"pay alice 10${' '.repeat(2000)}","to_account":"EVIL"}`],
  ['em spaces in a text', `{"note":"pay alice 10${'\u2003'.repeat(2000)}","to_account":"EVIL"}`],
  ['empty braille cells', `{"note":"pay alice 10${'\u2800'.repeat(400)}","to_account":"EVIL"}`],
])('what stands behind a gap of %s is not approved in Slack, and the gap is said', async (what, text) => {
  const o = { ...OPTIONS, buttons: true }
  const e = await t.hold([['issue_refund', text]])
  const message = JSON.stringify(slackMessage(e, o))
  const mail = escalationMail({ event: 'escalation.created' }, e, OPTIONS).text
  if (what === 'empty braille cells') {
    // As digits they are no gap.
    for (const shown of [message, mail]) expect(shown).not.toContain('\u2800')
    return
  }
  expect(message).not.toContain('signet_approve')
  expect(message).toContain('There is a long gap in it')
  expect(mail).toContain('There is a long gap in it')
  const indented = JSON.stringify({ a: { b: { c: [1, { d: 'a  b\n\nc' }] } } }, null, 8)
  const honest = JSON.stringify(slackMessage(await t.hold([['issue_refund', indented]]), o))
  expect(honest).toContain('signet_approve')
  expect(honest).not.toContain('long gap')
})
