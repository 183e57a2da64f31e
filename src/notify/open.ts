/** From the setting, with its secrets, to the destinations. */
import type { Random } from '../core/clock.ts'
import type { Egress } from '../plugins/egress.ts'
import type { Destination } from './destination.ts'
import type { EmailPorts } from './email/destination.ts'
import type { NotificationSetting } from './settings.ts'
import { createSlackApi, type SlackApi } from './slack/api.ts'
import { slackDestination } from './slack/destination.ts'
import { webhookDestination } from './webhook/webhook.ts'

/** The setting and what it needs that stands elsewhere. */
export interface Notifications extends NotificationSetting {
  /** By the name of the webhook. */
  readonly webhookSecrets: ReadonlyMap<string, readonly string[]>
  readonly slackBotToken: string | undefined
  readonly slackSigningSecret: string | undefined
  readonly smtpPassword: string | undefined
  /** PEM. */
  readonly smtpCa: string | undefined
  /** The log has the names of people sealed: notices leave them out. */
  readonly sealed: boolean
}

export interface Opened {
  readonly destinations: readonly Destination[]
  readonly slack: SlackApi | undefined
}

/** The mailer is loaded only where mail is to be sent. */
export async function openDestinations(n: Notifications, egress: Egress, random: Random): Promise<Opened> {
  const { consoleUrl, sealed } = n
  const newId = () => random.uuid()
  const webhooks = n.webhooks.map(w =>
    webhookDestination(w, { egress, consoleUrl, sealed, newId, secrets: n.webhookSecrets.get(w.name) ?? [] }),
  )
  const api = slackApiOf(n, egress)
  const slack =
    n.slack === undefined || api === undefined ? [] : [slackDestination(n.slack, { consoleUrl, sealed, api })]
  const email = n.email === undefined ? [] : (await loadEmail()).emailDestinations(n.email, emailPorts(n, newId))
  return { destinations: [...webhooks, ...slack, ...email], slack: api }
}

/** `nodemailer` is an optional peer. */
export async function loadEmail(): Promise<typeof import('./email/destination.ts')> {
  try {
    return await import('./email/destination.ts')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') {
      throw new Error('notifications.email: the package "nodemailer" is not installed; run: npm install nodemailer', {
        cause: error,
      })
    }
    throw error
  }
}

export function slackApiOf({ slack, slackBotToken }: Notifications, egress: Egress): SlackApi | undefined {
  return slack === undefined || slackBotToken === undefined
    ? undefined
    : createSlackApi(slack.apiUrl, slackBotToken, egress)
}

export function emailPorts(n: Notifications, newId: () => string): EmailPorts {
  return { consoleUrl: n.consoleUrl, sealed: n.sealed, password: n.smtpPassword, ca: n.smtpCa, newId }
}
