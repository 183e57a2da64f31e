/** `signet plugins`: checks that installed packages offer. `list` reads package.json only; `doctor` runs the plugins' code. */
import { Option } from 'commander'
import type { Context, Register } from '../context.ts'
import { DONE, FAILED } from '../failure.ts'

/** A plugin of one of these names would stand in for a check of signet's own. */
const BUILT_IN = new Set([
  'classification_gate',
  'continuing_consent',
  'loopback_trust',
  'owner_resolution',
  'prompt_injection',
  'rate_limit',
  'regex_content',
  'regex_output',
  'sandbox_preview',
  'scope_drift',
  'token_budget',
  'tool_call_inspector',
  'tribunal',
])

export const registerPlugins: Register = (program, context) => {
  const plugins = program.command('plugins').description('checks that installed packages offer')
  plugins
    .command('list')
    .description('list them; reads package.json files and runs no code')
    .addOption(new Option('--group <group>', 'which kind').choices(['signet.checks', 'all']).default('all'))
    .option('--json', 'print JSON')
    .action((options: { readonly json?: true }) => list(options, context))
  plugins
    .command('doctor')
    .description('load each of them (runs their code) and say what is wrong')
    .option('--json', 'print JSON')
    .action((options: { readonly json?: true }) => doctor(options, context))
}

async function catalog(context: Context) {
  const { PluginCatalog } = await import('../../plugins/discover.ts')
  return new PluginCatalog(context.folder, { builtInNames: BUILT_IN })
}

async function list(options: { readonly json?: true }, context: Context): Promise<void> {
  const { terminal } = context
  const rows = await (await catalog(context)).list()
  if (options.json === true) terminal.json(rows)
  else if (rows.length === 0) terminal.line('no package in node_modules offers a check')
  else {
    terminal.table([
      ['name', 'package', 'version', 'status', 'what'],
      ...rows.map(row => [
        row.name,
        row.package,
        row.package_version,
        { text: row.status, colour: row.status === 'ok' ? ('green' as const) : ('red' as const) },
        row.error ?? '',
      ]),
    ])
  }
  context.exit(DONE)
}

async function doctor(options: { readonly json?: true }, context: Context): Promise<void> {
  const { terminal } = context
  const { reportOf } = await import('../../plugins/discover.ts')
  const rows = await (await catalog(context)).doctor()
  const report = reportOf(rows)
  if (options.json === true) terminal.json(report)
  else {
    for (const { name, package: from, status, error } of report.failed) {
      terminal.line({ text: status, colour: 'red' }, ` ${name} (${from})${error === null ? '' : `: ${error}`}`)
    }
    if (report.ok)
      terminal.line(
        { text: 'OK', colour: 'green' },
        `: ${rows.length} ${rows.length === 1 ? 'plugin' : 'plugins'} loaded`,
      )
  }
  context.exit(report.ok ? DONE : FAILED)
}
