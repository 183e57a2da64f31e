/** `signet notify`: does a notice arrive? And: enable a destination again that wanted no more. */
import { type Context, pathOption, type Register } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'

interface Options {
  readonly config?: string
  readonly json?: true
}

export const registerNotify: Register = (program, context) => {
  const group = program.command('notify').description('notices of escalations')
  const command = (name: string, about: string) =>
    group
      .command(name)
      .description(about)
      .option('--config <file>', 'the pipeline file; it is run (default: pipeline.ts, if there is one)', pathOption)
      .option('--json', 'for programs')
  command('test', 'send a test to every destination, or to one, and say what came back')
    .argument('[destination]', 'such as webhook:ops, slack or email:human:bob@example.com')
    .action((only: string | undefined, options: Options) => test(only, options, context))
  command('enable', 'send again to a destination that has answered 410 Gone')
    .argument('<destination>', 'such as webhook:ops')
    .action((name: string, options: Options) => enable(name, options, context))
}

async function test(only: string | undefined, options: Options, context: Context): Promise<void> {
  const { notifications } = await configured(options, context)
  const { openDestinations } = await import('../../notify/open.ts')
  const { openEgress } = await import('../../plugins/egress.ts')
  const { systemRandom } = await import('../../state/system.ts')
  const egress = openEgress()
  const results: { readonly destination: string; readonly ok: boolean; readonly detail: string }[] = []
  try {
    const { destinations } = await openDestinations(notifications, egress, systemRandom())
    const chosen = destinations.filter(d => only === undefined || d.name === only)
    if (chosen.length === 0) throw unknown(only ?? '', destinations)
    for (const to of chosen) {
      const sent = await to.test({ nowMs: context.now(), signal: new AbortController().signal })
      const ok = sent.kind === 'delivered'
      const detail = ok ? sent.detail : sent.kind === 'skipped' ? 'nothing was sent' : sent.because
      results.push({ destination: to.name, ok, detail })
      if (options.json !== true)
        context.terminal.line(
          { text: ok ? 'ok    ' : 'failed', colour: ok ? 'green' : 'red' },
          ` ${to.name}: ${detail}`,
        )
    }
  } finally {
    await egress.close()
  }
  const ok = results.every(r => r.ok)
  if (options.json === true) context.terminal.json({ ok, results })
  context.exit(ok ? DONE : FAILED)
}

async function enable(name: string, options: Options, context: Context): Promise<void> {
  const { notifications, settings } = await configured(options, context)
  const { openDestinations } = await import('../../notify/open.ts')
  const { openEgress } = await import('../../plugins/egress.ts')
  const { openSqliteNotices } = await import('../../state/notices/sqlite-thread.ts')
  const { systemRandom } = await import('../../state/system.ts')
  const { noticeStorePath } = await import('../notices.ts')
  const egress = openEgress()
  try {
    const { destinations } = await openDestinations(notifications, egress, systemRandom())
    if (!destinations.some(d => d.name === name)) throw unknown(name, destinations)
  } finally {
    await egress.close()
  }
  const store = await openSqliteNotices(noticeStorePath(settings))
  try {
    await store.disable(name, undefined)
  } finally {
    await store.close()
  }
  if (options.json === true) context.terminal.json({ ok: true, destination: name })
  else context.terminal.line(`what happens from now on is sent to ${name} again`)
}

async function configured(options: Options, context: Context) {
  const { configuredNotifications } = await import('../notify-config.ts')
  const found = await configuredNotifications(context, options)
  switch (found.kind) {
    case 'none':
      throw new CommandError('no notifications are configured here; set notifications in pipeline.ts')
    case 'unread':
    case 'unusable': {
      const { ConfigError } = await import('../../config/problem.ts')
      throw new ConfigError(found.problems)
    }
    case 'found':
      return found
  }
}

function unknown(name: string, known: readonly { readonly name: string }[]): CommandError {
  return new CommandError(`${name}: no such destination; there are ${known.map(d => d.name).join(', ')}`)
}
