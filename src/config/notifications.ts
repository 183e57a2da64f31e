/** Where notices go: the `notifications` setting, from `pipeline.ts` or from a JSON file of the same shape, and its secrets. */
import { isFault, readJson, toValue } from '../dialects/json.ts'
import { readSecretFile } from '../keys/store.ts'
import type { Notifications } from '../notify/open.ts'
import { type NotificationSetting, readNotifications } from '../notify/settings.ts'
import { createWebhookSigner } from '../notify/webhook/signature.ts'
import { isLoopbackHost } from './network-names.ts'
import { readOperatorFile } from './operator-file.ts'
import type { SettingName, Settings } from './setting-table.ts'
import { readAuthorities } from './tls.ts'

export interface NotificationSecrets {
  readonly slackBotToken: string | undefined
  readonly slackSigningSecret: string | undefined
  readonly smtpPassword: string | undefined
}

interface Resolving {
  readonly name: (setting: SettingName) => string
  readonly attempt: <T>(setting: SettingName, read: () => T) => T | undefined
  readonly problem: (text: string) => void
  readonly warning: (text: string) => void
}

/** Strict JSON: of two members with one name, a person and a program read different ones. Throws a one-line error. */
function readNotificationsFile(path: string): NotificationSetting {
  const document = readJson(readOperatorFile(path))
  if (isFault(document)) throw new Error(`${path} is not strict JSON (${document.code})`)
  try {
    return readNotifications(toValue(document.root))
  } catch (error) {
    throw new Error(`in ${path}, ${error instanceof Error ? error.message : 'the shape is wrong'}`, { cause: error })
  }
}

export function resolveNotifications(
  chosen: Settings,
  secrets: NotificationSecrets,
  r: Resolving,
): Notifications | undefined {
  const { notifications: given, notificationsFile: path } = chosen
  if (given !== undefined && path !== undefined)
    r.problem(`${r.name('notifications')}: set together with ${r.name('notificationsFile')}; keep one of them`)
  const setting =
    path !== undefined
      ? r.attempt('notificationsFile', () => readNotificationsFile(path))
      : given !== undefined
        ? r.attempt('notifications', () => readNotifications(given))
        : undefined
  const at = path === undefined ? r.name('notifications') : r.name('notificationsFile')
  unused(chosen, setting, path === undefined && given === undefined, r)
  if (setting === undefined) return undefined
  const { slack, email, consoleUrl } = setting
  if (slack !== undefined) {
    for (const [secret, needed] of [
      ['slackBotToken', true],
      // Without buttons nobody presses any.
      ['slackSigningSecret', slack.users.size > 0],
    ] as const)
      if (needed && secrets[secret] === undefined)
        r.problem(`${r.name(`${secret}File`)}: not set, and notifications.slack needs it; set it, or ${r.name(secret)}`)
    if (slack.users.size > 0 && chosen.auditSealing)
      r.warning(
        `${at}: slack.users may decide, and ${r.name('auditSealing')} is on: messages name nobody and have no buttons, only a link`,
      )
    else if (slack.users.size > 0 && !slack.includeArguments)
      r.warning(
        `${at}: slack.users may decide, and slack.includeArguments is off: messages then have no buttons, only a link`,
      )
  }
  if (email?.username !== undefined && secrets.smtpPassword === undefined)
    r.problem(`${r.name('smtpPasswordFile')}: not set, and notifications.email has a username; set it`)
  if (email !== undefined && email.username === undefined && secrets.smtpPassword !== undefined)
    r.problem(`${r.name('smtpPassword')}: set without notifications.email.username; set that too, or remove this`)
  if (consoleUrl === undefined) r.warning(`${at}: no consoleUrl, so notices hold no link`)
  else if (consoleUrl.startsWith('http:') && !isLoopbackHost(new URL(consoleUrl).hostname))
    r.problem(`${at}: consoleUrl is plain http; use https`)
  const caFile = email?.caFile
  return {
    ...setting,
    ...secrets,
    sealed: chosen.auditSealing,
    webhookSecrets: new Map(setting.webhooks.map(w => [w.name, webhookSecrets(chosen, w, at, r)])),
    smtpCa: caFile === undefined ? undefined : r.attempt('notifications', () => readAuthorities(caFile)),
  }
}

/** A secret that nothing uses is a slip, or a protection that somebody believes is there. */
function unused(chosen: Settings, setting: NotificationSetting | undefined, absent: boolean, r: Resolving): void {
  if (setting === undefined && !absent) return
  const without = (names: readonly SettingName[], what: string): void => {
    for (const name of names)
      if (chosen[name] !== undefined) r.problem(`${r.name(name)}: set without ${what}; set that too, or remove this`)
  }
  if (setting?.slack === undefined)
    without(
      ['slackBotToken', 'slackBotTokenFile', 'slackSigningSecret', 'slackSigningSecretFile'],
      'notifications.slack',
    )
  if (setting?.email === undefined) without(['smtpPassword', 'smtpPasswordFile'], 'notifications.email')
  if (setting === undefined) without(['noticeStorePath'], 'notifications')
  const names = setting?.webhooks.map(w => w.name) ?? []
  for (const name of Object.keys(chosen.webhookSecrets))
    if (!names.includes(name))
      r.problem(
        `${r.name('webhookSecrets')}: names ${JSON.stringify(name)}, and no webhook of notifications has that name`,
      )
}

function webhookSecrets(
  chosen: Settings,
  { name, secretFile }: NotificationSetting['webhooks'][number],
  at: string,
  r: Resolving,
): readonly string[] {
  const given = Object.hasOwn(chosen.webhookSecrets, name) ? chosen.webhookSecrets[name] : undefined
  if (given !== undefined && secretFile !== undefined) {
    r.problem(`${r.name('webhookSecrets')}: names ${JSON.stringify(name)}, which has a secretFile; keep one of them`)
    return []
  }
  if (given === undefined && secretFile === undefined) {
    r.problem(
      `${at}: webhook ${JSON.stringify(name)} has no secret; give it a secretFile, or set ${r.name('webhookSecrets')}`,
    )
    return []
  }
  const read = r.attempt(given === undefined ? 'notifications' : 'webhookSecrets', () => {
    const secrets = (given ?? readSecretFile(secretFile ?? '')).split(/\s+/).filter(secret => secret !== '')
    createWebhookSigner(secrets)
    return secrets
  })
  return read ?? []
}
