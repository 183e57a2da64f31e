/** `signet audit index`: make the index, or bring it up to date. */
import { rmSync, statSync } from 'node:fs'
import { AuditError } from '../../audit/files.ts'
import { indexedTo, indexPath, openIndex, updateIndex } from '../../audit/index-db.ts'
import type { Context } from '../context.ts'
import { CommandError, DONE } from '../failure.ts'
import { type LogOptions, logOf } from '../log-option.ts'

export async function index(
  given: string | undefined,
  options: LogOptions & { readonly rebuild?: true },
  context: Context,
): Promise<void> {
  const { terminal } = context
  const { shown, path, folders } = logOf(given, options, context)
  const file = indexPath(path)
  if (options.rebuild === true) rmSync(file, { force: true })
  const progress = terminal.progress('indexing')
  try {
    const db = openIndex(path)
    try {
      const read = await updateIndex(db, path, {
        folders,
        onProgress: (done, total) => progress.update(done, total, 'bytes'),
      })
      progress.end()
      const { rows } = indexedTo(db)
      terminal.line(`${shown}: ${rows} rows in ${file}, ${read} of them new, ${statSync(file).size} bytes`)
    } finally {
      db.close()
    }
  } catch (error) {
    progress.end()
    if (error instanceof AuditError) throw new CommandError(error.message)
    throw error
  }
  context.exit(DONE)
}
