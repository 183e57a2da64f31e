/** `signet audit rebuild-manifest`: once, on purpose, by hand, as `accept-missing-head` is. */
import { AuditError } from '../../audit/files.ts'
import { openAuditLog } from '../../audit/open.ts'
import { type Rebuilt, rebuildManifest as rebuild } from '../../audit/segments/rebuild.ts'
import { findKeyRing } from '../chain-keys.ts'
import type { Context } from '../context.ts'
import { CommandError, DONE } from '../failure.ts'
import { type LogOptions, logOf } from '../log-option.ts'

export async function rebuildManifest(given: string | undefined, options: LogOptions, context: Context): Promise<void> {
  const { shown, path, folders } = logOf(given, options, context)
  const ring = findKeyRing(options, context)
  if (ring === undefined)
    throw new CommandError(
      'SIGNET_HMAC_SECRET: not set, and a log cannot be verified without its key; set it or pass --hmac-secret-file',
    )
  const progress = context.terminal.progress('verifying')
  const onProgress = (done: number, total: number) => progress.update(done, total, 'bytes')
  let made: Rebuilt | undefined
  try {
    const log = await openAuditLog({
      path,
      ring,
      manifest: async () => (made = await rebuild({ path, ring, folders, onProgress })),
    })
    await log.close()
  } catch (error) {
    if (error instanceof AuditError) throw new CommandError(error.message)
    throw error
  } finally {
    progress.end()
  }
  context.terminal.line(
    { text: 'OK', colour: 'green' },
    `: ${shown}.manifest lists ${made?.segments} segments with ${made?.rows} rows; all of the log was verified with it, and a row says so`,
  )
  context.exit(DONE)
}
