/**
 * The message of an escalation, in Block Kit (https://docs.slack.dev/reference/block-kit).
 *
 * Guarantees: nothing a model or a caller chose is ever in a field that Slack reads as mrkdwn: facts are `plain_text` without
 * emoji, arguments stand in a preformatted rich text. `&`, `<` and `>` are escaped all the same, so that no mention, link
 * or channel reference can come of them should a client read them. Buttons are there only when every argument is shown
 * whole, and without a gap that a reader would take for its end.
 */
import { currentApprovers } from '../../escalation/approvers.ts'
import { type Escalation, isOver } from '../../escalation/escalation.ts'
import { escapeText } from '../../text/visible.ts'
import { type Names, namesOf } from '../names.ts'
import { consoleLink, cutAt, GAP_NOTE, type Shown, show } from '../shown.ts'
import { APPROVE, buttonValue, DENY, MAX_REASON, OPEN, REASON, REASON_VIEW, type Stands } from './press.ts'

/** A plain_text of a section may have 3,000 characters; a message 50 blocks. */
const MAX_TEXT = 3000
const MAX_CALLS = 10
const PER_CALL = 2_900
const TOTAL = 10_000

export interface MessageOptions {
  readonly consoleUrl: string | undefined
  readonly includeArguments: boolean
  /** Names of people are left out, and nobody decides here about somebody they are not told of. */
  readonly sealed: boolean
  /** There is somebody who could press a button. */
  readonly buttons: boolean
}

export interface SlackMessage {
  /** What notifications and screen readers get. Nothing of others' choosing. */
  readonly text: string
  readonly blocks: readonly object[]
  readonly mrkdwn: false
  readonly parse: 'none'
  readonly link_names: false
  readonly unfurl_links: false
  readonly unfurl_media: false
}

export function slackMessage(e: Escalation, o: MessageOptions): SlackMessage {
  const shown = show(e, { calls: MAX_CALLS, perCall: PER_CALL, total: TOTAL, sealed: o.sealed, form: slackJson })
  const names = namesOf(e, o.sealed)
  const about = shown.calls.map((call, i) =>
    [
      `Call ${i + 1} of ${e.calls.length}: ${entities(call.tool)}`,
      ...(call.tier === undefined ? [] : [`Tier: ${entities(escapeText(call.tier))}`]),
      ...(call.audience === undefined ? [] : [`Run by: ${entities(call.audience)}`]),
      `Arguments: ${call.digest}`,
    ].join('\n'),
  )
  const what = facts(e, shown, names)
  const whole = shown.whole && [what, ...about].every(part => part.length <= MAX_TEXT)
  // A whole request that is held is shown nowhere, so nobody decides about it here.
  const canDecide = o.buttons && o.includeArguments && whole && shown.calls.length > 0 && e.state === 'pending'
  const blocks = [
    plain(HEADLINES[e.state]),
    plain(what),
    ...shown.calls.flatMap((call, i) => {
      const facts = plain(about[i] ?? '')
      if (!o.includeArguments) return [facts]
      const rest = call.whole
        ? []
        : [
            plain(
              `Not all of it: ${call.text.length} of ${call.length} characters. See the whole of it in the console.`,
            ),
          ]
      const gap = call.hasGap ? [plain(GAP_NOTE)] : []
      // Before it: whoever stops reading at the gap has been told.
      return [facts, ...gap, ...preformatted(call.text), ...rest]
    }),
    ...(shown.calls.length < e.calls.length ? [plain(`And ${e.calls.length - shown.calls.length} more calls.`)] : []),
    ...decided(e, names),
    ...actions(e, canDecide, consoleLink(o.consoleUrl, e.id)),
  ]
  return {
    text: `${HEADLINES[e.state]} (${e.id})`,
    blocks,
    mrkdwn: false,
    parse: 'none',
    link_names: false,
    unfurl_links: false,
    unfurl_media: false,
  }
}

const HEADLINES: Readonly<Record<Escalation['state'], string>> = {
  pending: 'An approval is asked for',
  approved: 'Approved; it has not fired yet',
  denied: 'Denied',
  expired: 'Expired: nobody decided, or fetched the answer, in time',
  released: 'Approved and released',
}

function facts(e: Escalation, shown: Shown, names: Names): string {
  const asked = currentApprovers(e)
  return [
    `Owner: ${entities(shown.owner)}`,
    `Why: ${entities(shown.reason)} (${entities(shown.check)})`,
    `At: ${shown.stage === 'admission' ? 'the request, before the model is called' : 'calls that the model proposes'}`,
    ...(asked.length === 0
      ? []
      : [
          `Asked: ${entities(
            asked
              .slice(0, 5)
              .map(who => escapeText(names.person(who)))
              .join(', '),
          )}`,
        ]),
    ...(isOver(e.state) ? [] : [`Until: ${shown.expires}`]),
    `Digest: ${shown.digest}`,
    `Id: ${shown.id}`,
  ].join('\n')
}

function decided(e: Escalation, names: Names): readonly object[] {
  if (e.decisions.length === 0) return []
  const lines = e.decisions.map(d => {
    const reason = d.reason === undefined ? '' : `: ${cutAt(escapeText(names.within(d.reason)), 200)}`
    return entities(
      `${d.decision === 'approve' ? 'Approved' : 'Denied'} by ${escapeText(names.person(d.approver))} (${escapeText(d.by)})${reason}`,
    )
  })
  return [plain(lines.slice(-5).join('\n'))]
}

function actions(e: Escalation, canDecide: boolean, link: string | undefined): readonly object[] {
  const value = buttonValue(e)
  const elements = [
    ...(canDecide
      ? [
          // Slack shows who pressed; it cannot show the signature of a passkey.
          ...(e.rule.auth === undefined ? [button(APPROVE, 'Approve', { style: 'primary', value })] : []),
          button(DENY, 'Deny', { style: 'danger', value }),
        ]
      : []),
    // The address opens the console, which asks who is there.
    ...(link === undefined ? [] : [button(OPEN, 'Open console', { url: link })]),
  ]
  return elements.length === 0 ? [] : [{ type: 'actions', elements }]
}

/** Asks why, as the API does. */
export function reasonView(stands: Stands): object {
  return {
    type: 'modal',
    callback_id: REASON_VIEW,
    private_metadata: buttonValue(stands),
    title: text('Deny'),
    submit: text('Deny'),
    close: text('Back'),
    blocks: [
      plain(`Escalation ${stands.id}\nDigest ${stands.digest}`),
      {
        type: 'input',
        block_id: REASON,
        label: text('Why?'),
        element: {
          type: 'plain_text_input',
          action_id: REASON,
          multiline: true,
          min_length: 1,
          max_length: MAX_REASON,
        },
      },
    ],
  }
}

function button(action: string, label: string, more: object): object {
  return { type: 'button', action_id: action, text: text(label), ...more }
}

function plain(what: string): object {
  return { type: 'section', text: text(what.length <= MAX_TEXT ? what : `${cutEntities(what)}…`) }
}

/** No half of a character, and no half of what `entities` wrote. */
function cutEntities(what: string): string {
  return cutAt(what, MAX_TEXT - 1).replace(/&[a-z]{0,3}$/, '')
}

function text(what: string): object {
  return { type: 'plain_text', text: what, emoji: false }
}

/** Literal text: no mrkdwn, no links, no emoji. */
function preformatted(what: string): readonly object[] {
  if (what === '') return []
  return [
    {
      type: 'rich_text',
      elements: [{ type: 'rich_text_preformatted', elements: [{ type: 'text', text: what }] }],
    },
  ]
}

/** https://docs.slack.dev/messaging/formatting-message-text#escaping */
export function entities(what: string): string {
  return what.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/** The same in JSON, which stays the same JSON: outside of strings it has none of the three. */
export function slackJson(what: string): string {
  return what.replace(/[&<>]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
