/**
 * Where Slack says that somebody pressed a button: `POST /slack/interactions`.
 *
 * Guarantees: nothing is read before Slack's signature over the bytes that came is found right, recent and new; who pressed
 * is who the operator's map says that Slack user is, with the role the operator gave that principal; what is decided is the
 * digest that the button stands for, by the same desk as over the API, known by `slack`. Whoever may not is told so, alone.
 * Answers go to the configured address of Slack's API, never to one that the request names.
 */
import type { Clock } from '../core/clock.ts'
import { AuditUnavailable } from '../core/row.ts'
import type { Desk } from '../escalation/desk.ts'
import { headerValue } from '../identity/headers.ts'
import type { SlackSetting } from '../notify/settings.ts'
import type { SlackApi } from '../notify/slack/api.ts'
import { type Interaction, readInteraction } from '../notify/slack/interaction.ts'
import { entities, reasonView } from '../notify/slack/message.ts'
import { REASON, type Stands } from '../notify/slack/press.ts'
import { type SignatureProblem, SlackSignatures } from '../notify/slack/signature.ts'
import { type Roles, reaches } from './access.ts'
import { type Answer, type ControlRequest, json, problem, type Route } from './listener.ts'

export const SLACK_PATH = '/slack/interactions'
/** A press comes with the message it was made in: ten thousand characters of arguments, form-encoded. */
const MAX_BODY = 256 * 1024

export interface SlackOptions {
  readonly desk: Pick<Desk, 'decide' | 'find'>
  readonly roles: Roles
  readonly setting: SlackSetting
  readonly signingSecret: string
  readonly api: SlackApi
  readonly clock: Pick<Clock, 'now'>
}

export function slackRoute(o: SlackOptions): Route {
  const signatures = new SlackSignatures(o.signingSecret, o.clock)
  return {
    path: SLACK_PATH,
    methods: ['POST'],
    takes: path => path === SLACK_PATH,
    answer: async (_, request) => {
      const body = await request.body(MAX_BODY)
      const wrong = check(signatures, request, body)
      return wrong === undefined ? act(o, readInteraction(body, o.setting)) : problem(STATUS[wrong], wrong)
    },
  }
}

const STATUS: Readonly<Record<SignatureProblem, number>> = {
  // Not 401: there is no challenge (RFC 9110 15.5.2) that anybody could meet.
  signature_missing: 403,
  signature_stale: 403,
  signature_invalid: 403,
  replayed: 409,
  too_many: 503,
}

const SIGNATURE = 'x-slack-signature'
const TIMESTAMP = 'x-slack-request-timestamp'

function check(signatures: SlackSignatures, { rawHeaders }: ControlRequest, body: Uint8Array) {
  const names = rawHeaders.filter((_, i) => i % 2 === 0).map(name => name.toLowerCase())
  // Of two signatures, whoever reads in front of us may have checked the other one.
  for (const name of [SIGNATURE, TIMESTAMP]) if (names.filter(n => n === name).length > 1) return 'signature_invalid'
  return signatures.check(headerValue(rawHeaders, TIMESTAMP), headerValue(rawHeaders, SIGNATURE), body)
}

async function act(o: SlackOptions, did: Interaction): Promise<Answer> {
  switch (did.kind) {
    case 'not_understood':
      return problem(400, 'not_understood')
    case 'not_ours':
      return problem(403, 'not_ours', { description: 'another workspace, app or channel than the one configured' })
    case 'nothing':
      return DONE
    case 'approve': {
      const refused = await decide(o, did.user, did.stands, 'approve', undefined)
      if (refused !== undefined) tell(o, did.user, refused)
      return DONE
    }
    case 'ask_reason':
      await askReason(o, did.user, did.stands, did.trigger)
      return DONE
    case 'deny': {
      const refused =
        did.reason === undefined ? 'Say why, in a sentence.' : await decide(o, did.user, did.stands, 'deny', did.reason)
      return refused === undefined ? DONE : json(200, { response_action: 'errors', errors: { [REASON]: refused } })
    }
  }
}

/** What Slack takes for "done"; with a body it would look for more in it. */
const DONE: Answer = { status: 200, headers: { 'cache-control': 'no-store' }, body: new Uint8Array() }

/** What to tell the one who pressed; `undefined`: it counts. */
async function decide(
  o: SlackOptions,
  user: string,
  stands: Stands,
  decision: 'approve' | 'deny',
  reason: string | undefined,
): Promise<string | undefined> {
  const who = personOf(o, user)
  if (who.kind === 'refused') return who.message
  try {
    const said = await o.desk.decide(stands.id, {
      approver: who.principal,
      decision,
      by: 'slack',
      digest: stands.digest,
      ...(reason === undefined ? {} : { reason }),
    })
    switch (said.kind) {
      case 'decided':
        return undefined
      case 'unknown':
        return 'This escalation is not there any more.'
      case 'refused':
        return `This did not count: ${said.message}.`
    }
  } catch (error) {
    return error instanceof AuditUnavailable
      ? 'This did not count: it could not be written down. Try again later.'
      : 'This did not count: it could not be decided just now. Look at the escalation, and try again.'
  }
}

async function askReason(o: SlackOptions, user: string, stands: Stands, trigger: string): Promise<void> {
  const who = personOf(o, user)
  if (who.kind === 'refused') return tell(o, user, who.message)
  const view = { trigger_id: trigger, view: reasonView(stands) }
  const opened = await o.api.call('views.open', view, { nowMs: o.clock.now() })
  if (!opened.ok) tell(o, user, `Slack did not open the form (${opened.error}). Deny it in the console.`)
}

function personOf(
  { setting, roles }: SlackOptions,
  user: string,
): { readonly kind: 'person'; readonly principal: string } | { readonly kind: 'refused'; readonly message: string } {
  const principal = setting.users.get(user)
  if (principal === undefined)
    return { kind: 'refused', message: 'This did not count: nobody knows here who you are. Ask the operator.' }
  return reaches(roles(principal), 'approver')
    ? { kind: 'person', principal }
    : { kind: 'refused', message: 'This did not count: you are not an approver here.' }
}

/** To that person alone. Nobody waits for it: Slack wants its answer within three seconds. */
function tell({ api, setting, clock }: SlackOptions, user: string, text: string): void {
  const { channel } = setting
  // Slack reads `<!channel>` and the like in any text of a message.
  const plain = { text: entities(text), parse: 'none', link_names: false }
  void api.call('chat.postEphemeral', { channel, user, ...plain }, { nowMs: clock.now() })
}
