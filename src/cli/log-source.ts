/** Which transparency log a command is about: an address, or a folder; and the keys it is trusted under. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { NO_WAIT } from '../audit/files.ts'
import type { NoteKey } from '../audit/log/note.ts'
import type { Policy } from '../audit/log/policy.ts'
import type { TileSource } from '../audit/log/reader.ts'
import { readEnvFile } from '../config/env-file.ts'
import { fromEnvironment, type Settings, settle } from '../config/settings.ts'
import { type Context, fileError, located, pathOption } from './context.ts'
import { CommandError } from './failure.ts'
import { ask } from './http.ts'

export interface SourceOptions {
  readonly log?: string
  readonly tiles?: string
}

/** `--log`, `--tiles`, or the folder of the configured audit log. */
export function sourceOf(options: SourceOptions, context: Context): TileSource {
  if (options.log !== undefined && options.tiles !== undefined) {
    throw new CommandError('--log: given together with --tiles; keep one of them')
  }
  if (options.log !== undefined) return overHttp(options.log)
  const settings = logSettings(context)
  const folder = located(context, options.tiles ?? settings.transparencyLogPath ?? `${settings.auditLogPath}.tlog`)
  if (!existsSync(folder)) {
    throw new CommandError(
      `${folder}: no such folder; run this in the folder of the gate, name the log's folder with --tiles, or the control plane of a running gate with --log`,
    )
  }
  return inFolder(folder)
}

/** What the environment and `.env` say about the audit log and its transparency log; nothing else of them matters here. */
export function logSettings(context: Context): Settings {
  const about = (variables: Readonly<Record<string, string | undefined>>) =>
    Object.fromEntries(
      Object.entries(variables).filter(([name]) =>
        /^SIGNET_(?:TRANSPARENCY_LOG|WITNESS_|ANCHOR_|AUDIT_LOG_PATH$)/.test(name),
      ),
    )
  const env = readEnvFile(join(context.folder, '.env'), false).variables
  return settle([fromEnvironment(about(context.environment), ''), fromEnvironment(about(env), '.env')]).settings
}

function inFolder(path: string): TileSource {
  return {
    read: async name => {
      try {
        return await readFile(join(path, name), { flag: NO_WAIT })
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : undefined
        if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return undefined
        throw fileError(join(path, name), error)
      }
    },
  }
}

function overHttp(url: string): TileSource {
  return {
    read: async name => {
      const answer = await ask(`${url}/${name}`)
      if (!answer.ok)
        throw new CommandError(
          `the log at ${url} cannot be reached (${answer.reason}); start the gate there, or name its control plane with --log, or a folder with --tiles`,
        )
      if (answer.status === 404) return undefined
      if (answer.status !== 200) throw new CommandError(`${url}/${name}: expected 200 or 404, got ${answer.status}`)
      return answer.body
    },
  }
}

/** A verifier key, or a file that holds one per line. */
export async function logKeys(given: string, context: Context): Promise<readonly NoteKey[]> {
  const { LogInvalid } = await import('../audit/log/errors.ts')
  const { parseKey } = await import('../audit/log/note.ts')
  const isKey = /^[^+]+\+[0-9a-f]{8}\+/.test(given)
  const text = isKey ? given : await textOf(pathOption(given), context)
  const lines = text.split('\n').filter(line => line.trim() !== '' && !line.startsWith('#'))
  if (lines.length === 0) throw new CommandError(`--log-key: ${given} holds no key`)
  try {
    return await Promise.all(lines.map(line => parseKey(line.trim())))
  } catch (error) {
    if (error instanceof LogInvalid) throw new CommandError(`--log-key: ${error.message}`)
    throw error
  }
}

export async function policyOf(path: string, context: Context): Promise<Policy> {
  const { LogInvalid } = await import('../audit/log/errors.ts')
  const { parsePolicy } = await import('../audit/log/policy.ts')
  try {
    // Octets, not characters (https://c2sp.org/tlog-policy): names are compared, never shown a meaning.
    return await parsePolicy(Buffer.from(await bytesOf(path, context)).toString('utf8'))
  } catch (error) {
    if (error instanceof LogInvalid) throw new CommandError(`${path}: ${error.message}`)
    throw error
  }
}

export async function bytesOf(path: string, context: Context): Promise<Uint8Array> {
  try {
    return await readFile(located(context, path))
  } catch (error) {
    throw fileError(path, error)
  }
}

async function textOf(path: string, context: Context): Promise<string> {
  return new TextDecoder().decode(await bytesOf(path, context))
}
