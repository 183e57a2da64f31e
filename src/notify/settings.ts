/**
 * The `notifications` setting: where notices go. It comes from `pipeline.ts` or a JSON file, holds no secret, and whatever is
 * not known in it is an error that names the setting.
 */
import { parsePrincipal } from '../core/owner.ts'
import {
  flag,
  listOf,
  number,
  object,
  oneOf,
  optional,
  recordOf,
  required,
  type Shape,
  text,
} from '../identity/shape.ts'
import { EgressFailed, egressUrl } from '../plugins/egress.ts'
import { EVENT_TYPES, type EventType, isEventType } from './events.ts'

/** As it is written. */
export interface NotificationInput {
  /** Where people reach the control plane, such as `https://signet.example.com`; notices link to the console's page there. */
  readonly consoleUrl?: string
  readonly webhooks?: readonly WebhookInput[]
  readonly slack?: SlackInput
  readonly email?: EmailInput
}

export interface WebhookInput {
  readonly name: string
  readonly url: string
  /** Secrets, one a line; each signs. In place of `webhookSecrets`. */
  readonly secretFile?: string
  /** Default: all but `escalation.progressed`. */
  readonly events?: readonly string[]
  /** Default: the digest of the arguments only. */
  readonly includeArguments?: boolean
}

export interface SlackInput {
  /** The id of the channel, such as `C0123456789`. */
  readonly channel: string
  /** The id of the workspace, such as `T0123456789`. */
  readonly team: string
  /** The id of the app, such as `A0123456789`. */
  readonly app: string
  /** Slack user ids to principals. Whoever is not here cannot decide. */
  readonly users?: Readonly<Record<string, string>>
  /** Shows arguments, and buttons where all of them are shown. Default: a link to the console. */
  readonly includeArguments?: boolean
  /** For tests and proxies of your own. Default `https://slack.com/api`. */
  readonly apiUrl?: string
}

export interface EmailInput {
  readonly host: string
  /** Default 465 with `tls`, 587 with `starttls`, 25 with `none`. */
  readonly port?: number
  /** Default `starttls`, which is demanded. `none` is for the loopback. */
  readonly security?: 'tls' | 'starttls' | 'none'
  readonly username?: string
  /** PEM of the authorities to believe, in place of the system's. */
  readonly caFile?: string
  readonly from: string
  /** Principals to their addresses. */
  readonly to: Readonly<Record<string, string>>
  /** Default: when somebody is asked. */
  readonly events?: readonly string[]
  readonly includeArguments?: boolean
}

/** With defaults, checked. */
export interface NotificationSetting {
  readonly consoleUrl: string | undefined
  readonly webhooks: readonly WebhookSetting[]
  readonly slack: SlackSetting | undefined
  readonly email: EmailSetting | undefined
}

export interface WebhookSetting {
  readonly name: string
  readonly url: string
  readonly secretFile: string | undefined
  readonly events: readonly EventType[]
  readonly includeArguments: boolean
}

export interface SlackSetting {
  readonly channel: string
  readonly team: string
  readonly app: string
  readonly users: ReadonlyMap<string, string>
  readonly includeArguments: boolean
  readonly apiUrl: string
}

export interface EmailSetting {
  readonly host: string
  readonly port: number
  readonly security: 'tls' | 'starttls' | 'none'
  readonly username: string | undefined
  readonly caFile: string | undefined
  readonly from: string
  readonly to: ReadonlyMap<string, string>
  readonly events: readonly EventType[]
  readonly includeArguments: boolean
}

const NOTIFICATIONS = object({
  consoleUrl: optional(text),
  webhooks: optional(
    listOf(
      object({
        name: required(text),
        url: required(text),
        secretFile: optional(text),
        events: optional(listOf(text)),
        includeArguments: optional(flag),
      }),
    ),
  ),
  slack: optional(
    object({
      channel: required(text),
      team: required(text),
      app: required(text),
      users: optional(recordOf(text)),
      includeArguments: optional(flag),
      apiUrl: optional(text),
    }),
  ),
  email: optional(
    object({
      host: required(text),
      port: optional(number),
      security: optional(oneOf('tls', 'starttls', 'none')),
      username: optional(text),
      caFile: optional(text),
      from: required(text),
      to: required(recordOf(text)),
      events: optional(listOf(text)),
      includeArguments: optional(flag),
    }),
  ),
})

const WEBHOOK_EVENTS: readonly EventType[] = EVENT_TYPES.filter(type => type !== 'escalation.progressed')
const EMAIL_EVENTS: readonly EventType[] = ['escalation.created', 'escalation.progressed']
const PORTS = { tls: 465, starttls: 587, none: 25 } as const
const MOST_WEBHOOKS = 20
const MOST_PEOPLE = 200

/** Throws a `TypeError` that names the setting. */
export function readNotifications(given: unknown): NotificationSetting {
  assertShape(given)
  const { consoleUrl, webhooks = [], slack, email } = given
  if (webhooks.length > MOST_WEBHOOKS) throw new TypeError(`webhooks: expected at most ${MOST_WEBHOOKS}`)
  const names = webhooks.map(w => w.name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new TypeError('webhooks: two have the same name; give each its own')
  return {
    consoleUrl: consoleUrl === undefined ? undefined : originOf('consoleUrl', consoleUrl),
    webhooks: webhooks.map((w, i) => webhookOf(w, `webhooks[${i}]`)),
    slack: slack === undefined ? undefined : slackOf(slack),
    email: email === undefined ? undefined : emailOf(email),
  }
}

function assertShape(given: unknown): asserts given is NotificationInput {
  const shape: Shape = NOTIFICATIONS
  shape(given, 'notifications')
}

function webhookOf(
  { name, url, secretFile, events, includeArguments = false }: WebhookInput,
  at: string,
): WebhookSetting {
  if (!/^[a-z0-9][a-z0-9_-]{0,31}$/.test(name))
    throw new TypeError(`${at}.name: expected lower-case letters, digits, "_" and "-", at most 32`)
  return {
    name,
    url: address(`${at}.url`, url),
    secretFile,
    events: eventsFrom(`${at}.events`, events, WEBHOOK_EVENTS),
    includeArguments,
  }
}

function slackOf({ channel, team, app, users = {}, includeArguments = false, apiUrl }: SlackInput): SlackSetting {
  slackId('slack.channel', channel, 'CGD')
  slackId('slack.team', team, 'T')
  slackId('slack.app', app, 'A')
  const known = new Map<string, string>()
  for (const [user, principal] of Object.entries(users)) {
    slackId('slack.users', user, 'UW')
    known.set(user, principalOf('slack.users', principal))
  }
  if (known.size > MOST_PEOPLE) throw new TypeError(`slack.users: expected at most ${MOST_PEOPLE}`)
  return {
    channel,
    team,
    app,
    users: known,
    includeArguments,
    apiUrl: address('slack.apiUrl', apiUrl ?? 'https://slack.com/api').replace(/\/+$/, ''),
  }
}

function emailOf(o: EmailInput): EmailSetting {
  const { host, security = 'starttls', port = PORTS[security], to, events, includeArguments = false } = o
  if (!/^[A-Za-z0-9.:-]{1,253}$/.test(host)) throw new TypeError('email.host: expected a host name or an address')
  if (!Number.isSafeInteger(port) || port < 1 || port > 65_535)
    throw new TypeError('email.port: expected a whole number from 1 to 65535')
  if (security === 'none' && !/^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/.test(host))
    throw new TypeError('email.security: "none" is for the loopback only; use "tls" or "starttls"')
  if (security === 'none' && o.username !== undefined)
    throw new TypeError('email.username: a password is not sent without TLS; set email.security')
  const people = new Map<string, string>()
  for (const [person, at] of Object.entries(to)) people.set(principalOf('email.to', person), mailbox('email.to', at))
  if (people.size === 0 || people.size > MOST_PEOPLE)
    throw new TypeError(`email.to: expected 1 to ${MOST_PEOPLE} principals with their addresses`)
  return {
    host,
    port,
    security,
    username: o.username,
    caFile: o.caFile,
    from: mailbox('email.from', o.from),
    to: people,
    events: eventsFrom('email.events', events, EMAIL_EVENTS),
    includeArguments,
  }
}

function address(setting: string, given: string): string {
  if (/[\p{Cc}\p{Cf}\p{Z}]/u.test(given)) throw new TypeError(`${setting}: holds a blank or an invisible character`)
  try {
    const { hash } = egressUrl(given)
    if (hash !== '') throw new TypeError(`${setting}: expected no fragment`)
  } catch (error) {
    if (error instanceof EgressFailed) throw new TypeError(`${setting}: ${error.message}`)
    throw error
  }
  return given
}

/** The console asks for everything by absolute paths, so it has an origin to itself. */
function originOf(setting: string, given: string): string {
  const { origin, pathname, search } = new URL(address(setting, given))
  if (search !== '' || !/^\/(?:console\/?)?$/.test(pathname))
    throw new TypeError(`${setting}: expected the origin of the control plane, such as https://signet.example.com`)
  return origin
}

function eventsFrom(setting: string, given: readonly string[] | undefined, usual: readonly EventType[]) {
  if (given === undefined) return usual
  const known = given.filter(isEventType)
  if (known.length !== given.length || known.length === 0)
    throw new TypeError(`${setting}: expected some of ${EVENT_TYPES.join(', ')}`)
  return known
}

function slackId(setting: string, id: string, kinds: string): void {
  if (!new RegExp(`^[${kinds}][A-Z0-9]{2,30}$`).test(id))
    throw new TypeError(`${setting}: expected an id as Slack writes it, beginning with ${[...kinds].join(' or ')}`)
}

function principalOf(setting: string, given: string): string {
  const parsed = parsePrincipal(given)
  if (!parsed.ok) throw new TypeError(`${setting}: ${parsed.problem}`)
  return `${parsed.type}:${parsed.id}`
}

/** A bare address, as RFC 5321 4.1.2 writes the usual ones: nothing in it can end a header or begin another address. */
function mailbox(setting: string, given: string): string {
  if (
    given.length > 254 ||
    !/^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(
      given,
    )
  )
    throw new TypeError(`${setting}: expected a bare address such as bob@example.com`)
  return given
}
