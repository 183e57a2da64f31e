/** `signet log witnesses` and `alarm`: what those outside say of the log, from its folder. */
import { existsSync } from 'node:fs'
import { type Alarm, clearAlarm, readAlarm } from '../../audit/log/alarm.ts'
import { openCheckpoint } from '../../audit/log/checkpoint.ts'
import { LogInvalid } from '../../audit/log/errors.ts'
import { NodeFolderFiles } from '../../audit/log/folder-files.ts'
import type { NoteKey } from '../../audit/log/note.ts'
import { cosigned } from '../../audit/log/proof.ts'
import { readWitnessState } from '../../audit/log/witness-state.ts'
import { type Context, fileError, located } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { noteKeyPath, noteSigner } from '../log-serving.ts'
import { logKeys, logSettings, policyOf } from '../log-source.ts'

interface FolderOptions {
  readonly tiles?: string
  readonly json?: true
}

export interface WitnessOptions extends FolderOptions {
  readonly policy?: string
  readonly logKey?: string
}

export async function witnesses(options: WitnessOptions, context: Context): Promise<void> {
  const { terminal } = context
  const settings = logSettings(context)
  const policyPath = options.policy ?? settings.witnessPolicyFile
  if (policyPath === undefined)
    throw new CommandError('--policy: not given, and SIGNET_WITNESS_POLICY_FILE is not set; give the policy file')
  const policy = await policyOf(policyPath, context)
  const files = logFiles(options, context)
  const states = await Promise.all(
    policy.witnesses.map(async ({ name, key, url }) => ({ name, url, ...(await readWitnessState(files, key)) })),
  )
  const bytes = await files.read('checkpoint')
  let shown: { readonly size: number; readonly by: readonly string[]; readonly problem?: string } = {
    size: 0,
    by: [],
    problem: 'no checkpoint is shown yet',
  }
  if (bytes !== undefined) {
    try {
      const checkpoint = await openCheckpoint(new TextDecoder().decode(bytes), await keysOf(options, context))
      shown = { size: checkpoint.size, by: [], problem: 'too few witnesses have cosigned it' }
      const by = (await cosigned(checkpoint, policy)).map(({ name }) => name)
      shown = { size: checkpoint.size, by }
    } catch (error) {
      if (!(error instanceof LogInvalid)) throw error
      shown = { ...shown, problem: error.message }
    }
  }
  const raised = await readAlarm(files)
  const ok = shown.problem === undefined && raised === undefined
  if (options.json === true) {
    terminal.json({
      ok,
      checkpoint: shown,
      ...(raised === undefined ? {} : { alarm: { kind: raised.kind, witness: raised.witness, detail: raised.detail } }),
      witnesses: states.map(({ name, url, size, cosignedAt, problem }) => ({
        name,
        ...(url === undefined ? {} : { url }),
        size,
        ...(cosignedAt === 0 ? {} : { cosigned_at: new Date(cosignedAt * 1000).toISOString() }),
        ...(problem === undefined ? {} : { problem }),
      })),
    })
  } else {
    for (const { name, url, size, cosignedAt, problem } of states) {
      const when = cosignedAt === 0 ? 'never' : new Date(cosignedAt * 1000).toISOString()
      const trouble = problem === undefined ? '' : `; ${problem}`
      terminal.line(`${name}  ${url ?? '(no URL)'}  ${size} entries, cosigned ${when}${trouble}`)
    }
    if (raised !== undefined) terminal.line({ text: 'ALARM: ', colour: 'red' }, alarmText(raised))
    if (shown.problem === undefined)
      terminal.line(
        { text: 'OK', colour: 'green' },
        `: the checkpoint of ${shown.size} entries is cosigned by ${shown.by.join(', ')}`,
      )
    else terminal.line({ text: 'NOT WITNESSED: ', colour: 'red' }, shown.problem)
  }
  context.exit(ok ? DONE : FAILED)
}

export async function alarm(options: FolderOptions & { readonly clear?: true }, context: Context): Promise<void> {
  const { terminal } = context
  const files = logFiles(options, context)
  const raised = await readAlarm(files)
  if (raised === undefined) {
    if (options.json === true) terminal.json({ alarm: null })
    else terminal.line({ text: 'OK', colour: 'green' }, ': no alarm')
    context.exit(DONE)
    return
  }
  if (options.json === true) {
    const { kind, witness, detail, atMs, note } = raised
    terminal.json({ alarm: { kind, witness, detail, at: new Date(atMs).toISOString(), note } })
  } else {
    terminal.line({ text: 'ALARM: ', colour: 'red' }, alarmText(raised))
    for (const line of raised.note.replace(/\n$/, '').split('\n')) terminal.line(`  ${line}`)
  }
  if (options.clear !== true) {
    context.exit(FAILED)
    return
  }
  const cleared = await clearAlarm(files, context.now()).catch((error: unknown) => {
    throw fileError(`${files.path}/alarm`, error)
  })
  terminal.note(`moved to ${files.path}/${cleared ?? 'alarm'}; start the gate again for the log to go on`)
  context.exit(DONE)
}

function alarmText({ kind, witness, detail, atMs }: Alarm): string {
  const what = kind === 'rollback' ? 'a rollback' : 'a split view'
  return `${witness} reported ${what} at ${new Date(atMs).toISOString()}: ${detail}`
}

/** The configured log's own, unless one is given. */
async function keysOf({ logKey }: WitnessOptions, context: Context): Promise<readonly NoteKey[]> {
  if (logKey !== undefined) return logKeys(logKey, context)
  const found = logSettings(context)
  const settings = { ...found, auditLogPath: located(context, found.auditLogPath) }
  const path = noteKeyPath(settings)
  if (!existsSync(path)) throw new CommandError(`${path}: no such file; give --log-key`)
  return [(await noteSigner(settings)).key]
}

/** The folder of the configured log, unless another is given. */
export function logFiles({ tiles }: FolderOptions, context: Context): NodeFolderFiles {
  const settings = logSettings(context)
  const path = located(context, tiles ?? settings.transparencyLogPath ?? `${settings.auditLogPath}.tlog`)
  if (!existsSync(path)) throw new CommandError(`${path}: no such folder`)
  return new NodeFolderFiles(path)
}
