/** `signet log verify`: the whole transparency log against the audit log. */
import { stat } from 'node:fs/promises'
import { type Context, fileError, located } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { logOf } from '../log-option.ts'
import { logKeys, logSettings, sourceOf } from '../log-source.ts'

export interface VerifyOptions {
  readonly tiles?: string
  readonly logKey: string
  readonly segments?: readonly string[]
  readonly json?: true
}

export async function verify(given: string | undefined, options: VerifyOptions, context: Context): Promise<void> {
  const { terminal } = context
  const { checkLog } = await import('../../audit/log/check.ts')
  const { linesOfLog } = await import('../../audit/read.ts')
  const { AuditError } = await import('../../audit/files.ts')
  const shown = given ?? logSettings(context).auditLogPath
  const path = located(context, shown)
  try {
    await stat(path)
  } catch (error) {
    throw fileError(shown, error)
  }
  const [key, ...more] = await logKeys(options.logKey, context)
  if (key === undefined || more.length > 0) throw new CommandError('--log-key: expected one key')
  const source = sourceOf({ tiles: options.tiles ?? `${path}.tlog` }, context)
  const { folders } = logOf(shown, { segments: options.segments ?? [] }, context)
  const report = await checkLog({ source, rows: linesOfLog(path, { folders }), key }).catch((error: unknown) => {
    throw error instanceof AuditError ? new CommandError(error.message) : error
  })
  if (options.json === true) terminal.json(report)
  else if (report.ok) {
    terminal.line(
      { text: 'OK', colour: 'green' },
      `: ${report.size} entries of ${report.origin} are the rows of ${shown}; ${report.rows - report.size} rows are newer than the checkpoint`,
    )
  } else {
    for (const problem of report.problems) terminal.note({ text: 'BROKEN: ', colour: 'red' }, problem)
  }
  context.exit(report.ok ? DONE : FAILED)
}
