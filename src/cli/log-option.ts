/** Which log an audit command reads, and which of its rows. */
import { join } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { FILTER_FIELDS, type FilterField } from '../audit/filter-fields.ts'
import { readEnvFile } from '../config/env-file.ts'
import { type Context, located, pathOption } from './context.ts'
import { CommandError } from './failure.ts'

export interface LogOptions {
  readonly auditLog?: string
  readonly hmacSecret?: string
  readonly hmacSecretFile?: string
  readonly keyId?: string
  readonly legacyKey?: readonly string[]
  /** Folders that hold packed segments. */
  readonly segments?: readonly string[]
}

/** The log a command is about: shown as given, opened where it is. */
export function logOf(
  given: string | undefined,
  options: LogOptions,
  context: Context,
): { readonly shown: string; readonly path: string; readonly folders: readonly string[] } {
  if (given !== undefined && options.auditLog !== undefined && given !== options.auditLog) {
    throw new CommandError('--audit-log: another log than the argument; give one of them')
  }
  const env = readEnvFile(join(context.folder, '.env'), false).variables
  const configured = (variable: string): string | undefined => {
    const text = (context.environment[variable] ?? env[variable])?.trim()
    return text === undefined || text === '' ? undefined : pathOption(text)
  }
  const shown = given ?? options.auditLog ?? configured('SIGNET_AUDIT_LOG_PATH') ?? 'audit.jsonl'
  const folder = configured('SIGNET_AUDIT_SEGMENT_FOLDER')
  const folders = [...(options.segments ?? []), ...(folder === undefined ? [] : [folder])]
  return { shown, path: located(context, shown), folders: folders.map(f => located(context, f)) }
}

/** `check=prompt_injection,decision=block`: all of them must hold. */
export function filterOption(text: string): ReadonlyMap<FilterField, string> {
  const clauses = new Map<FilterField, string>()
  for (const clause of text.split(',')) {
    const cut = clause.indexOf('=')
    const name = clause.slice(0, Math.max(0, cut)).trim()
    const field = FILTER_FIELDS.find(known => known === name)
    if (cut < 1 || field === undefined) {
      throw new InvalidArgumentError(
        `expected field=value clauses separated by commas; the fields are ${FILTER_FIELDS.join(', ')}`,
      )
    }
    clauses.set(field, clause.slice(cut + 1).trim())
  }
  return clauses
}
