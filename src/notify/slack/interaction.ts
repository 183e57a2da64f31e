/**
 * What Slack says somebody did: https://docs.slack.dev/reference/interaction-payloads. Read only after the signature has been
 * checked, and believed only as far as it is about our app, our workspace and our channel.
 */
import { isFault, readJson, toValue } from '../../dialects/json.ts'
import { isRecord } from '../../identity/issuer-documents.ts'
import type { SlackSetting } from '../settings.ts'
import { APPROVE, DENY, MAX_REASON, OPEN, REASON, REASON_VIEW, readButtonValue, type Stands } from './press.ts'

export type Interaction =
  | { readonly kind: 'approve'; readonly user: string; readonly stands: Stands }
  | { readonly kind: 'ask_reason'; readonly user: string; readonly stands: Stands; readonly trigger: string }
  | { readonly kind: 'deny'; readonly user: string; readonly stands: Stands; readonly reason: string | undefined }
  /** Somebody followed a link, or closed something. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'not_understood' }
  /** Another workspace, app or channel; or somebody of another workspace in a shared channel. */
  | { readonly kind: 'not_ours' }

const NOT_UNDERSTOOD: Interaction = Object.freeze({ kind: 'not_understood' })
const NOT_OURS: Interaction = Object.freeze({ kind: 'not_ours' })

/** `application/x-www-form-urlencoded` with one field, `payload`, that holds JSON. */
export function readInteraction(body: Uint8Array, ours: Pick<SlackSetting, 'team' | 'app' | 'channel'>): Interaction {
  const fields = [...new URLSearchParams(Buffer.from(body).toString('utf8'))]
  const [name, text] = fields[0] ?? []
  if (fields.length !== 1 || name !== 'payload' || text === undefined) return NOT_UNDERSTOOD
  const doc = readJson(Buffer.from(text))
  const payload = isFault(doc) ? undefined : toValue(doc.root)
  if (!isRecord(payload)) return NOT_UNDERSTOOD
  const user = record(payload['user'])
  const userId = user['id']
  if (record(payload['team'])['id'] !== ours.team || payload['api_app_id'] !== ours.app) return NOT_OURS
  // In a channel shared with another workspace (Slack Connect) anybody of theirs can press.
  if (user['team_id'] !== undefined && user['team_id'] !== ours.team) return NOT_OURS
  if (typeof userId !== 'string' || !/^[UW][A-Z0-9]{2,30}$/.test(userId)) return NOT_UNDERSTOOD
  switch (payload['type']) {
    case 'block_actions':
      return pressed(payload, userId, ours.channel)
    case 'view_submission':
      return submitted(record(payload['view']), userId)
    case 'view_closed':
      return { kind: 'nothing' }
    default:
      return NOT_UNDERSTOOD
  }
}

function pressed(payload: Readonly<Record<string, unknown>>, user: string, channel: string): Interaction {
  const { actions, trigger_id: trigger } = payload
  const action = Array.isArray(actions) && actions.length === 1 ? record(actions[0]) : {}
  const { action_id: id } = action
  if (id === OPEN) return { kind: 'nothing' }
  if (record(payload['channel'])['id'] !== channel) return NOT_OURS
  const stands = readButtonValue(action['value'])
  if (stands === undefined) return NOT_UNDERSTOOD
  if (id === APPROVE) return { kind: 'approve', user, stands }
  if (id === DENY && typeof trigger === 'string' && trigger.length <= 300)
    return { kind: 'ask_reason', user, stands, trigger }
  return NOT_UNDERSTOOD
}

function submitted(view: Readonly<Record<string, unknown>>, user: string): Interaction {
  const stands = readButtonValue(view['private_metadata'])
  if (view['callback_id'] !== REASON_VIEW || stands === undefined) return NOT_UNDERSTOOD
  const said = record(record(record(record(view['state'])['values'])[REASON])[REASON])['value']
  const reason = typeof said === 'string' && said.trim() !== '' && said.length <= MAX_REASON ? said.trim() : undefined
  return { kind: 'deny', user, stands, reason }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {}
}
