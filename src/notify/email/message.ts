/**
 * The e-mail of an escalation: plain text, so nothing in it is markup. Its headers hold nothing that a model or a caller chose,
 * and arguments stand behind a margin, so no line of theirs looks like one of ours.
 */
import type { Notice } from '../../core/state.ts'
import { currentApprovers } from '../../escalation/approvers.ts'
import type { Escalation } from '../../escalation/escalation.ts'
import { escapeText } from '../../text/visible.ts'
import { namesOf } from '../names.ts'
import { consoleLink, GAP_NOTE, show } from '../shown.ts'

const PER_CALL = 20_000
const TOTAL = 50_000
const MAX_CALLS = 50
/** RFC 5322 2.1.1 allows 998 octets in a line; a character may have four. */
const LINE = 200

export interface Mail {
  readonly subject: string
  readonly text: string
}

export interface MailOptions {
  readonly consoleUrl: string | undefined
  readonly includeArguments: boolean
  /** Names of people are left out. */
  readonly sealed: boolean
}

export function escalationMail(notice: Pick<Notice, 'event'>, e: Escalation, o: MailOptions): Mail {
  const shown = show(e, { calls: MAX_CALLS, perCall: PER_CALL, total: TOTAL, sealed: o.sealed })
  const names = namesOf(e, o.sealed)
  const link = consoleLink(o.consoleUrl, e.id)
  const lines = [
    `${SAYS[notice.event] ?? notice.event}.`,
    '',
    `Owner:   ${shown.owner}`,
    `Why:     ${shown.reason} (${shown.check})`,
    `At:      ${shown.stage === 'admission' ? 'the request, before the model is called' : 'calls that the model proposes'}`,
    `State:   ${e.state}`,
    `Until:   ${shown.expires}`,
    `Digest:  ${shown.digest}`,
    `Id:      ${shown.id}`,
    ...shown.calls.flatMap((call, i) => [
      '',
      `Call ${i + 1} of ${e.calls.length}: ${call.tool}`,
      ...(call.tier === undefined ? [] : [`Tier:      ${escapeText(call.tier)}`]),
      ...(call.audience === undefined ? [] : [`Run by:    ${call.audience}`]),
      `Arguments: ${call.digest}`,
      ...(o.includeArguments && call.hasGap ? [GAP_NOTE] : []),
      ...(o.includeArguments ? margin(call.text) : []),
      ...(o.includeArguments && !call.whole
        ? [`Not all of it: ${call.text.length} of ${call.length} characters. See the whole of it in the console.`]
        : []),
    ]),
    ...(shown.calls.length < e.calls.length ? ['', `And ${e.calls.length - shown.calls.length} more calls.`] : []),
    ...e.decisions.map(
      d =>
        `${d.decision === 'approve' ? 'Approved' : 'Denied'} by ${escapeText(names.person(d.approver))} (${escapeText(d.by)})`,
    ),
    '',
    link === undefined ? `Decide with: signet escalations show ${e.id}` : `Decide after signing in: ${link}`,
    'This message gives nobody any right, and answers to it are not read.',
    '',
  ]
  return { subject: `signet: ${SAYS[notice.event] ?? notice.event} (${e.id})`, text: lines.join('\n') }
}

const SAYS: Readonly<Record<string, string>> = {
  'escalation.created': 'An approval is asked for',
  'escalation.progressed': 'An approval is asked for; others have approved already',
  'escalation.approved': 'An escalation was approved',
  'escalation.denied': 'An escalation was denied',
  'escalation.expired': 'An escalation has expired',
  'escalation.released': 'An approved answer was released',
}

export function testMail(): Mail {
  return { subject: 'signet: a test of notifications', text: 'A test of notifications. Nothing is asked.\n' }
}

/** Its own line feeds included. */
function margin(text: string): readonly string[] {
  return text.split('\n').flatMap(line => {
    const pieces: string[] = []
    let piece = ''
    for (const character of line) {
      if (piece.length >= LINE) {
        pieces.push(piece)
        piece = ''
      }
      piece += character
    }
    return [...pieces, piece].map(p => `  | ${p}`)
  })
}

/** Whoever is asked now is told so; what became of it, all who were to be asked. */
export function isFor(event: string, person: string, e: Escalation): boolean {
  const asks = event === 'escalation.created' || event === 'escalation.progressed'
  return (asks ? currentApprovers(e) : e.rule.approvers).includes(person)
}
