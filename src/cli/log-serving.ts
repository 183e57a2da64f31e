/** The transparency log of a gate that is being started: its key, its name, its folder, how rows come to it, and its witnesses. */
import { randomBytes } from 'node:crypto'
import type { Anchorer } from '../audit/anchor/anchorer.ts'
import { type Alarm, halted, readAlarm } from '../audit/log/alarm.ts'
import { LogInvalid } from '../audit/log/errors.ts'
import { NodeFolderFiles } from '../audit/log/folder-files.ts'
import { ED25519, type NoteSigner, noteKey } from '../audit/log/note.ts'
import { openTransparencyLog, type TransparencyLog } from '../audit/log/open.ts'
import { parsePolicy } from '../audit/log/policy.ts'
import { FileRows } from '../audit/log/rows.ts'
import { openWitnesses, type WitnessQuorum } from '../audit/log/witness-quorum.ts'
import type { AuditLog } from '../audit/open.ts'
import { noteRow } from '../audit/own-rows.ts'
import { uuid7 } from '../audit/uuid.ts'
import type { LogOutside } from '../config/log-outside.ts'
import { ConfigError } from '../config/problem.ts'
import type { Settings } from '../config/settings.ts'
import { SigningKey } from '../keys/signing.ts'
import { createPrivate, readPrivate } from '../keys/store.ts'
import { type Egress, egressUrl } from '../plugins/egress.ts'
import { signingKeyOf } from './signing-file.ts'

/** Reserved for names that lead nowhere (RFC 2606): a log of this name is meant for nobody but its operator. */
const NOWHERE = 'signet.invalid'

/** The log's folder. */
export function logFolder({ transparencyLogPath, auditLogPath }: Settings): string {
  return transparencyLogPath ?? `${auditLogPath}.tlog`
}

export async function noteSigner(settings: Settings): Promise<NoteSigner> {
  const key = signingKey(settings)
  const origin = settings.transparencyLogOrigin ?? `${NOWHERE}/${Buffer.from(key.publicBytes()).toString('hex', 0, 8)}`
  return { key: await noteKey(origin, ED25519, key.publicBytes()), sign: data => key.sign(data) }
}

/** Where its key is. A log has one key for life, through --dev and production: it is kept with the rows. */
export function noteKeyPath({ transparencyLogKeyFile, auditLogPath }: Settings): string {
  return transparencyLogKeyFile ?? `${auditLogPath}.notes.pem`
}

function signingKey(settings: Settings): SigningKey {
  const path = noteKeyPath(settings)
  if (settings.transparencyLogKeyFile !== undefined) return signingKeyOf(path)
  return signingKeyOf(path, readPrivate(path) ?? createPrivate(path, () => SigningKey.generate().privatePem()))
}

export interface LogParts {
  readonly log: TransparencyLog
  readonly witnesses: WitnessQuorum | undefined
  readonly anchors: Anchorer | undefined
  /** What has halted the log, if anything has. */
  alarm(): Alarm | undefined
  close(): Promise<void>
}

export interface LogSurroundings {
  readonly audit: AuditLog
  readonly outside: LogOutside
  readonly egress: Egress
  readonly onState: (ok: boolean, reason: string) => void
  /** A time-stamping authority fails, or stamps again. */
  readonly onAnchorState: (ok: boolean, reason: string) => void
}

/** So that a log that was lost, and with it the word about how many rows there were, cannot begin anew unseen. */
export function noteLateLog(audit: AuditLog, { origin }: TransparencyLog, onState: LogSurroundings['onState']): void {
  const rows = Number(audit.head.size)
  onState(
    true,
    `a transparency log is begun over ${rows} rows that were there before it; if there was one already, its folder is lost: restore it, and publish nothing of this one`,
  )
  const id = uuid7(BigInt(Date.now()), randomBytes)
  audit
    .append(
      noteRow(id, 'log.begun', 'a transparency log was begun over rows that were there before it', { origin, rows }),
    )
    .durable()
    .catch(() => undefined)
}

export async function openLogOf(settings: Settings, signer: NoteSigner, around: LogSurroundings): Promise<LogParts> {
  const { audit, onState } = around
  const path = logFolder(settings)
  const files = new NodeFolderFiles(path)
  const rows = Number(audit.head.size)
  try {
    let alarm = await readAlarm(files)
    if (alarm !== undefined) onState(false, halted(alarm).message)
    let opened: TransparencyLog | undefined
    const witnesses = await witnessesOf(around, files, signer, (raised, kept) => {
      alarm = raised
      const why = halted(raised)
      opened?.halt(why)
      onState(
        false,
        kept ? why.message : `${why.message}; it could NOT be written to ${path}, do not restart this gate`,
      )
      audit
        .append(alarmRow(raised))
        .durable()
        .catch(() => undefined)
    })
    const folders = settings.auditSegmentFolder === undefined ? [] : [settings.auditSegmentFolder]
    const log = await openTransparencyLog({
      path,
      signer,
      source: await FileRows.atEnd(settings.auditLogPath, rows, folders),
      rows,
      intervalMs: settings.checkpointIntervalS * 1000,
      witnesses,
      halted: alarm === undefined ? undefined : halted(alarm),
      onState,
    })
    opened = log
    // Raised while the log was being opened.
    if (alarm !== undefined) log.halt(halted(alarm))
    const anchors = await anchorsOf(around, files, log)
    return {
      log,
      witnesses,
      anchors,
      alarm: () => alarm,
      close: async () => {
        await anchors?.close()
        await log.close()
        await witnesses?.close()
      },
    }
  } catch (error) {
    if (error instanceof LogInvalid || error instanceof ConfigError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    throw new LogInvalid(
      'log_unreadable',
      `${path} cannot be opened (${code}); create the folder above it, or check that this user may write it`,
      { cause: error },
    )
  }
}

async function witnessesOf(
  { outside, egress }: LogSurroundings,
  files: NodeFolderFiles,
  { key }: NoteSigner,
  onAlarm: (alarm: Alarm, kept: boolean) => void,
): Promise<WitnessQuorum | undefined> {
  if (outside.witnessPolicy === undefined) return undefined
  try {
    const policy = await parsePolicy(outside.witnessPolicy)
    for (const { name, url } of policy.witnesses) if (url !== undefined) checkAddress(name, url)
    return await openWitnesses({ policy, logKey: key, egress, files, nowMs: Date.now, onAlarm })
  } catch (error) {
    if (!(error instanceof LogInvalid)) throw error
    throw new ConfigError([`SIGNET_WITNESS_POLICY_FILE: ${error.message}`])
  }
}

async function anchorsOf(
  { outside: { anchors }, egress, onAnchorState }: LogSurroundings,
  files: NodeFolderFiles,
  log: TransparencyLog,
): Promise<Anchorer | undefined> {
  if (anchors === undefined) return undefined
  const { urls, roots, policy, intervalS, everyRows } = anchors
  const { Anchorer } = await import('../audit/anchor/anchorer.ts')
  const { AnchorInvalid } = await import('../audit/anchor/errors.ts')
  const { openStamper } = await import('../audit/anchor/stamper-thread.ts')
  try {
    return await Anchorer.open({
      urls,
      policy,
      intervalMs: intervalS * 1000,
      everyRows,
      files,
      size: () => log.status.size,
      egress,
      stamper: await openStamper(roots),
      nowMs: Date.now,
      random: randomBytes,
      later: (ms, f) => {
        const timer = setTimeout(f, ms)
        timer.unref()
        return () => clearTimeout(timer)
      },
      onState: (ok, authority, reason) => onAnchorState(ok, `anchors of ${authority}: ${reason}`),
    })
  } catch (error) {
    await log.close()
    if (error instanceof AnchorInvalid) throw new ConfigError([`SIGNET_ANCHOR_URLS: ${error.message}`])
    throw error
  }
}

function checkAddress(name: string, url: string): void {
  try {
    egressUrl(url)
  } catch (error) {
    throw new LogInvalid('policy_invalid', `witness ${name}: ${error instanceof Error ? error.message : 'no address'}`)
  }
}

/** A decision of the gate about itself: what is under this log's name is not to be believed any further. */
function alarmRow({ kind, witness, detail, atMs }: Alarm) {
  const id = uuid7(BigInt(Date.now()), randomBytes)
  const reason = `the transparency log was halted: the witness ${witness} reports ${kind === 'rollback' ? 'a rollback' : 'a split view'}`
  return { ...noteRow(id, `log.${kind}`, reason, { witness, detail, at_ms: atMs }), decision: 'block' as const }
}
