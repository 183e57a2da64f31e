/** `signet audit erase --owner`: destroy the key that an owner's personal fields are sealed under. */
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { erasePerson, pendingErasures, recordErasures } from '../../audit/erasures.ts'
import { AuditError } from '../../audit/files.ts'
import { openAuditLog } from '../../audit/open.ts'
import { uuid7 } from '../../audit/uuid.ts'
import { findKeyRing } from '../chain-keys.ts'
import type { Context } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { type LogOptions, logOf } from '../log-option.ts'
import { findSealing, type SealingOptions } from '../sealing-option.ts'

interface Options extends LogOptions, SealingOptions {
  readonly owner: string
  readonly json?: true
}

/** A gate looks for notes once a second. */
const PATIENCE_MS = 10_000

export async function erase(given: string | undefined, options: Options, context: Context): Promise<void> {
  const { terminal } = context
  const { shown, path, folders } = logOf(given, options, context)
  if (!/^(?:human|agent|policy):./u.test(options.owner) && options.owner !== 'unresolved') {
    throw new CommandError('--owner: expected human:NAME, agent:NAME or policy:NAME')
  }
  const sealing = findSealing(options, path, context)
  if (sealing === undefined) {
    throw new CommandError(
      `${shown}: no sealing folder and key were found; rows that were not written sealed cannot be erased, see --sealing-folder and --sealing-key-file`,
    )
  }
  const ring = findKeyRing(options, context)
  if (ring === undefined) {
    throw new CommandError(
      'SIGNET_HMAC_SECRET: not set, and the erasure could not be recorded; pass --hmac-secret-file',
    )
  }
  const nowNs = BigInt(context.now()) * 1_000_000n
  const keyId = erasePerson(sealing, options.owner, nowNs)
  if (keyId === undefined && pendingErasures(sealing).length === 0) {
    throw new CommandError('--owner: nothing is sealed under a key of this owner', FAILED)
  }
  let recorded = false
  for (let waited = 0; !recorded && waited <= PATIENCE_MS; waited += 250) {
    if (pendingErasures(sealing).length === 0) {
      recorded = true
      break
    }
    try {
      const log = await openAuditLog({ path, ring, segmentFolder: folders[0] })
      try {
        await recordErasures(sealing, log, () => uuid7(nowNs / 1_000_000n, randomBytes))
      } finally {
        await log.close()
      }
      recorded = true
    } catch (error) {
      if (!(error instanceof AuditError)) throw error
      // A gate holds the log, and writes the row when it sees the note.
      if (error.code !== 'log_locked')
        throw new CommandError(`the key is destroyed, its row is not written: ${error.message}`)
      await setTimeout(250)
    }
  }
  if (options.json === true) terminal.json({ key_id: keyId ?? null, recorded })
  else {
    terminal.line(
      { text: 'ERASED', colour: 'green' },
      keyId === undefined ? ': the key was destroyed before' : `: key ${keyId} is destroyed`,
      recorded ? ', and a row says so' : '; the gate that runs will write the row',
    )
    terminal.line('copies of the sealing folder (backups, snapshots) still hold the wrapped key: destroy them too')
  }
  context.exit(recorded ? DONE : FAILED)
}
