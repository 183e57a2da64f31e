/** Slack, from the message to the decision: the real control plane, a server that stands for Slack, and requests that are not Slack's. */
import { createHmac } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { createRoles } from '../../src/control/access.ts'
import { SLACK_PATH } from '../../src/control/slack.ts'
import { startControl } from '../../src/control/start.ts'
import type { ApprovalPolicy } from '../../src/escalation/approvers.ts'
import type { Escalation } from '../../src/escalation/escalation.ts'
import { Notifier } from '../../src/notify/notifier.ts'
import { readNotifications } from '../../src/notify/settings.ts'
import { createSlackApi } from '../../src/notify/slack/api.ts'
import { slackDestination } from '../../src/notify/slack/destination.ts'
import { SlackSignatures } from '../../src/notify/slack/signature.ts'
import { openEgress } from '../../src/plugins/egress.ts'
import { openSqliteNotices } from '../../src/state/notices/sqlite-thread.ts'
import { systemRandom } from '../../src/state/system.ts'
import { receiver, testDesk } from './stand.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-slack-'))
const egress = openEgress()
const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
afterAll(async () => {
  await egress.close()
  rmSync(folder, { recursive: true, force: true })
})

const SIGNING = '8f742231b10e8888abcd99yyyzzz85a5'
const [CHANNEL, TEAM, APP] = ['C0123456789', 'T0123456789', 'A0123456789']
const USERS = {
  U00000BOB: 'human:bob@example.com',
  U00000CAROL: 'human:carol@example.com',
  U00000ALICE: 'human:alice@example.com',
  U00000VIEWER: 'human:viewer@example.com',
}
const APPROVERS = ['human:bob@example.com', 'human:carol@example.com', 'human:alice@example.com']
const ANY: ApprovalPolicy = { approvers: APPROVERS, quorum: 1 }
let files = 0

interface Block {
  readonly type: string
  readonly elements?: readonly { readonly action_id?: string; readonly value?: string; readonly url?: string }[]
}
interface Sent {
  readonly method: string
  readonly body: {
    readonly channel?: string
    readonly user?: string
    readonly ts?: string
    readonly text?: string
    readonly trigger_id?: string
    readonly view?: { readonly private_metadata: string; readonly callback_id: string }
    readonly blocks?: readonly Block[]
  }
}

async function setUp(
  o: {
    readonly policy?: ApprovalPolicy
    readonly slack?: object
    readonly answer?: object
    readonly sealed?: boolean
  } = {},
) {
  const t = testDesk(o.policy ?? ANY)
  let ts = 0
  const api = await receiver((res, { path, headers }) => {
    const known = headers.authorization === 'Bearer xoxb-test'
    const answer = known ? { ok: true, ts: `17.${++ts}`, ...o.answer } : { ok: false, error: 'invalid_auth' }
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ method: path, ...answer }))
  })
  ends.push(() => api.close())
  const { slack: setting } = readNotifications({
    slack: {
      channel: CHANNEL,
      team: TEAM,
      app: APP,
      users: USERS,
      includeArguments: true,
      apiUrl: `${api.url}/api`,
      ...o.slack,
    },
  })
  if (setting === undefined) throw new Error('there is a slack setting')
  const slackApi = createSlackApi(setting.apiUrl, 'xoxb-test', egress)
  const { clock, audit } = t
  const notifier = new Notifier({
    store: await openSqliteNotices(join(folder, `${++files}.db`)),
    destinations: [
      slackDestination(setting, { consoleUrl: 'https://signet.example.com', sealed: o.sealed ?? false, api: slackApi }),
    ],
    audit,
    clock,
    random: systemRandom(),
  })
  await notifier.open()
  t.followers.push(notifier.tell)
  notifier.start(t.desk)
  ends.push(() => notifier.close())
  const control = await startControl({
    host: '127.0.0.1',
    port: 0,
    allowedHosts: ['signet.example.com'],
    log: undefined,
    escalations: undefined,
    metrics: undefined,
    slack: {
      desk: t.desk,
      roles: createRoles({ viewers: ['human:viewer@example.com'], approvers: APPROVERS, admins: [] }),
      setting,
      signingSecret: SIGNING,
      api: slackApi,
      clock,
    },
    version: '0',
  })
  ends.push(() => control.close())
  const sent = (): readonly Sent[] =>
    api.got.map(g => ({ method: g.path.slice('/api/'.length), body: JSON.parse(g.body) as Sent['body'] }))
  /** With `sign` and headers of the caller's choosing. */
  const post = (body: string, headers: Record<string, string | readonly string[]>) =>
    send(`${control.url}${SLACK_PATH}`, body, headers)
  const press = (payload: object) => {
    const body = form(payload)
    return post(body, signed(body, clock.ms))
  }
  return { ...t, notifier, control, api, sent, post, press }
}

/** node:http, for headers that fetch would not send. */
function send(url: string, body: string, headers: Record<string, string | readonly string[]>, method = 'POST') {
  return new Promise<{ readonly status: number; readonly body: string }>((resolve, reject) => {
    const req = request(url, { method, headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } })
    req.on('error', reject)
    req.on('response', res => {
      let text = ''
      res.on('data', piece => {
        text += String(piece)
      })
      res.on('end', () => resolve({ status: res.statusCode ?? 0, body: text }))
    })
    req.end(body)
  })
}

const form = (payload: object) => new URLSearchParams({ payload: JSON.stringify(payload) }).toString()
function signed(body: string, ms: number, secret = SIGNING): Record<string, string> {
  const timestamp = String(Math.floor(ms / 1000))
  const mac = createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex')
  return { 'x-slack-request-timestamp': timestamp, 'x-slack-signature': `v0=${mac}` }
}

const value = (e: Pick<Escalation, 'id' | 'digest'>) => `1 ${e.id} ${e.digest}`
function pressed(
  e: Pick<Escalation, 'id' | 'digest'>,
  user = 'U00000BOB',
  action = 'signet_approve',
  more: object = {},
) {
  return {
    type: 'block_actions',
    team: { id: TEAM, domain: 'acme' },
    user: { id: user, username: 'anybody', team_id: TEAM },
    api_app_id: APP,
    container: { type: 'message', channel_id: CHANNEL },
    channel: { id: CHANNEL, name: 'approvals' },
    trigger_id: '13345224609.738474920.8088930838d88f008e0',
    response_url: 'https://evil.example/answers',
    actions: [{ action_id: action, block_id: 'b', type: 'button', value: value(e) }],
    ...more,
  }
}
function submitted(e: Pick<Escalation, 'id' | 'digest'>, reason: string | null, user = 'U00000BOB', more: object = {}) {
  return {
    type: 'view_submission',
    team: { id: TEAM },
    user: { id: user, team_id: TEAM },
    api_app_id: APP,
    view: {
      callback_id: 'signet_reason',
      private_metadata: value(e),
      state: { values: { reason: { reason: { type: 'plain_text_input', value: reason } } } },
    },
    ...more,
  }
}

const buttons = (sent: Sent | undefined) =>
  (sent?.body.blocks ?? [])
    .flatMap(b => b.elements ?? [])
    .flatMap(({ action_id: id }) => (id === undefined ? [] : [id]))
const now = async (s: Awaited<ReturnType<typeof setUp>>, e: Escalation) => (await s.desk.find(e.id))?.state
/** What people were told alone. */
const told = (s: Awaited<ReturnType<typeof setUp>>) => s.sent().filter(({ method }) => method === 'chat.postEphemeral')

describe('a message', () => {
  it('has the arguments, buttons that stand for the digest, and a link that gives no right', async () => {
    const s = await setUp()
    const e = await s.hold()
    await s.notifier.quiet()
    const [message] = s.sent()
    expect(message?.method).toBe('chat.postMessage')
    expect(message?.body.channel).toBe(CHANNEL)
    expect(buttons(message)).toEqual(['signet_approve', 'signet_deny', 'signet_open'])
    const elements = message?.body.blocks?.at(-1)?.elements ?? []
    expect(elements.map(b => b.value)).toEqual([value(e), value(e), undefined])
    expect(elements[2]?.url).toBe(`https://signet.example.com/console/#/approvals/${e.id}`)
    expect(JSON.stringify(message?.body)).toContain('{\\"amount\\":50000}')
  })

  it.each<[string, object, readonly (readonly [string, string])[], object?]>([
    ['arguments are not to be shown', { includeArguments: false }, [['t', '{}']]],
    ['nobody could press', { users: {} }, [['t', '{}']]],
    ['arguments are too long', {}, [['t', JSON.stringify({ a: 'x'.repeat(3000) })]]],
    ['there are too many calls', {}, Array.from({ length: 11 }, () => ['t', '{}'] as const)],
    [
      'all arguments together are too long',
      {},
      Array.from({ length: 5 }, () => ['t', JSON.stringify('x'.repeat(2500))] as const),
    ],
    ['a name is too long', {}, [['t'.repeat(400), '{}']]],
    ['a whole request is held', {}, [], { stage: 'admission' }],
  ])('has no buttons where %s', async (_, slack, calls, over = {}) => {
    const s = await setUp({ slack })
    const e = await s.hold(calls, over)
    await s.notifier.quiet()
    const [message] = s.sent()
    expect(buttons(message)).toEqual(['signet_open'])
    expect(JSON.stringify(message)).not.toContain(value(e))
    expect(message?.body.blocks?.length).toBeLessThanOrEqual(50)
  })

  it('has no buttons where names are sealed: nobody decides about whom they are not told of', async () => {
    const s = await setUp({ sealed: true })
    await s.hold()
    await s.notifier.quiet()
    expect(buttons(s.sent()[0])).toEqual(['signet_open'])
  })

  it('that is cut says how much there is, and what the whole of it is', async () => {
    const s = await setUp()
    const e = await s.hold([['t', JSON.stringify({ a: 'x'.repeat(5000) })]])
    await s.notifier.quiet()
    const text = JSON.stringify(s.sent()[0]?.body)
    expect(text).toContain('Not all of it: 2900 of 5008 characters')
    expect(text).toContain(e.calls[0]?.argumentsDigest)
  })

  it('has no Approve where only a passkey counts', async () => {
    const s = await setUp({ policy: { ...ANY, auth: 'passkey' } })
    await s.hold()
    await s.notifier.quiet()
    expect(buttons(s.sent()[0])).toEqual(['signet_deny', 'signet_open'])
  })

  it.each<[string, (s: Awaited<ReturnType<typeof setUp>>, e: Escalation) => Promise<void>, string]>([
    ['is decided elsewhere', (s, e) => s.decide(e, 'deny'), 'Denied by human:bob@example.com (api_key)'],
    [
      'has expired',
      async s => {
        s.clock.pass(900_000)
        await s.desk.sweep()
      },
      'Expired: nobody decided',
    ],
  ])('is changed, and loses its buttons, when the escalation %s', async (_, what, says) => {
    const s = await setUp()
    const e = await s.hold()
    await s.notifier.quiet()
    await what(s, e)
    await s.notifier.quiet()
    const last = s.sent().at(-1)
    expect([last?.method, last?.body.ts]).toEqual(['chat.update', '17.1'])
    expect(JSON.stringify(last?.body.blocks)).toContain(says)
    expect(buttons(last)).toEqual(['signet_open'])
  })

  it('asks the next in a chain when one has approved', async () => {
    const s = await setUp({ policy: { approvers: APPROVERS.slice(0, 2) } })
    const e = await s.hold()
    await s.notifier.quiet()
    await s.press(pressed(e))
    await s.notifier.quiet()
    const last = s.sent().at(-1)
    expect(last?.method).toBe('chat.update')
    expect(JSON.stringify(last?.body.blocks)).toContain('Approved by human:bob@example.com (slack)')
    expect(JSON.stringify(last?.body.blocks)).toContain('Asked: human:carol@example.com')
    await s.press(pressed(e, 'U00000CAROL'))
    expect(await now(s, e)).toBe('approved')
  })

  it('of something that is over before it could be sent is not sent', async () => {
    const s = await setUp({ answer: { ok: false, error: 'channel_not_found' } })
    const e = await s.hold()
    await s.notifier.quiet()
    await s.decide(e, 'deny')
    await s.notifier.quiet()
    const before = s.sent().length
    for (let i = 0; i < 12; i += 1) {
      s.clock.pass(6 * 3_600_000)
      await s.notifier.quiet()
    }
    expect(s.sent().length).toBe(before)
    expect(s.notifier.status[0]).toMatchObject({ failed: 1, waiting: 0, givenUp: 0 })
  })
})

describe('a press', () => {
  it('approves what the button stands for, in the name of whom the operator says that is', async () => {
    const s = await setUp()
    const e = await s.hold()
    expect(await s.press(pressed(e))).toEqual({ status: 200, body: '' })
    const after = await s.desk.find(e.id)
    expect(after).toMatchObject({ state: 'approved' })
    expect(after?.decisions).toMatchObject([
      { approver: 'human:bob@example.com', decision: 'approve', by: 'slack', digest: e.digest },
    ])
    expect(s.audit.named('escalation.decided')[0]?.metadata['_approver_authenticated_by']).toBe('slack')
    expect(told(s)).toEqual([])
  })

  it('to deny opens a form that asks why, and what was said there is the reason', async () => {
    const s = await setUp()
    const e = await s.hold()
    expect((await s.press(pressed(e, 'U00000BOB', 'signet_deny'))).status).toBe(200)
    expect(await now(s, e)).toBe('pending')
    const opened = s.sent().find(({ method }) => method === 'views.open')
    expect(opened?.body.trigger_id).toBe('13345224609.738474920.8088930838d88f008e0')
    expect(opened?.body.view?.private_metadata).toBe(value(e))
    const empty = await s.press(submitted(e, '   '))
    expect(JSON.parse(empty.body)).toEqual({
      response_action: 'errors',
      errors: { reason: 'Say why, in a sentence.' },
    })
    expect(await s.press(submitted(e, 'not to that account'))).toEqual({ status: 200, body: '' })
    expect((await s.desk.find(e.id))?.decisions).toMatchObject([
      { decision: 'deny', by: 'slack', reason: 'not to that account' },
    ])
  })

  it('of two at once, one is heard', async () => {
    const s = await setUp()
    const e = await s.hold()
    const answers = await Promise.all([s.press(pressed(e)), s.press(submitted(e, 'no', 'U00000CAROL'))])
    expect(answers.map(a => a.status)).toEqual([200, 200])
    const after = await s.desk.find(e.id)
    expect(after?.decisions).toHaveLength(1)
    const decided = s.audit.named('escalation.decided').length
    expect([decided, s.audit.named('escalation.not_counted').length]).toEqual([1, 1])
  })

  it.each<[string, (e: Escalation) => object, string]>([
    ['somebody nobody knows', e => pressed(e, 'U00000NOBODY'), 'nobody knows here who you are'],
    ['somebody without the role', e => pressed(e, 'U00000VIEWER'), 'you are not an approver here'],
    ['the human behind the agent that asks', e => pressed(e, 'U00000ALICE'), 'in their own name'],
    ['an approver, for another digest', e => pressed({ ...e, digest: `sha256:${'0'.repeat(64)}` }), 'another digest'],
    [
      'an approver, for an escalation that is not there',
      e => pressed({ ...e, id: '01900000-0000-7000-8000-000000000000' }),
      'not there any more',
    ],
    ['somebody nobody knows, who wants to deny', e => pressed(e, 'U00000NOBODY', 'signet_deny'), 'nobody knows here'],
  ])('by %s does not count, and they alone are told so', async (_, payload, says) => {
    const s = await setUp()
    const e = await s.hold()
    expect(await s.press(payload(e))).toEqual({ status: 200, body: '' })
    await s.api.came(2)
    expect(await now(s, e)).toBe('pending')
    const [only] = told(s)
    expect(only?.body.channel).toBe(CHANNEL)
    expect(only?.body.user).toMatch(/^U00000/)
    expect(only?.body.text).toContain(says)
    expect(only?.body).toMatchObject({ parse: 'none', link_names: false })
    // Never where the request says.
    expect(JSON.stringify(s.sent())).not.toContain('evil.example')
  })

  it('by whoever is the owner does not count even when the rule names them', async () => {
    const s = await setUp()
    const e = await s.hold(undefined, {
      owner: { type: 'human', id: 'carol@example.com', approvalChain: [], authenticatedBy: 'api_key' },
    })
    const answer = await s.press(submitted(e, 'no', 'U00000CAROL'))
    expect(answer.body).toContain('in their own name')
    expect(await now(s, e)).toBe('pending')
  })

  it('to approve where only a passkey counts does not count; to deny does', async () => {
    const s = await setUp({ policy: { ...ANY, auth: 'passkey' } })
    const e = await s.hold()
    await s.press(pressed(e))
    await s.api.came(2)
    expect(told(s)[0]?.body.text).toContain('with a passkey only')
    expect(await now(s, e)).toBe('pending')
    await s.press(submitted(e, 'no'))
    expect(await now(s, e)).toBe('denied')
  })

  it('after the time is over, or when the log cannot be written, does not count', async () => {
    const s = await setUp()
    const e = await s.hold()
    s.audit.ok = false
    const answer = await s.press(submitted(e, 'no'))
    expect(answer.body).toContain('it could not be written down')
    expect(await now(s, e)).toBe('pending')
    s.audit.ok = true
    s.clock.pass(900_000)
    await s.press(pressed(e))
    await s.notifier.quiet()
    expect(await now(s, e)).toBe('expired')
    expect(s.audit.named('escalation.decided')).toEqual([])
  })

  it('on the link to the console changes nothing', async () => {
    const s = await setUp()
    const e = await s.hold()
    expect((await s.press(pressed(e, 'U00000BOB', 'signet_open'))).status).toBe(200)
    expect(await now(s, e)).toBe('pending')
  })
})

describe('a request that is not for us', () => {
  type Forge = (body: string, ms: number) => Record<string, string | readonly string[]>
  const FORGED: readonly (readonly [string, Forge, number, string])[] = [
    ['without a signature', () => ({}), 403, 'signature_missing'],
    ['with another secret', (b, ms) => signed(b, ms, 'another'), 403, 'signature_invalid'],
    ['of another body', (_, ms) => signed('payload=%7B%7D', ms), 403, 'signature_invalid'],
    ['of 301 seconds ago', (b, ms) => signed(b, ms - 301_000), 403, 'signature_stale'],
    ['of 301 seconds ahead', (b, ms) => signed(b, ms + 302_000), 403, 'signature_stale'],
    [
      'with a new time over an old signature',
      (b, ms) => ({ ...signed(b, ms - 400_000), 'x-slack-request-timestamp': String(Math.floor(ms / 1000)) }),
      403,
      'signature_invalid',
    ],
    [
      'with the time as a fraction',
      (b, ms) => ({ ...signed(b, ms), 'x-slack-request-timestamp': `${Math.floor(ms / 1000)}.0` }),
      403,
      'signature_invalid',
    ],
    [
      'with a time of no digits',
      (b, ms) => ({ ...signed(b, ms), 'x-slack-request-timestamp': 'NaN' }),
      403,
      'signature_invalid',
    ],
    [
      'with another version of the scheme',
      (b, ms) => ({ ...signed(b, ms), 'x-slack-signature': 'v1=00' }),
      403,
      'signature_invalid',
    ],
    [
      'with a signature of another length',
      (b, ms) => {
        const s = signed(b, ms)
        return { ...s, 'x-slack-signature': s['x-slack-signature']?.slice(0, -2) ?? '' }
      },
      403,
      'signature_invalid',
    ],
    [
      'with two signatures',
      (b, ms) => {
        const s = signed(b, ms)
        return { ...s, 'x-slack-signature': [s['x-slack-signature'] ?? '', `v0=${'0'.repeat(64)}`] }
      },
      403,
      'signature_invalid',
    ],
    [
      'from a page of another origin',
      (b, ms) => ({ ...signed(b, ms), origin: 'https://evil.example' }),
      403,
      'origin_not_allowed',
    ],
    ['for another host', (b, ms) => ({ ...signed(b, ms), host: 'evil.example' }), 421, 'host_not_allowed'],
  ]
  it.each(FORGED)('%s decides nothing', async (_, forge, status, error) => {
    const s = await setUp()
    const e = await s.hold()
    const body = form(pressed(e))
    const answer = await s.post(body, forge(body, s.clock.ms))
    expect([answer.status, (JSON.parse(answer.body) as { error: string }).error]).toEqual([status, error])
    expect(await now(s, e)).toBe('pending')
    expect(s.audit.named('escalation.not_counted')).toEqual([])
  })

  it.each<[string, (e: Escalation) => object]>([
    ['another workspace', e => pressed(e, 'U00000BOB', 'signet_approve', { team: { id: 'T9999999999' } })],
    ['no workspace', e => pressed(e, 'U00000BOB', 'signet_approve', { team: null })],
    ['another app', e => pressed(e, 'U00000BOB', 'signet_approve', { api_app_id: 'A9999999999' })],
    ['another channel', e => pressed(e, 'U00000BOB', 'signet_approve', { channel: { id: 'C9999999999' } })],
    [
      'somebody of another workspace in a shared channel',
      e => pressed(e, 'U00000BOB', 'signet_approve', { user: { id: 'U00000BOB', team_id: 'T9999999999' } }),
    ],
    ['another workspace, in a form', e => submitted(e, 'no', 'U00000BOB', { team: { id: 'T9999999999' } })],
  ])('of %s is refused, although Slack has signed it', async (_, payload) => {
    const s = await setUp()
    const e = await s.hold()
    const answer = await s.press(payload(e))
    expect([answer.status, (JSON.parse(answer.body) as { error: string }).error]).toEqual([403, 'not_ours'])
    expect(await now(s, e)).toBe('pending')
  })

  it('that was here before is refused, also when somebody else sends it', async () => {
    const s = await setUp({ policy: { approvers: APPROVERS, quorum: 2 } })
    const e = await s.hold()
    const body = form(pressed(e))
    const headers = signed(body, s.clock.ms)
    expect((await s.post(body, headers)).status).toBe(200)
    s.clock.pass(290_000)
    const again = await s.post(body, headers)
    expect([again.status, (JSON.parse(again.body) as { error: string }).error]).toEqual([409, 'replayed'])
    expect((await s.desk.find(e.id))?.decisions).toHaveLength(1)
  })

  it.each<[string, (e: Escalation) => string]>([
    ['no payload', () => 'hello=1'],
    ['two payloads', e => `${form(pressed(e))}&${form(pressed(e))}`],
    ['no JSON', () => 'payload=hello'],
    [
      'JSON with a name twice',
      e =>
        new URLSearchParams({ payload: JSON.stringify(pressed(e)).replace('{', '{"type":"view_closed",') }).toString(),
    ],
    ['a list', () => 'payload=[]'],
    [
      'two presses',
      e => form(pressed(e, 'U00000BOB', 'x', { actions: [...pressed(e).actions, ...pressed(e).actions] })),
    ],
    ['an action of no button', e => form(pressed(e, 'U00000BOB', 'other'))],
    [
      'a value of another form',
      e =>
        form(
          pressed(e, 'U00000BOB', 'signet_approve', {
            actions: [{ action_id: 'signet_approve', value: `2 ${e.id} ${e.digest}` }],
          }),
        ),
    ],
    ['another form', e => form({ ...submitted(e, 'no'), view: { callback_id: 'other', private_metadata: value(e) } })],
    ['a shortcut', e => form(pressed(e, 'U00000BOB', 'signet_approve', { type: 'shortcut' }))],
    ['nothing', () => ''],
  ])('with %s is not understood, although Slack has signed it', async (_, make) => {
    const s = await setUp()
    const e = await s.hold()
    const body = make(e)
    const answer = await s.post(body, signed(body, s.clock.ms))
    expect([answer.status, (JSON.parse(answer.body) as { error: string }).error]).toEqual([400, 'not_understood'])
    expect(await now(s, e)).toBe('pending')
  })

  it('that is too long is not read, and only POST is taken', async () => {
    const s = await setUp()
    const body = `payload=${'x'.repeat(256 * 1024)}`
    expect((await s.post(body, signed(body, s.clock.ms))).status).toBe(413)
    expect((await send(`${s.control.url}${SLACK_PATH}`, '', {}, 'GET')).status).toBe(405)
    expect((await send(`${s.control.url}${SLACK_PATH}/`, '', {})).status).toBe(404)
  })

  it('with the name that Slack calls us by is answered', async () => {
    const s = await setUp()
    const e = await s.hold()
    const body = form(pressed(e))
    const answer = await s.post(body, { ...signed(body, s.clock.ms), host: 'signet.example.com' })
    expect(answer.status).toBe(200)
    expect(await now(s, e)).toBe('approved')
  })
})

it('what is remembered against replays is bounded: more than that are refused, and the old ones are forgotten in time', () => {
  const clock = { ms: 1_700_000_000_000, now: () => clock.ms }
  const signatures = new SlackSignatures(SIGNING, clock, 3)
  const ask = (n: number, ms = clock.ms) => {
    const body = `payload=${n}`
    const h = signed(body, ms)
    return signatures.check(h['x-slack-request-timestamp'], h['x-slack-signature'], Buffer.from(body))
  }
  expect([1, 2, 3, 4].map(n => ask(n))).toEqual([undefined, undefined, undefined, 'too_many'])
  expect(ask(1)).toBe('replayed')
  const first = clock.ms
  clock.ms += 300_000
  // Still young enough to come again, and still known.
  expect(ask(1, first)).toBe('replayed')
  clock.ms += 1_001
  expect(ask(1, first)).toBe('signature_stale')
  expect(ask(5)).toBeUndefined()
})
