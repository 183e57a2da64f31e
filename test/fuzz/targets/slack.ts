/** What Slack's signature is over: whoever has the signing secret, or presses a button, chooses these bytes. */
import { readInteraction } from '../../../src/notify/slack/interaction.ts'
import { buttonValue, MAX_REASON } from '../../../src/notify/slack/press.ts'
import type { Random } from '../random.ts'
import { bytesOf, equal, must, type Target, textOf } from '../target.ts'

const OURS = { team: 'T0123456789', app: 'A0123456789', channel: 'C0123456789' }
const STANDS = {
  id: '01900000-0000-7000-8000-000000000001',
  digest: `sha256:${'ab'.repeat(32)}`,
}

export const slackInteraction: Target = {
  name: 'slack-interaction',
  check(bytes) {
    const read = readInteraction(bytes, OURS)
    equal(readInteraction(bytes, OURS), read, 'the same bytes mean the same')
    if (read.kind === 'not_understood' || read.kind === 'not_ours' || read.kind === 'nothing') return
    // Nothing is done that the bytes do not say: the workspace, the app, the person, the digest.
    const said = new URLSearchParams(textOf(bytes)).get('payload') ?? ''
    const payload = JSON.parse(said) as { team: { id: string }; api_app_id: string; user: { id: string } }
    equal([payload.team.id, payload.api_app_id], [OURS.team, OURS.app], 'of our workspace and app')
    must(/^[UW][A-Z0-9]{2,30}$/.test(read.user), 'somebody Slack can name')
    equal(payload.user.id, read.user, 'the person that Slack names')
    must(/^[0-9a-f-]{36}$/.test(read.stands.id), 'about an escalation')
    must(/^sha256:[0-9a-f]{64}$/.test(read.stands.digest), 'about a digest')
    if (read.kind === 'deny' && read.reason !== undefined)
      must(read.reason.trim() !== '' && read.reason.length <= MAX_REASON, 'a reason that says something')
  },
  build(random: Random) {
    const button = {
      action_id: random.pick(['signet_approve', 'signet_deny', 'signet_open']),
      value: buttonValue(STANDS),
    }
    const view = {
      callback_id: 'signet_reason',
      private_metadata: buttonValue(STANDS),
      state: { values: { reason: { reason: { value: random.pick(['no', ' ', 'x'.repeat(1001)]) } } } },
    }
    const payload = {
      type: random.pick(['block_actions', 'view_submission', 'view_closed']),
      team: { id: OURS.team },
      api_app_id: OURS.app,
      user: { id: 'U0123456789', team_id: OURS.team },
      channel: { id: OURS.channel },
      trigger_id: '1.2.3',
      actions: [button],
      view,
    }
    return bytesOf(new URLSearchParams({ payload: JSON.stringify(payload) }).toString())
  },
  words: ['payload=', '%7B', '%22', 'signet_approve', 'signet_deny', OURS.team, '&payload=', 'null', '%5Cu0000'],
}
