/** What `audit verify` says of the transparency log beside an audit log: the tree over its rows, and the checkpoint over that. */
import { existsSync } from 'node:fs'
import type { CheckReport } from '../audit/log/check.ts'
import { linesOfLog } from '../audit/read.ts'
import type { Section, SectionCheck } from '../audit/verify-report.ts'
import type { Context } from './context.ts'
import { CommandError } from './failure.ts'
import { logKeys, sourceOf } from './log-source.ts'

export interface LogSectionOptions {
  readonly tiles?: string
  readonly logKey?: string
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
  const check = async (): Promise<CheckReport> => {
    const { checkLog } = await import('../audit/log/check.ts')
    checked ??= checkLog({ source, rows: linesOfLog(path, { folders }), key })
    return checked
  }
  const ofCheckpoint = (problem: string) => /checkpoint/.test(problem)
  return [
    {
      name: 'tree',
      check: async () => {
        const report = await check()
        return section(
          report.problems.filter(p => !ofCheckpoint(p)),
          `${report.size} entries are rows of this log, ${Math.max(0, report.rows - report.size)} rows are newer`,
          { entries: report.size, rows: report.rows },
        )
      },
    },
    {
      name: 'checkpoints',
      check: async () => {
        const report = await check()
        return section(
          report.problems.filter(ofCheckpoint),
          `of ${report.origin}, signed over ${report.size} entries`,
          {
            origin: report.origin,
            size: report.size,
          },
        )
      },
    },
  ]
}

function section(problems: readonly string[], text: string, details: Section['details']): Section {
  return problems.length === 0
    ? { status: 'sound', text, details }
    : { status: 'broken', text: problems[0] ?? '', details: { ...details, problems } }
}
