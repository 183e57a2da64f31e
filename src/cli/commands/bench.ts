/**
 * `signet bench`: what a gate costs, over HTTP, beside the same upstream asked directly. Without --url it measures a gate of its
 * own in this process: default pipeline, durable audit log in a temporary folder, built-in demo model.
 */
import { InvalidArgumentError, Option } from 'commander'
import { type Context, pathOption, type Register, urlOption, wholeNumberOption } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { type Demand, readDemands } from '../percentiles.ts'

interface Options {
  readonly url?: string
  readonly upstream?: string
  readonly requests: number
  readonly concurrency: number
  readonly config?: string
  readonly format: 'markdown' | 'json' | 'csv'
  readonly baseline: boolean
  readonly gate?: readonly Demand[]
}

export const registerBench: Register = (program, context) => {
  program
    .command('bench')
    .description('measure what a gate adds to a request')
    .option('--url <url>', 'a running gate (default: one started for the measurement)', urlOption)
    .option('--upstream <url>', 'the model API behind it, asked directly for comparison', urlOption)
    .option('--requests <n>', 'how many', wholeNumberOption(1, 1_000_000), 1000)
    .option('--concurrency <n>', 'how many at once', wholeNumberOption(1, 4096), 10)
    .option('--config <file>', 'the pipeline of the gate that is started (default: the default pipeline)', pathOption)
    .addOption(new Option('--format <format>', 'how to print').choices(['markdown', 'json', 'csv']).default('markdown'))
    .option('--no-baseline', 'do not ask the upstream directly')
    .option('--gate <limits>', 'fail when a latency is above its limit: p95=10ms,p99=20ms', demandsOption)
    .action((options: Options) => bench(options, context))
}

function demandsOption(text: string): readonly Demand[] {
  try {
    return readDemands(text)
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : 'expected demands such as p95=10ms')
  }
}

async function bench(options: Options, context: Context): Promise<void> {
  const { terminal } = context
  const { percentile } = await import('../percentiles.ts')
  const { measure } = await import('../load.ts')
  const { VERSION } = await import('../../config/version.ts')
  const { url, upstream, close } =
    options.url === undefined
      ? await ownGate(options)
      : { url: options.url, upstream: options.upstream, close: async () => {} }
  try {
    const progress = terminal.progress('bench')
    const load = {
      concurrency: options.concurrency,
      onProgress: (done: number) => progress.update(done, options.requests, 'requests'),
    }
    await measure(`${url}/v1/chat/completions`, { ...load, requests: Math.min(50, options.requests) })
    const gate = await measure(`${url}/v1/chat/completions`, { ...load, requests: options.requests })
    const baseline =
      options.baseline && upstream !== undefined
        ? await measure(`${upstream}/chat/completions`, { ...load, requests: Math.min(options.requests, 1000) })
        : undefined
    progress.end()
    if (gate.latencies.length === 0)
      throw new CommandError(
        `--url: no request to ${url} was answered with 200 (${gate.failure ?? 'no answer'})`,
        FAILED,
      )

    const rows = [summary('gate', gate), ...(baseline === undefined ? [] : [summary('upstream alone', baseline)])]
    const notes = [
      ...(options.url === undefined
        ? ['gate, model and clients share this process: compare the two lines, not the milliseconds']
        : []),
      ...(options.requests < 200 ? ['fewer than 200 requests: the high percentiles are guesses'] : []),
      ...(gate.failed > 0
        ? [`${gate.failed} requests were not answered with 200 (${gate.failure ?? 'no answer'})`]
        : []),
    ]
    if (options.format === 'json') {
      terminal.json({
        schema_version: 1,
        signet_version: VERSION,
        requests: options.requests,
        concurrency: options.concurrency,
        url,
        results: rows,
        notes,
      })
    } else {
      const cells = [Object.keys(rows[0] ?? {}), ...rows.map(row => Object.values(row).map(String))]
      if (options.format === 'csv') for (const row of cells) terminal.line(row.join(','))
      else {
        terminal.table(cells, [1, 2, 3, 4, 5, 6, 7])
        for (const note of notes) terminal.line('note: ', note)
      }
    }

    let missed = gate.failed > 0
    for (const { text, percent, limitMs } of options.gate ?? []) {
      const got = percentile(gate.latencies, percent)
      const kept = got <= limitMs
      missed ||= !kept
      terminal.note(
        { text: kept ? 'kept' : 'MISSED', colour: kept ? 'green' : 'red' },
        ` ${text}: measured ${got.toFixed(3)} ms`,
      )
    }
    context.exit(missed ? FAILED : DONE)
  } finally {
    await close()
  }

  function summary(name: string, { latencies, failed, seconds }: Awaited<ReturnType<typeof measure>>) {
    const ms = (percent: number): number => Number(percentile(latencies, percent).toFixed(3))
    return {
      name,
      requests: latencies.length + failed,
      failed,
      p50_ms: ms(50),
      p95_ms: ms(95),
      p99_ms: ms(99),
      max_ms: ms(100),
      per_second: Math.round((latencies.length + failed) / seconds),
    }
  }
}

/** A gate for the measurement alone; nothing of it stays behind. */
async function ownGate(
  options: Options,
): Promise<{ readonly url: string; readonly upstream: string; close(): Promise<void> }> {
  const { mkdtempSync, rmSync } = await import('node:fs')
  const { tmpdir } = await import('node:os')
  const { join } = await import('node:path')
  const { fromFlags, fromPipeline } = await import('../../config/settings.ts')
  const { resolveSettings } = await import('../../config/resolve.ts')
  const { defaultPipeline } = await import('../../config/default-pipeline.ts')
  const { loadPipeline } = await import('../../config/load-pipeline.ts')
  const { startServing } = await import('../serving.ts')
  const folder = mkdtempSync(join(tmpdir(), 'signet-bench-'))
  try {
    const pipeline = options.config === undefined ? defaultPipeline() : await loadPipeline(options.config)
    // Measured over plain http with owners that are made up, whatever the file says of callers and certificates.
    const { identity, identityFile, tlsCertFile, tlsKeyFile, tlsClientCaFile, tlsClientCrlFile, ...settings } =
      pipeline.settings
    const flags = fromFlags({
      upstreamUrl: options.upstream ?? 'demo',
      host: '127.0.0.1',
      port: '0',
      workers: '1',
      auditLogPath: join(folder, 'audit.jsonl'),
      allowEphemeralKey: true,
      identity: 'asserted',
      shadow: false,
    })
    const serving = await startServing(
      resolveSettings([flags, fromPipeline(settings, options.config ?? '')], false),
      pipeline,
      { folder, file: undefined, variables: {} },
    )
    return {
      url: serving.url,
      upstream: serving.upstreamUrl,
      close: async () => {
        await serving.close()
        rmSync(folder, { recursive: true, force: true })
      },
    }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}
