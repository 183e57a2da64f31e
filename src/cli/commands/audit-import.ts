/** `signet audit import`: take over a log of the Python implementation. */
import { AuditError } from '../../audit/files.ts'
import { ImportFault, importLog } from '../../audit/import.ts'
import { DEFAULTS } from '../../config/settings.ts'
import { findKeyRing } from '../chain-keys.ts'
import { type Context, located, pathOption } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { type LogOptions, logOf } from '../log-option.ts'

interface Options extends LogOptions {
  readonly out: string
  readonly json?: true
}

export async function importFiles(files: readonly string[], options: Options, context: Context): Promise<void> {
  const { terminal } = context
  const ring = findKeyRing(options, context)
  if (ring === undefined) {
    throw new CommandError(
      'SIGNET_HMAC_SECRET: not set; the new log needs its key, and the key of the old one with --legacy-key id=hex',
    )
  }
  const { folders } = logOf(options.out, {}, context)
  try {
    const done = await importLog({
      sources: files.map(f => located(context, pathOption(f))),
      to: located(context, options.out),
      ring,
      segmentBytes: DEFAULTS.auditSegmentBytes,
      segmentFolder: folders[0],
      nowMs: context.now,
    })
    if (options.json === true) terminal.json(done)
    else {
      const { source, copy } = done
      terminal.line({ text: 'EQUAL', colour: 'green' }, `: ${source.rows} rows, byte for byte, in ${options.out}`)
      terminal.table([
        ['', 'rows', 'first hmac', 'last hmac', 'SHA-256 of the rows'],
        ['source', String(source.rows), source.first_hmac, source.last_hmac, source.sha256],
        ['copy', String(copy.rows), copy.first_hmac, copy.last_hmac, copy.sha256],
      ])
      if (done.markers > 0) terminal.line(`${done.markers} compaction markers are kept in ${options.out}.markers.jsonl`)
      terminal.line(`recorded in row ${done.entry_id}`)
    }
    context.exit(done.equal ? DONE : FAILED)
  } catch (error) {
    if (error instanceof ImportFault) throw new CommandError(error.message, FAILED)
    if (error instanceof AuditError) throw new CommandError(error.message)
    throw error
  }
}
