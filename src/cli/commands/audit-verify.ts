/** `signet audit verify`. */
import { readFileSync } from 'node:fs'
import { AuditError } from '../../audit/files.ts'
import { closeLayout, openLayout } from '../../audit/layout.ts'
import { encodeState, parseState, positionAt } from '../../audit/position.ts'
import { SECTION_NAMES, type VerifyFrom, type VerifyReport } from '../../audit/verify-report.ts'
import type { KeyRing } from '../../keys/ring.ts'
import { findKeyRing } from '../chain-keys.ts'
import { type Context, fileError, located } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { type LogOptions, logOf } from '../log-option.ts'
import { type LogSectionOptions, logSections } from '../log-sections.ts'
import { writeNewFile } from '../new-file.ts'
import { verifyAnyLog } from '../verify-log.ts'

interface Options extends LogOptions, LogSectionOptions {
  readonly json?: true
  readonly head: boolean
  readonly missingOk?: true
  readonly fromCheckpoint?: string
  readonly saveState?: string
}

/** A log that broke once may break on every row after; the first ones say what happened. */
const SHOWN_BREAKS = 50

export async function verify(given: string | undefined, options: Options, context: Context): Promise<void> {
  const { terminal } = context
  const { shown, path, folders } = logOf(given, options, context)
  const ring = findKeyRing(options, context)
  if (ring === undefined)
    throw new CommandError(
      'SIGNET_HMAC_SECRET: not set, and a log cannot be verified without its key; set it or pass --hmac-secret-file',
    )
  const from =
    options.fromCheckpoint === undefined
      ? undefined
      : await beginning(options.fromCheckpoint, path, folders, ring, context)
  const progress = terminal.progress('verifying')
  let state: Buffer | undefined
  const report = await verifyAnyLog(path, ring, context, {
    head: options.head ? 'check' : 'ignore',
    folders,
    allowMissing: options.missingOk === true,
    from,
    sections: await logSections(options, path, folders, context),
    onProgress: (done, total) => progress.update(done, total, 'bytes'),
    onSound: at => {
      state = encodeState(at, ring.active)
    },
  }).finally(() => progress.end())
  if (options.saveState !== undefined) {
    if (state !== undefined) writeNewFile(located(context, options.saveState), state.toString('latin1'), 0o600, true)
    else terminal.note('no state was saved: the log is not sound, or not all of it could be read')
  }
  context.exit(report.ok ? DONE : FAILED)
  if (options.json === true) {
    terminal.json(Object.fromEntries(Object.entries(report).sort(([a], [b]) => (a < b ? -1 : 1))))
    return
  }
  print(report, shown, context)
}

function print(report: VerifyReport, shown: string, { terminal }: Context): void {
  const { from } = report
  if (from !== null) {
    terminal.line(
      `rows before ${from.index} were not looked at; hmac ${from.hmac.slice(0, 16)}..., by ${from.fixed_by}`,
    )
  }
  const entries = `${report.total_entries} ${report.total_entries === 1 ? 'entry' : 'entries'}`
  const issues = report.breaks.length + report.more_breaks
  if (report.ok) {
    const head = {
      checked: 'the head file vouches for its length',
      absent: 'there is no head file',
      ignored: 'the head file was not asked',
    }[report.head]
    const unread = Number(report.sections.chain?.details['not_read'] ?? 0)
    const chain =
      unread === 0 ? 'chain intact' : `of which ${unread} could not be read; the chain of the others is intact`
    terminal.line({ text: 'OK', colour: 'green' }, `: ${entries} in ${shown}, ${chain}, ${head}`)
  } else {
    const what = `${issues} ${issues === 1 ? 'issue' : 'issues'} in ${shown} (${entries})`
    terminal.line(
      { text: 'BROKEN', colour: 'red' },
      `: ${issues === 0 ? `what stands beside the rows of ${shown} (${entries}); the rows themselves are sound` : what}`,
    )
    terminal.line(
      report.last_known_good_index < 0
        ? 'no row before the first issue'
        : `sound up to row ${report.last_known_good_index}, hmac ${report.last_known_good_hmac}`,
    )
  }
  for (const name of SECTION_NAMES) {
    const section = report.sections[name]
    if (section === undefined || section.status === 'absent') continue
    const colour = section.status === 'broken' ? 'red' : section.status === 'sound' ? 'green' : 'yellow'
    terminal.line(`  ${name.padEnd(13)}`, { text: section.status.replace('_', ' '), colour }, `: ${section.text}`)
  }
  if (issues === 0) return
  terminal.table(
    [
      ['file', 'line', 'kind', 'entry', 'what'],
      ...report.breaks
        .slice(0, SHOWN_BREAKS)
        .map(({ file, line, kind, entry_id, detail }) => [
          file ?? 'live',
          String(line),
          kind,
          entry_id === '' ? '-' : entry_id,
          detail,
        ]),
    ],
    [1],
  )
  if (issues > SHOWN_BREAKS) terminal.line(`... and ${issues - SHOWN_BREAKS} more`)
  if (report.breaks.some(({ kind }) => kind === 'unknown_key'))
    terminal.line('rows signed with an earlier key verify with --legacy-key id=hex')
}

/** A row index, a file that `--save-state` wrote, or a checkpoint of the transparency log, whose size is the index. */
async function beginning(
  text: string,
  path: string,
  folders: readonly string[],
  ring: KeyRing,
  context: Context,
): Promise<VerifyFrom> {
  let index: bigint
  if (/^[0-9]{1,15}$/.test(text)) index = BigInt(text)
  else {
    const file = located(context, text)
    let bytes: Buffer
    try {
      bytes = readFileSync(file)
    } catch (error) {
      throw fileError(file, error)
    }
    const state = parseState(bytes, ring)
    if (state !== undefined) return state
    const size = /^[^\n]+\n(0|[1-9][0-9]{0,14})\n[A-Za-z0-9+/]{43}=\n/.exec(bytes.toString('utf8'))?.[1]
    if (size === undefined) {
      throw new CommandError(
        `--from-checkpoint: "${text}" is neither a row index, nor a state that --save-state wrote with one of these keys, nor a checkpoint`,
      )
    }
    index = BigInt(size)
  }
  try {
    const layout = await openLayout(path, { ring, folders })
    try {
      const found = positionAt(layout, index, ring)
      if (typeof found === 'string') throw new CommandError(`--from-checkpoint: ${found}`, FAILED)
      return found
    } finally {
      closeLayout(layout)
    }
  } catch (error) {
    if (error instanceof AuditError) throw new CommandError(error.message)
    throw error
  }
}
