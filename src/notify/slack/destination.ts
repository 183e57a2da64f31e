/**
 * One message per escalation in one channel, which then shows how it stands. Slack knows no way to post a thing once: when
 * its answer is lost the message may be there twice, and only the later one is kept up to date; an old button decides
 * nothing that is decided.
 */
import type { Destination, Sent } from '../destination.ts'
import { EVENT_TYPES } from '../events.ts'
import type { SlackSetting } from '../settings.ts'
import type { Called, SlackApi } from './api.ts'
import { slackMessage } from './message.ts'

/** The message is gone, or Slack does not let it be changed any more: trying again would not help. */
const FINAL = new Set(['message_not_found', 'cant_update_message', 'edit_window_closed', 'is_inactive'])

export interface SlackPorts {
  readonly consoleUrl: string | undefined
  /** Names of people are left out. */
  readonly sealed: boolean
  readonly api: SlackApi
}

export function slackDestination(o: SlackSetting, { consoleUrl, sealed, api }: SlackPorts): Destination {
  const { channel, team, includeArguments } = o
  return {
    name: 'slack',
    label: 'slack',
    address: `${o.apiUrl} ${team} ${channel}`,
    events: EVENT_TYPES,
    async send(_notice, e, { nowMs, signal, receipt }) {
      const ts = await receipt()
      if (ts === undefined && e.state !== 'pending') return { kind: 'skipped' }
      const message = slackMessage(e, { consoleUrl, sealed, includeArguments, buttons: o.users.size > 0 })
      const body = { channel, ...message, ...(ts === undefined ? {} : { ts }) }
      return outcomeOf(await api.call(ts === undefined ? 'chat.postMessage' : 'chat.update', body, { nowMs, signal }))
    },
    async test({ nowMs, signal }) {
      const said = 'A test of notifications. Nothing is asked.'
      return outcomeOf(await api.call('chat.postMessage', { channel, text: said, mrkdwn: false }, { nowMs, signal }))
    },
  }
}

function outcomeOf(called: Called): Sent {
  if (called.ok) {
    const { ts } = called.answer
    return { kind: 'delivered', ...(typeof ts === 'string' ? { receipt: ts } : {}), detail: 'Slack has it' }
  }
  const { error, afterMs, all } = called
  if (FINAL.has(error)) return { kind: 'refused', because: error }
  return {
    kind: 'failed',
    because: error,
    ...(afterMs === undefined ? {} : { afterMs }),
    ...(all === true ? { all } : {}),
  }
}
