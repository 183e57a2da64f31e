/** `signet log key`. */
import { existsSync } from 'node:fs'
import { type Context, located } from '../context.ts'
import { CommandError, DONE } from '../failure.ts'
import { noteKeyPath, noteSigner } from '../log-serving.ts'
import { logSettings } from '../log-source.ts'

export interface KeyOptions {
  readonly keyFile?: string
  readonly origin?: string
}

export async function key(options: KeyOptions, context: Context): Promise<void> {
  const { formatKey } = await import('../../audit/log/note.ts')
  const found = logSettings(context)
  const settings = {
    ...found,
    auditLogPath: located(context, found.auditLogPath),
    ...(options.keyFile === undefined ? {} : { transparencyLogKeyFile: located(context, options.keyFile) }),
    ...(options.origin === undefined ? {} : { transparencyLogOrigin: options.origin }),
  }
  const path = noteKeyPath(settings)
  // Looking does not make one.
  if (!existsSync(path)) {
    throw new CommandError(`${path}: no such file; a gate makes it at its first start, or give --key-file`)
  }
  context.terminal.line(formatKey((await noteSigner(settings)).key))
  context.exit(DONE)
}
