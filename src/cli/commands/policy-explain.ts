/** `signet policy explain`: which check and which rule decided, in which stage, and what the pipeline file says of them now. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { StoredRow } from '../../audit/stored.ts'
import { readEnvFile } from '../../config/env-file.ts'
import type { PipelineConfig } from '../../config/pipeline.ts'
import { fromEnvironment, fromPipeline, settle } from '../../config/settings.ts'
import { type Context, located } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { type LogOptions, logOf } from '../log-option.ts'
import { withReader } from '../log-reader.ts'
import { runPipelineFile } from '../pipeline-file.ts'
import { policyDigests } from '../policy-digests.ts'
import { type Configured, configuredFor } from '../policy-options.ts'
import { plainJson, timeOf } from '../row-text.ts'

interface Options extends LogOptions {
  readonly pipeline: string
  readonly index: boolean
  readonly json?: true
}

interface Explained {
  readonly entry_id: string
  readonly time: string
  readonly decision: string
  readonly enforced: boolean
  readonly stage: string
  /** `undefined`: no check; the gate itself. */
  readonly check: string | undefined
  readonly code: string | undefined
  readonly reason: string
  readonly tool: string | undefined
  /** What the check noted: rule, pointer, schema path, problem, limits. Never a value of the call. */
  readonly details: Readonly<Record<string, unknown>>
  readonly policy: string | undefined
  /** Is it the policy of the pipeline file as it is now? `undefined`: not known. */
  readonly policy_is_current: boolean | undefined
  /** What the pipeline file says now. */
  readonly configured: Configured | undefined
}

export async function explain(
  id: string,
  given: string | undefined,
  options: Options,
  context: Context,
): Promise<void> {
  const { terminal } = context
  const { shown, path, folders } = logOf(given, options, context)
  const pipeline = existsSync(located(context, options.pipeline))
    ? await runPipelineFile(options.pipeline, readEnvFile(located(context, '.env'), false), context)
    : undefined
  // Before the digests are made: those give the checks state of another kind.
  const described = new Map(pipeline?.checks.map(check => [check.name, check.describe()]))
  const digests = pipeline === undefined ? undefined : policyDigests(pipeline.checks, isShadowed(pipeline, context))
  await withReader(path, { folders, index: options.index }, context, reader => {
    const found = reader.byId(id.trim().toLowerCase())
    if (found.length === 0) throw new CommandError(`${shown}: no row and no exchange has this id`, FAILED)
    const explained = found.map(row => explainRow(row, described, digests))
    if (options.json === true) terminal.json({ log: shown, pipeline: pipeline && options.pipeline, rows: explained })
    else for (const [index, one] of explained.entries()) print(one, index, options.pipeline, context)
    if (pipeline === undefined) terminal.note(`${options.pipeline}: no such file; what is configured is not shown`)
    context.exit(reader.damaged === 0 ? DONE : FAILED)
  })
}

function explainRow(
  row: StoredRow,
  described: ReadonlyMap<string, Readonly<Record<string, unknown>>>,
  digests: ReadonlySet<string> | undefined,
): Explained {
  const text = (key: string): string | undefined => {
    const value = row.metadata.get(key)
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const details: Record<string, unknown> = {}
  for (const [key, value] of row.metadata) {
    if (!key.startsWith('_') && key !== 'shadow') details[key] = plainJson(value)
  }
  const decidedBy = text('_check_name')
  const description = decidedBy === undefined ? undefined : described.get(decidedBy)
  const isGate = decidedBy === undefined || decidedBy.startsWith('pipeline') || decidedBy.includes('.')
  const policy = text('_policy_digest')
  const tool = text('_tool')
  const rule = row.metadata.get('rule')
  return {
    entry_id: row.entryId,
    time: timeOf(row.tsNs),
    decision: row.decision,
    enforced: row.metadata.get('shadow') !== true,
    stage: text('_stage') ?? row.checkName.replace(/^pipeline\./, ''),
    check: isGate ? undefined : decidedBy,
    code: text('_code'),
    reason: row.reason,
    tool,
    details,
    policy,
    policy_is_current: digests === undefined || policy === undefined ? undefined : digests.has(policy),
    configured: description && configuredFor(description, tool, typeof rule === 'string' ? rule : undefined),
  }
}

function isShadowed(pipeline: PipelineConfig, context: Context): boolean {
  const env = readEnvFile(join(context.folder, '.env'), false).variables
  const of = (variables: Readonly<Record<string, string | undefined>>) => ({
    SIGNET_SHADOW: variables['SIGNET_SHADOW'],
  })
  const layers = [
    fromEnvironment(of(context.environment), ''),
    fromEnvironment(of(env), '.env'),
    fromPipeline({ ...(pipeline.settings.shadow === undefined ? {} : { shadow: pipeline.settings.shadow }) }, ''),
  ]
  return settle(layers).settings.shadow
}

function print(one: Explained, index: number, file: string, { terminal }: Context): void {
  if (index > 0) terminal.line('')
  const colour = one.decision === 'allow' ? 'green' : one.decision === 'block' ? 'red' : 'yellow'
  terminal.line(
    { text: one.decision, colour },
    ` by ${one.check ?? (one.decision === 'allow' ? 'every check' : 'the gate itself')} in ${one.stage}`,
    `${one.tool === undefined ? '' : `, about a call of '${one.tool}'`}, ${one.time}`,
  )
  const line = (name: string, value: string): void => terminal.line(`  ${name.padEnd(10)} ${value}`)
  line('entry', one.entry_id)
  if (one.code !== undefined) line('code', one.code)
  line('reason', one.reason)
  if (!one.enforced) line('shadow', 'decided and recorded, not enforced')
  const { rule, ...rest } = one.details
  if (rule !== undefined) line('rule', String(rule))
  if (Object.keys(rest).length > 0) line('noted', JSON.stringify(rest))
  if (one.configured?.rule !== undefined) line('rule now', JSON.stringify(one.configured.rule))
  if (one.configured?.tool !== undefined) line('tool now', JSON.stringify(one.configured.tool))
  if (one.configured !== undefined) line('options', JSON.stringify(one.configured.options))
  else if (one.check !== undefined && one.policy_is_current !== undefined)
    line('options', `${file} has no such check now`)
  if (one.policy !== undefined)
    line('policy', `${one.policy}${one.policy_is_current === true ? `, that of ${file}` : ''}`)
  if (one.policy_is_current === false) {
    terminal.note(
      { text: 'warning', colour: 'yellow' },
      `: ${file} is another policy than the one that decided ${one.entry_id}; what is shown of it may have changed since`,
    )
  }
}
