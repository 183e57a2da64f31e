/** `signet audit report`: a period in numbers. Owners are hashed unless asked otherwise. */
import { VERSION } from '../../config/version.ts'
import { findKeyRing } from '../chain-keys.ts'
import type { Context } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { type LogOptions, logOf } from '../log-option.ts'
import { ownerName, withReader } from '../log-reader.ts'
import { change, durationSeconds, openPeriod, ownerSlug, top } from '../report.ts'
import { timeOf } from '../row-text.ts'
import { findSealing, type SealingOptions } from '../sealing-option.ts'
import { verifyAnyLog } from '../verify-log.ts'

interface Options extends LogOptions, SealingOptions {
  readonly index: boolean
  /** False: the chain is not looked at. */
  readonly verify: boolean
  readonly since: string
  readonly format: 'markdown' | 'json'
  readonly anonymize: boolean
  readonly anonymizeSalt?: string
  readonly serviceLabel: string
}

const DECISIONS = ['allow', 'block', 'escalate', 'redact'] as const

export async function report(given: string | undefined, options: Options, context: Context): Promise<void> {
  const { terminal } = context
  const { path, folders } = logOf(given, options, context)
  const seconds = durationSeconds(options.since)
  if (seconds === undefined) throw new CommandError('--since: expected a duration such as 30m, 24h, 7d, 2w or P1DT12H')
  const salt = options.anonymizeSalt ?? context.environment['SIGNET_ANONYMIZE_SALT'] ?? ''
  if (options.anonymize && salt === '') {
    throw new CommandError(
      '--anonymize-salt: missing, and owners are hashed with it; give one, set SIGNET_ANONYMIZE_SALT, or pass --no-anonymize',
    )
  }
  const ring = findKeyRing(options, context)
  const period = openPeriod(context.now(), seconds)
  const damaged = await withReader(path, { folders, index: options.index }, context, reader => {
    reader.report(period)
    return reader.damaged
  })
  const sealing = findSealing(options, path, context)
  const verified =
    ring === undefined || !options.verify ? undefined : await verifyAnyLog(path, ring, context, { folders })

  const { now, before } = period
  const blocked = new Map<string, number>()
  for (const [owner, rows] of now.blockedOwners) {
    const name = ownerName(owner, sealing)
    blocked.set(name, (blocked.get(name) ?? 0) + rows)
  }
  const owners = top(blocked).map(([owner, rows]) => ({
    owner: options.anonymize ? ownerSlug(salt, owner) : owner,
    rows,
  }))
  const checks = top(now.firing).map(([check, rows]) => {
    const earlier = before.firing.get(check) ?? 0
    return { check, rows, before: earlier, change_percent: change(rows, earlier) ?? null }
  })
  const decisions = DECISIONS.map(decision => ({
    decision,
    rows: now.decisions.get(decision) ?? 0,
    before: before.decisions.get(decision) ?? 0,
  }))

  if (options.format === 'json') {
    terminal.json({
      service: options.serviceLabel,
      signet_version: VERSION,
      from: timeOf(period.fromNs),
      to: timeOf(period.toNs),
      anonymized: options.anonymize,
      rows: now.rows,
      rows_before: before.rows,
      damaged_lines: damaged,
      decisions,
      top_checks: checks,
      top_blocked_owners: owners,
      integrity:
        verified === undefined
          ? null
          : {
              ok: verified.ok,
              total_entries: verified.total_entries,
              breaks: verified.breaks.length + verified.more_breaks,
            },
    })
  } else {
    const row = (...cells: readonly (string | number)[]): void => terminal.line(`| ${cells.map(cell).join(' | ')} |`)
    terminal.line(`# ${options.serviceLabel}: audit report`)
    terminal.line('')
    terminal.line(
      `${timeOf(period.fromNs)} to ${timeOf(period.toNs)}, signet ${VERSION}. ${options.anonymize ? 'Owners are hashed.' : 'Owners are named.'}`,
    )
    terminal.line('')
    terminal.line('## Decisions')
    terminal.line('')
    row('decision', 'rows', 'before')
    row('---', '---:', '---:')
    for (const each of decisions) row(each.decision, each.rows, each.before)
    terminal.line('')
    terminal.line('## Checks that fired most')
    terminal.line('')
    row('check', 'rows', 'before', 'change')
    row('---', '---:', '---:', '---:')
    for (const each of checks)
      row(
        each.check,
        each.rows,
        each.before,
        each.change_percent === null ? 'new' : `${each.change_percent > 0 ? '+' : ''}${each.change_percent} %`,
      )
    terminal.line('')
    terminal.line('## Owners refused most')
    terminal.line('')
    row('owner', 'rows')
    row('---', '---:')
    for (const each of owners) row(each.owner, each.rows)
    terminal.line('')
    terminal.line('## Integrity')
    terminal.line('')
    if (verified === undefined) terminal.line(options.verify ? 'Not checked: no key was given.' : 'Not checked.')
    else
      terminal.line(
        verified.ok
          ? `Chain intact, ${plural(verified.total_entries, 'row')}.`
          : `BROKEN: ${plural(verified.breaks.length + verified.more_breaks, 'issue')}; run signet audit verify.`,
      )
    if (damaged > 0)
      terminal.line(`${plural(damaged, 'line')} could not be read and ${damaged === 1 ? 'is' : 'are'} not counted.`)
  }
  context.exit(damaged === 0 && verified?.ok !== false ? DONE : FAILED)
}

function plural(n: number, word: string): string {
  return `${n} ${word}${n === 1 ? '' : 's'}`
}

/** A name of somebody else's choosing must stay in its cell, and be no markup. */
function cell(value: string | number): string {
  return String(value).replace(/[\\|`<>*[\]]/g, '\\$&')
}
