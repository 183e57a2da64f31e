/** Who is told of escalations at a gate that is being started: in this process alone, the primary where there are workers. */
import type { Resolved } from '../config/resolve.ts'
import type { Roles } from '../control/access.ts'
import type { Changes } from '../control/changes.ts'
import type { SlackOptions } from '../control/slack.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { AuditWriter } from '../core/row.ts'
import type { Desk } from '../escalation/desk.ts'
import type { DestinationStatus, EscalationSource } from '../notify/notifier.ts'
import type { Notifications } from '../notify/open.ts'
import type { SlackApi } from '../notify/slack/api.ts'
import type { Egress } from '../plugins/egress.ts'

export interface Notices {
  start(desk: EscalationSource): void
  readonly status: () => readonly DestinationStatus[]
  /** What the control plane needs to take presses of buttons; `undefined`: nobody decides in Slack. */
  readonly slack: ((desk: Desk) => SlackOptions) | undefined
  close(): Promise<void>
}

export interface NoticePorts {
  readonly audit: AuditWriter
  readonly egress: Egress
  readonly clock: Clock
  readonly random: Random
  readonly changes: Changes
  readonly approvers: readonly string[]
  readonly onState: (ok: boolean, text: string) => void
}

/** `undefined`: nobody is told. The modules of this are loaded only where somebody is. */
export async function openNotices(
  { settings, notifications }: Resolved,
  ports: NoticePorts,
): Promise<Notices | undefined> {
  if (notifications === undefined) return undefined
  const { audit, egress, clock, random, changes, onState } = ports
  const { openDestinations } = await import('../notify/open.ts')
  const { Notifier } = await import('../notify/notifier.ts')
  const { createRoles } = await import('../control/access.ts')
  const { openSqliteNotices } = await import('../state/notices/sqlite-thread.ts')
  const { destinations, slack } = await openDestinations(notifications, egress, random)
  const store = await openSqliteNotices(noticeStorePath(settings))
  const notifier = new Notifier({ store, destinations, audit, clock, random, onState, sealed: notifications.sealed })
  try {
    await notifier.open()
  } catch (error) {
    await store.close()
    throw error
  }
  changes.always(notifier.tell)
  const { viewers, admins } = settings
  const roles = createRoles({ viewers, admins, approvers: ports.approvers })
  return {
    start: desk => notifier.start(desk),
    status: () => notifier.status,
    slack: slackFor(notifications, slack, roles, clock),
    close: () => notifier.close(),
  }
}

export function noticeStorePath(settings: Resolved['settings']): string {
  return settings.noticeStorePath ?? `${settings.auditLogPath}.notices.db`
}

function slackFor(
  { slack: setting, slackSigningSecret }: Notifications,
  api: SlackApi | undefined,
  roles: Roles,
  clock: Clock,
): Notices['slack'] {
  if (setting === undefined || api === undefined || slackSigningSecret === undefined || setting.users.size === 0)
    return undefined
  return desk => ({ desk, roles, setting, signingSecret: slackSigningSecret, api, clock })
}
