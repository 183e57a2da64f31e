/** `signet serve`: run the gate until somebody asks it to end. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Option } from 'commander'
import type { Check } from '../../core/check.ts'
import { type Context, located, pathOption, type Register } from '../context.ts'
import { DONE } from '../failure.ts'
import type { OperatorLog } from '../operator-log.ts'
import { runPipelineFile } from '../pipeline-file.ts'

interface Options {
  readonly upstream?: string
  readonly upstreamLabel?: string
  readonly host?: string
  readonly port?: string
  readonly workers?: string
  readonly config?: string
  readonly envFile?: string
  readonly redisUrl?: string
  readonly auditLog?: string
  readonly hmacSecret?: string
  readonly hmacSecretFile?: string
  readonly keyId?: string
  readonly allowEphemeralKey?: true
  readonly controlHost?: string
  readonly controlPort?: string
  readonly onEscalate?: string
  readonly shadow?: boolean
  readonly strictErrorRedaction?: boolean
  readonly logFormat?: string
  readonly accessLog?: string
  readonly dev?: true
}

export const registerServe: Register = (program, context) => {
  program
    .command('serve')
    .description('run the gate')
    .option('--upstream <url>', 'the model API, or "demo" for the built-in model (SIGNET_UPSTREAM_URL)')
    .option('--upstream-label <name>', 'what callers see instead of its host (SIGNET_UPSTREAM_LABEL)')
    .option('--host <host>', 'where to listen (SIGNET_HOST, default 127.0.0.1)')
    .option('--port <port>', 'where to listen, 0 for any free port (SIGNET_PORT, default 8443)')
    .option(
      '--workers <n>',
      'processes that serve, beside one that writes the log (SIGNET_WORKERS, default 1: one for all)',
    )
    .option('--config <file>', 'the pipeline file; it is run (default: pipeline.ts, if there is one)', pathOption)
    .option('--env-file <file>', 'read variables from here (default: .env, if there is one)', pathOption)
    .option('--redis-url <url>', 'share limits, budgets and sessions with other gates here (SIGNET_REDIS_URL)')
    .option('--audit-log <file>', 'the audit log (SIGNET_AUDIT_LOG_PATH, default audit.jsonl)', pathOption)
    .option(
      '--hmac-secret <hex>',
      'the key of the audit log; others can see it in the process list, prefer a file (SIGNET_HMAC_SECRET)',
    )
    .option('--hmac-secret-file <file>', 'read that key from a file (SIGNET_HMAC_SECRET_FILE)', pathOption)
    .option('--key-id <id>', 'the name of that key (SIGNET_HMAC_KEY_ID, default k1)')
    .option(
      '--allow-ephemeral-key',
      'start without keys; they are made, and lost with the process (SIGNET_ALLOW_EPHEMERAL_KEY)',
    )
    .option('--control-host <host>', 'where the control plane listens (SIGNET_CONTROL_HOST, default 127.0.0.1)')
    .option('--control-port <port>', 'where the control plane listens (SIGNET_CONTROL_PORT, default 8444)')
    .addOption(
      new Option(
        '--on-escalate <answer>',
        'what a held exchange answers at once: 202, 403, or hold to wait (SIGNET_ON_ESCALATE)',
      ).choices(['202', '403', 'hold']),
    )
    .option('--shadow', 'record policy verdicts without enforcing them (SIGNET_SHADOW)')
    .option('--no-shadow', 'enforce them')
    .option('--strict-error-redaction', 'tell callers only that they were refused (SIGNET_STRICT_ERROR_REDACTION)')
    .option('--no-strict-error-redaction', 'tell them why')
    .option('--access-log <file>', 'one line per request, "-" for standard error (SIGNET_ACCESS_LOG_PATH)')
    .addOption(new Option('--log-format <format>', 'text or json (SIGNET_LOG_FORMAT)').choices(['text', 'json']))
    .option('--dev', 'for development: asserted owners, full errors, keys kept in .signet')
    .action((options: Options) => serve(options, context))
}

async function serve(options: Options, context: Context): Promise<void> {
  const { terminal, folder } = context
  context.outliveReaders?.()
  const { readEnvFile } = await import('../../config/env-file.ts')
  const { fromEnvironment, fromFlags, fromPipeline } = await import('../../config/settings.ts')
  const { resolveSettings } = await import('../../config/resolve.ts')
  const { VERSION } = await import('../../config/version.ts')
  const { openOperatorLog } = await import('../operator-log.ts')
  const dev = options.dev === true

  const envFile = readEnvFile(located(context, options.envFile ?? '.env'), options.envFile !== undefined)
  const flags = fromFlags({
    upstreamUrl: options.upstream,
    upstreamLabel: options.upstreamLabel,
    host: options.host,
    port: options.port,
    workers: options.workers,
    redisUrl: options.redisUrl,
    auditLogPath: options.auditLog,
    hmacSecret: options.hmacSecret,
    hmacSecretFile: options.hmacSecretFile,
    hmacKeyId: options.keyId,
    allowEphemeralKey: options.allowEphemeralKey,
    controlHost: options.controlHost,
    controlPort: options.controlPort,
    onEscalate: options.onEscalate,
    shadow: options.shadow,
    strictErrorRedaction: options.strictErrorRedaction,
    logFormat: options.logFormat,
    accessLogPath: options.accessLog,
  })
  const environment = fromEnvironment(context.environment, '')
  const dotenv = fromEnvironment(envFile.variables, options.envFile ?? '.env')
  const outside = [flags, environment, dotenv]

  const file = options.config ?? (existsSync(join(folder, 'pipeline.ts')) ? 'pipeline.ts' : undefined)
  const upstream = outside.find(layer => layer.values.has('upstreamUrl'))?.values.get('upstreamUrl')?.value
  const pipeline =
    file === undefined ? await builtIn(upstream === 'demo') : await runPipelineFile(file, envFile, context)
  const resolved = resolveSettings([...outside, fromPipeline(pipeline.settings, file ?? '')], dev)
  const { settings } = resolved
  const log = openOperatorLog(terminal, settings.logFormat, context.now)

  const { startServing } = await import('../serving.ts')
  const { keepHeapSmall } = await import('../engine.ts')
  const serving = await startServing(
    resolved,
    pipeline,
    { folder, file, variables: envFile.variables },
    {
      onWorker: (ok, message) => (ok ? log.info('worker', message) : log.warn('worker', message)),
      onAccessState: (ok, reason) => (ok ? log.info('access_log', reason) : log.warn('access_log', reason)),
      onKeys: (ok, message) => (ok ? log.info('keys', message) : log.warn('keys', message)),
      onAuditState: (ok, reason) =>
        ok
          ? log.info('audit_available', `audit log: ${reason}`)
          : log.warn('audit_unavailable', `audit log: ${reason}`),
      onAuditSegment: (ok, text) => (ok ? log.info('audit_segment', text) : log.warn('audit_segment_failed', text)),
      onLogState: (ok, reason) => (ok ? log.info('log_available', reason) : log.warn('log_unavailable', reason)),
      onAnchorState: (ok, reason) =>
        ok ? log.info('anchor_available', reason) : log.warn('anchor_unavailable', reason),
      onNotice: (ok, text) => (ok ? log.info('notices_reach', text) : log.warn('notices_fail', text)),
      onSharedState: (ok, reason) =>
        ok
          ? log.info('state_available', `shared state: ${reason}`)
          : log.warn('state_unavailable', `shared state: ${reason}; exchanges are refused until it is back`),
      onStoreState: (ok, text) =>
        ok
          ? log.info('store_available', text)
          : log.warn('store_unavailable', `${text}; what needs it is refused until it is`),
      onStoreLost: text => log.warn('escalation_store_lost', text),
      onEviction: policy =>
        log.warn(
          'state_eviction',
          `shared state: Redis throws keys away when it is full (maxmemory-policy ${policy}), and limits with them; set noeviction`,
        ),
    },
  )
  const forget = context.onHangup?.(() => serving.reload())
  const { upstreamLabel, anthropicUpstreamLabel, identity } = serving
  const upstreams = anthropicUpstreamLabel === undefined ? '' : `, Anthropic's surfaces -> ${anthropicUpstreamLabel}`
  log.info('listening', `signet ${VERSION} -> ${upstreamLabel}${upstreams}  (listening on ${serving.url})`, {
    version: VERSION,
    url: serving.url,
    upstream: upstreamLabel,
    ...(anthropicUpstreamLabel === undefined ? {} : { anthropic_upstream: anthropicUpstreamLabel }),
    identity: identity.name,
    policy_digest: serving.policyDigest,
    shadow: settings.shadow,
    dev,
  })
  if (serving.log !== undefined && serving.controlUrl !== undefined) {
    const { origin, key } = serving.log
    log.info('log', `transparency log: ${origin} at ${serving.controlUrl}, key ${key}`, {
      origin,
      url: serving.controlUrl,
      key,
    })
  }
  if (serving.controlUrl !== undefined)
    log.info('control', `control plane: ${serving.controlUrl}`, { url: serving.controlUrl })
  if (serving.devApprover !== undefined && serving.controlUrl !== undefined) {
    log.info(
      'approver',
      `held calls: ${settings.console ? `${serving.controlUrl}/console/, or ` : ''}signet escalations list, then approve or deny (the token is in ${serving.devApprover.token})`,
    )
  }
  log.info('identity', `callers: ${identity.name}${identity.verified ? '' : ' (believed, not verified)'}`, {
    strategy: identity.name,
    verified: identity.verified,
  })
  announce(log, pipeline.checks, file)
  if (serving.ephemeralKey !== undefined) {
    const { id, hex } = serving.ephemeralKey
    // Printed once, on purpose: without it nobody can ever verify what this process writes.
    terminal.note(`audit key (ephemeral), to verify the log later: --key-id ${id} --hmac-secret ${hex}`)
  }
  for (const warning of [...envFile.warnings, ...resolved.warnings]) log.warn('warning', warning)
  keepHeapSmall()

  try {
    const signal = await Promise.race([context.asked(), serving.failed])
    log.info('stopping', `${signal}: letting running exchanges end (at most ${settings.shutdownGraceSeconds} s)`)
  } finally {
    forget?.()
    await serving.close()
  }
  log.info('stopped', 'stopped')
  context.exit(DONE)
}

function announce(log: OperatorLog, checks: readonly Check[], file: string | undefined): void {
  const ordered = [...checks].sort((a, b) => a.priority - b.priority)
  const source = file === undefined ? 'the default pipeline' : `${file} (this file is code and was run)`
  log.info('pipeline', `pipeline: ${source}`, { source: file ?? 'default', checks: ordered.map(({ name }) => name) })
  for (const check of ordered) {
    const { stages } = check.describe()
    const where = Array.isArray(stages) ? stages.join(', ') : 'stages not described'
    log.info('check', `  ${check.name} (${where})${check.shadow === true ? ' in shadow' : ''}`, {
      name: check.name,
      shadow: check.shadow === true,
    })
  }
}

async function builtIn(demo: boolean) {
  const { defaultPipeline } = await import('../../config/default-pipeline.ts')
  return defaultPipeline({ demo })
}
