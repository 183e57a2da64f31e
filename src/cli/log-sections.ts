/** What `audit verify` says of the transparency log beside an audit log: the tree over its rows, and the checkpoint over that. */
import { existsSync } from 'node:fs'
import { AuditError } from '../audit/files.ts'
import type { CheckReport } from '../audit/log/check.ts'
import type { NoteKey } from '../audit/log/note.ts'
import type { Policy } from '../audit/log/policy.ts'
import type { TileSource } from '../audit/log/reader.ts'
import { linesOfLog } from '../audit/read.ts'
import type { Section, SectionCheck } from '../audit/verify-report.ts'
import type { Context } from './context.ts'
import { CommandError } from './failure.ts'
import { logKeys, policyOf, sourceOf } from './log-source.ts'

export interface LogSectionOptions {
  readonly tiles?: string
  readonly logKey?: string
  /** Witnesses, and how many of them. */
  readonly policy?: string
  /** Roots of time-stamping authorities. */
  readonly anchorCa?: string
}

/** None where no transparency log was ever kept; `not_checked` without its public key. */
export async function logSections(
  options: LogSectionOptions,
  path: string,
  folders: readonly string[],
  context: Context,
): Promise<readonly SectionCheck[]> {
  const folder = options.tiles ?? `${path}.tlog`
  if (options.logKey === undefined) {
    if (!existsSync(folder)) return []
    const section: Section = {
      status: 'not_checked',
      text: 'the transparency log was not looked at; give its public key with --log-key (signet log key prints it)',
      details: {},
    }
    return [{ name: 'tree', check: async () => section }]
  }
  const [key, ...more] = await logKeys(options.logKey, context)
  if (key === undefined || more.length > 0) throw new CommandError('--log-key: expected one key')
  const source = sourceOf({ tiles: folder }, context)
  let checked: Promise<CheckReport> | undefined
  const checking = async (of: (report: CheckReport) => Section): Promise<Section> => {
    const { checkLog } = await import('../audit/log/check.ts')
    checked ??= checkLog({ source, rows: linesOfLog(path, { folders }), key })
    try {
      return of(await checked)
    } catch (error) {
      // What is missing is an issue of the chain, or was allowed to be; the tree is over all rows, or not compared at all.
      if (!(error instanceof AuditError) || error.code !== 'segment_missing') throw error
      return { status: 'not_checked', text: `not compared with the rows: ${error.message}`, details: {} }
    }
  }
  const ofCheckpoint = (problem: string) => /^(?:checkpoint|signed):|no checkpoint$/.test(problem)
  const { logKey, policy, anchorCa } = options
  const beside: SectionCheck[] = []
  if (policy !== undefined) {
    const demanded = await policyOf(policy, context)
    beside.push({ name: 'cosignatures', check: () => cosignatures(source, key, demanded) })
  }
  if (anchorCa !== undefined) {
    beside.push({ name: 'anchors', check: () => anchors({ tiles: folder, ca: anchorCa, logKey }, context) })
  }
  return [
    {
      name: 'tree',
      check: () =>
        checking(report =>
          section(
            report.problems.filter(p => !ofCheckpoint(p)),
            `${report.size} entries are rows of this log, ${Math.max(0, report.rows - report.size)} rows are newer`,
            { entries: report.size, rows: report.rows },
          ),
        ),
    },
    {
      name: 'checkpoints',
      check: () =>
        checking(report =>
          section(report.problems.filter(ofCheckpoint), `of ${report.origin}, signed over ${report.size} entries`, {
            origin: report.origin,
            size: report.size,
          }),
        ),
    },
    ...beside,
  ]
}

/** The checkpoint that is shown, as cosigned as the policy demands. */
async function cosignatures(source: TileSource, key: NoteKey, policy: Policy): Promise<Section> {
  const { openCheckpoint } = await import('../audit/log/checkpoint.ts')
  const { LogInvalid } = await import('../audit/log/errors.ts')
  const { cosigned } = await import('../audit/log/proof.ts')
  const bytes = await source.read('checkpoint')
  if (bytes === undefined) return section(['the log has no checkpoint'], '', {})
  try {
    const checkpoint = await openCheckpoint(new TextDecoder().decode(bytes), [key])
    const found = await cosigned(checkpoint, policy)
    const names = found.map(f => f.name)
    return section([], `${checkpoint.size} entries, cosigned by ${names.join(', ')}`, {
      size: checkpoint.size,
      witnesses: names,
    })
  } catch (error) {
    if (error instanceof LogInvalid) return section([error.message], '', {})
    throw error
  }
}

async function anchors(
  options: { readonly tiles: string; readonly ca: string; readonly logKey: string },
  context: Context,
): Promise<Section> {
  const { checkAnchors } = await import('./commands/log-anchors.ts')
  const results = await checkAnchors(options, context)
  if (results.length === 0) return { status: 'absent', text: 'the log has no anchors', details: {} }
  const problems = results.flatMap(r =>
    r.problem === undefined ? [] : [`${r.size} entries (${r.authority}): ${r.problem}`],
  )
  const last = results.filter(r => r.ok).at(-1)
  return section(
    problems,
    `${results.length} time stamps, the last over ${last?.size ?? 0} entries at ${last?.time ?? ''}`,
    {
      anchors: results.length,
    },
  )
}

function section(problems: readonly string[], text: string, details: Section['details']): Section {
  return problems.length === 0
    ? { status: 'sound', text, details }
    : { status: 'broken', text: problems[0] ?? '', details: { ...details, problems } }
}
