/** `signet audit accept-missing-head`: once, on purpose, by hand. A flag of `serve` would stay in a unit file for ever. */
import { statSync } from 'node:fs'
import { AuditError } from '../../audit/files.ts'
import { openAuditLog } from '../../audit/open.ts'
import { findKeyRing } from '../chain-keys.ts'
import { type Context, fileError } from '../context.ts'
import { CommandError, DONE } from '../failure.ts'
import { type LogOptions, logOf } from '../log-option.ts'

export async function acceptMissingHead(
  given: string | undefined,
  options: LogOptions,
  context: Context,
): Promise<void> {
  const { shown, path } = logOf(given, options, context)
  const ring = findKeyRing(options, context)
  if (ring === undefined)
    throw new CommandError(
      'SIGNET_HMAC_SECRET: not set, and a log cannot be verified without its key; set it or pass --hmac-secret-file',
    )
  if (sizeOf(path, shown) === 0 && !hasRows(`${path}.manifest`))
    throw new CommandError(`${shown}: is empty; there is nothing to accept`)
  if (hasHead(`${path}.head`))
    throw new CommandError(`${shown}.head: is there; only a head file that is missing can be accepted as missing`)
  try {
    const log = await openAuditLog({ path, ring, acceptMissingHead: true })
    const { size } = log.head
    await log.close()
    context.terminal.line(
      { text: 'OK', colour: 'green' },
      `: ${size} rows in ${shown} hold, the last of them about this; ${shown}.head vouches for them from here on`,
    )
    context.terminal.note('rows that were cut off before are not known to anybody; compare with receipts and copies')
    context.exit(DONE)
  } catch (error) {
    if (error instanceof AuditError) throw new CommandError(error.message)
    throw error
  }
}

function sizeOf(path: string, shown: string): number {
  try {
    return statSync(path).size
  } catch (error) {
    throw fileError(shown, error)
  }
}

/** A log may have rolled all its rows into segments. */
function hasRows(manifest: string): boolean {
  return (statSync(manifest, { throwIfNoEntry: false })?.size ?? 0) > 0
}

/** An empty one vouches for nothing. */
function hasHead(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0
}
