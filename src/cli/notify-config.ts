/** The notifications of a project, for commands that start no gate. The pipeline file is code and is run. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError, oneLine } from '../config/problem.ts'
import type { Resolved } from '../config/resolve.ts'
import type { Notifications } from '../notify/open.ts'
import { type Context, located } from './context.ts'

export type FoundNotifications =
  | { readonly kind: 'none' }
  /** The settings cannot be read at all, so nobody knows what is in them. */
  | { readonly kind: 'unread'; readonly problems: readonly string[] }
  /** There are notifications, and a gate would not start with these settings. */
  | { readonly kind: 'unusable'; readonly problems: readonly string[] }
  | { readonly kind: 'found'; readonly notifications: Notifications; readonly settings: Resolved['settings'] }

/** Only what a `serve` in this folder would send by; other settings may be missing. */
export async function configuredNotifications(
  context: Context,
  { config }: { readonly config?: string },
): Promise<FoundNotifications> {
  const { readEnvFile } = await import('../config/env-file.ts')
  const { fromEnvironment, fromPipeline } = await import('../config/settings.ts')
  const { resolveSettings } = await import('../config/resolve.ts')
  const { runPipelineFile } = await import('./pipeline-file.ts')
  const file = config ?? (existsSync(join(context.folder, 'pipeline.ts')) ? 'pipeline.ts' : undefined)
  let configured = false
  try {
    const envFile = readEnvFile(located(context, '.env'), false)
    const outside = [fromEnvironment(context.environment, ''), fromEnvironment(envFile.variables, '.env')]
    const pipeline = file === undefined ? undefined : await runPipelineFile(file, envFile, context)
    const layers = [...outside, ...(pipeline === undefined ? [] : [fromPipeline(pipeline.settings, file ?? '')])]
    configured = layers.some(({ values }) => values.has('notifications') || values.has('notificationsFile'))
    if (!configured) return { kind: 'none' }
    // `--dev`: keys and callers are not what is asked about.
    const { notifications, settings } = resolveSettings(layers, true)
    return notifications === undefined ? { kind: 'none' } : { kind: 'found', notifications, settings }
  } catch (error) {
    const problems = error instanceof ConfigError ? error.problems : [oneLine(error)]
    return { kind: configured ? 'unusable' : 'unread', problems }
  }
}

export interface Probed {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}

/** Sends no notice: asks Slack whose token that is, and signs in at the mail server. */
export async function probeNotifications(n: Notifications): Promise<readonly Probed[]> {
  const { slackApiOf, emailPorts, loadEmail } = await import('../notify/open.ts')
  const { openEgress } = await import('../plugins/egress.ts')
  const probed: Probed[] = n.webhooks.map(({ name, url, events }) => ({
    name: `webhook:${name}`,
    ok: true,
    detail: `${new URL(url).host}, secrets: ${n.webhookSecrets.get(name)?.length ?? 0}, events: ${events.length}; not called`,
  }))
  const egress = openEgress()
  try {
    const api = slackApiOf(n, egress)
    if (api !== undefined && n.slack !== undefined) {
      const asked = await api.call('auth.test', {}, { nowMs: Date.now() })
      const team = asked.ok ? asked.answer['team_id'] : undefined
      if (!asked.ok) probed.push({ name: 'slack', ok: false, detail: `Slack does not take the token: ${asked.error}` })
      else if (team !== n.slack.team)
        probed.push({ name: 'slack', ok: false, detail: 'the token is of another workspace than slack.team' })
      else probed.push({ name: 'slack', ok: true, detail: 'Slack takes the token' })
    }
  } finally {
    await egress.close()
  }
  if (n.email !== undefined) {
    const setting = n.email
    const ports = emailPorts(n, () => 'probe')
    const failed = await loadEmail().then(({ tryServer }) => tryServer(setting, ports), oneLine)
    probed.push({ name: 'email', ok: failed === undefined, detail: failed ?? 'the mail server takes the sign-in' })
  }
  return probed
}
