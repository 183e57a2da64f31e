/** Calls of the control plane's API by commands: where it is, what proves who asks, what a refusal means. */
import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { readPrivate, readSecretFile } from '../keys/store.ts'
import { devTokenPath } from './approvals.ts'
import { type Context, located, pathOption, urlOption } from './context.ts'
import { CommandError, FAILED, UNUSABLE } from './failure.ts'
import { ask, jsonObject } from './http.ts'

export interface ControlFlags {
  readonly control?: string
  readonly tokenFile?: string
  readonly json?: true
}

/** What the API answered with: members are not believed to be of any type. */
export type Shown = Readonly<Record<string, unknown>>

const CONTROL = 'http://127.0.0.1:8444'

/** The options that all of these commands have. */
export function controlCommand(group: Command, name: string, about: string): Command {
  return group
    .command(name)
    .description(about)
    .option('--control <url>', `the control plane (SIGNET_CONTROL_URL, default ${CONTROL})`, urlOption)
    .option(
      '--token-file <file>',
      'an API key or a token of your identity provider (SIGNET_CONTROL_TOKEN; default: what serve --dev made here)',
      pathOption,
    )
    .option('--json', 'for programs')
}

/** `path`: below `/api/v1`. */
export async function callControl(
  options: ControlFlags,
  context: Context,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<Shown> {
  const { url, headers } = controlPlace(options, context)
  const sent = body === undefined ? {} : { body: JSON.stringify(body) }
  const answer = await ask(`${url}${path}`, { method, headers, ...sent })
  if (!answer.ok) throw unreachable(url, answer.reason)
  const read = jsonObject(answer.body)
  if ((answer.status !== 200 && answer.status !== 201) || read === undefined) throw refused(answer.status, read, path)
  return read
}

export function unreachable(url: string, reason: string): CommandError {
  return new CommandError(
    `the control plane at ${url.replace(/\/api\/v1$/, '')} cannot be reached (${reason}); start the gate with "signet serve", or say with --control where it is`,
    UNUSABLE,
  )
}

/** `path`: what was asked for. */
export function refused(status: number, body: Shown | undefined, path = ''): CommandError {
  const why = body === undefined ? '' : `: ${text(body, 'description') || text(body, 'error')}`
  switch (status) {
    case 401:
      return new CommandError(
        'the control plane does not accept this token, or its time is over; give the right one with --token-file',
        UNUSABLE,
      )
    case 404:
      return new CommandError(`the control plane knows no ${notThere(path)}`, FAILED)
    default:
      return new CommandError(`the control plane said no (${status})${why}`, FAILED)
  }
}

/** A 404 says the same of what is not there and of what is not served; the command knows what it has asked for. */
function notThere(path: string): string {
  const [, kind, id] = path.split(/[/?]/)
  if (kind === 'passkeys') return 'such passkey, or takes none: they need passkeyRpId among the settings of the gate'
  if (kind === 'escalations' && id !== undefined) return 'such escalation; "signet escalations list" shows those it has'
  return 'such thing; is it the control plane of a signet gate of this version?'
}

export function controlPlace(options: ControlFlags, context: Context) {
  const base = options.control ?? context.environment['SIGNET_CONTROL_URL'] ?? CONTROL
  return {
    url: `${urlOption(base).replace(/\/+$/, '')}/api/v1`,
    headers: { authorization: `Bearer ${token(options, context)}` },
  }
}

function token(options: ControlFlags, context: Context): string {
  if (options.tokenFile !== undefined) return readSecretFile(located(context, options.tokenFile))
  const given = context.environment['SIGNET_CONTROL_TOKEN']
  if (given !== undefined && given !== '') return given
  const dev = devTokenPath(context.folder)
  const found = existsSync(dev) ? readPrivate(dev) : undefined
  if (found !== undefined) return found.trim()
  throw new CommandError(
    'no token: pass --token-file, set SIGNET_CONTROL_TOKEN, or run this where "signet serve --dev" runs',
    UNUSABLE,
  )
}

export function text(from: Shown, name: string): string {
  const value = from[name]
  return typeof value === 'string' ? value : ''
}

export function listOf(value: unknown): readonly Shown[] {
  return Array.isArray(value) ? value.filter((v): v is Shown => typeof v === 'object' && v !== null) : []
}
