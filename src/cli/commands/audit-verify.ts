/** `signet audit verify`. */
import { findKeyRing } from '../chain-keys.ts'
import type { Context } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { type LogOptions, logOf } from '../log-option.ts'
import { verifyAnyLog } from '../verify-log.ts'

/** A log that broke once may break on every row after; the first ones say what happened. */
const SHOWN_BREAKS = 50

export async function verify(
  given: string | undefined,
  options: LogOptions & { readonly json?: true; readonly head: boolean },
  context: Context,
): Promise<void> {
  const { terminal } = context
  const { shown, path } = logOf(given, options, context)
  const ring = findKeyRing(options, context)
  if (ring === undefined)
    throw new CommandError(
      'SIGNET_HMAC_SECRET: not set, and a log cannot be verified without its key; set it or pass --hmac-secret-file',
    )
  const progress = terminal.progress('verifying')
  const report = await verifyAnyLog(path, ring, context, {
    head: options.head ? 'check' : 'ignore',
    onProgress: (done, total) => progress.update(done, total, 'bytes'),
  }).finally(() => progress.end())
  context.exit(report.ok ? DONE : FAILED)
  if (options.json === true) {
    terminal.json(Object.fromEntries(Object.entries(report).sort(([a], [b]) => (a < b ? -1 : 1))))
    return
  }
  const entries = `${report.total_entries} ${report.total_entries === 1 ? 'entry' : 'entries'}`
  if (report.ok) {
    const head = {
      checked: 'the head file vouches for its length',
      absent: 'there is no head file',
      ignored: 'the head file was not asked',
    }[report.head]
    terminal.line({ text: 'OK', colour: 'green' }, `: ${entries} in ${shown}, chain intact, ${head}`)
    return
  }
  const issues = report.breaks.length + report.more_breaks
  terminal.line(
    { text: 'BROKEN', colour: 'red' },
    `: ${issues} ${issues === 1 ? 'issue' : 'issues'} in ${shown} (${entries})`,
  )
  terminal.line(
    report.last_known_good_index < 0
      ? 'no row before the first issue'
      : `sound up to row ${report.last_known_good_index}, hmac ${report.last_known_good_hmac}`,
  )
  terminal.table(
    [
      ['line', 'kind', 'entry', 'what'],
      ...report.breaks
        .slice(0, SHOWN_BREAKS)
        .map(({ line, kind, entry_id, detail }) => [String(line), kind, entry_id === '' ? '-' : entry_id, detail]),
    ],
    [0],
  )
  if (issues > SHOWN_BREAKS) terminal.line(`... and ${issues - SHOWN_BREAKS} more`)
  if (report.breaks.some(({ kind }) => kind === 'unknown_key'))
    terminal.line('rows signed with an earlier key verify with --legacy-key id=hex')
}
