/** `signet doctor`: is everything there, and does the gate really refuse? Every doubt is a failure with a way out. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { EnvFile } from '../../config/env-file.ts'
import { type Context, located, pathOption, type Register, urlOption } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import type { Colour } from '../terminal.ts'

interface Options {
  readonly upstream?: string
  readonly self?: string
  readonly ca?: string
  readonly tokenFile?: string
  readonly probeInjection?: true
  readonly json?: true
}

interface Result {
  readonly check: string
  readonly status: 'ok' | 'warning' | 'failed'
  readonly detail: string
}

const COLOURS: Readonly<Record<Result['status'], Colour>> = { ok: 'green', warning: 'yellow', failed: 'red' }

export const registerDoctor: Register = (program, context) => {
  program
    .command('doctor')
    .description('check versions, the upstream and whether a running gate really refuses')
    .option('--upstream <url>', 'the model API (default: SIGNET_UPSTREAM_URL, .env)')
    .option(
      '--self <url>',
      'the running gate (default, in a folder with a pipeline.ts: http://127.0.0.1:8443)',
      urlOption,
    )
    .option(
      '--ca <file>',
      "believe this certificate or authority of the gate's (default: SIGNET_TLS_CERT_FILE of the folder)",
      pathOption,
    )
    .option('--token-file <file>', 'a credential for --probe-injection, sent as Authorization: Bearer', pathOption)
    .option('--probe-injection', 'send every built-in prompt-injection probe to the gate')
    .option('--json', 'print JSON')
    .action((options: Options) => doctor(options, context))
}

async function doctor(options: Options, context: Context): Promise<void> {
  const { terminal } = context
  const { VERSION } = await import('../../config/version.ts')
  const results: Result[] = []
  const report = (check: string, status: Result['status'], detail: string): void => {
    results.push({ check, status, detail })
    if (options.json !== true)
      terminal.line({ text: status.padEnd(8), colour: COLOURS[status] }, ` ${check}: ${detail}`)
  }

  report('versions', 'ok', `signet ${VERSION}, Node ${process.versions.node}`)
  const environment = await settingsAround(context)
  const upstream = options.upstream ?? environment['SIGNET_UPSTREAM_URL']
  const self = options.self ?? (existsSync(join(context.folder, 'pipeline.ts')) ? selfFrom(environment) : undefined)
  if (options.probeInjection === true && self === undefined) {
    throw new CommandError('--probe-injection: needs the running gate; give its URL with --self')
  }
  const gate = self === undefined ? undefined : await gateAt(self, options, environment, context)

  if (upstream === undefined) report('upstream', 'warning', 'not checked; give its URL with --upstream')
  else await checkUpstream('upstream', upstream, report)
  const anthropic = environment['SIGNET_ANTHROPIC_UPSTREAM_URL']
  if (anthropic !== undefined) await checkUpstream('anthropic upstream', anthropic, report)
  await checkNotifications(report, context)
  if (gate === undefined) report('gate', 'warning', 'not checked; give its URL with --self')
  else if (await checkGate(gate, report)) {
    if (options.probeInjection === true) await probe(gate, report, context)
  }

  const ok = results.every(({ status }) => status !== 'failed')
  if (options.json === true)
    terminal.json({ ok, signet_version: VERSION, node_version: process.versions.node, results })
  else terminal.line(ok ? { text: 'OK', colour: 'green' } : { text: 'FAILED', colour: 'red' })
  context.exit(ok ? DONE : FAILED)
}

/** The gate that is looked at. */
interface Subject {
  readonly self: string
  readonly tls: { readonly trust?: string }
  /** What the settings around say of `identity`; `undefined`: nothing. */
  readonly identity: 'asserted' | 'verified' | undefined
  readonly token: string | undefined
}

async function gateAt(
  self: string,
  options: Options,
  environment: Readonly<Record<string, string | undefined>>,
  context: Context,
): Promise<Subject> {
  const { readCertificate } = await import('../../config/tls.ts')
  const { readSecretFile } = await import('../../keys/store.ts')
  const ca = options.ca ?? (self.startsWith('https:') ? environment['SIGNET_TLS_CERT_FILE'] : undefined)
  const said = environment['SIGNET_IDENTITY_FILE'] === undefined ? environment['SIGNET_IDENTITY'] : 'verified'
  return {
    self,
    tls: ca === undefined ? {} : { trust: readCertificate(located(context, ca)).pem },
    identity: said === 'asserted' || said === 'verified' ? said : undefined,
    token: options.tokenFile === undefined ? undefined : readSecretFile(located(context, options.tokenFile)),
  }
}

type Report = (check: string, status: Result['status'], detail: string) => void

/** The process's own variables over `.env` over `.env.example`; only a project folder is looked into. Empty is unset. */
async function settingsAround(context: Context): Promise<Readonly<Record<string, string | undefined>>> {
  const { readEnvFile } = await import('../../config/env-file.ts')
  const names = existsSync(join(context.folder, 'pipeline.ts')) ? ['.env', '.env.example'] : []
  const files: EnvFile[] = names.map(name => readEnvFile(join(context.folder, name), false))
  const found: Record<string, string | undefined> = {}
  for (const variables of [context.environment, ...files.map(file => file.variables)]) {
    for (const [name, value] of Object.entries(variables)) {
      if (name.startsWith('SIGNET_') && value !== undefined && value.trim() !== '') found[name] ??= value.trim()
    }
  }
  return found
}

function selfFrom(environment: Readonly<Record<string, string | undefined>>): string {
  const host = environment['SIGNET_HOST'] ?? '127.0.0.1'
  // A wildcard is where one listens, not where one calls.
  const callable =
    host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
  const scheme = environment['SIGNET_TLS_CERT_FILE'] === undefined ? 'http' : 'https'
  return urlOption(`${scheme}://${callable}:${environment['SIGNET_PORT'] ?? '8443'}`)
}

async function checkUpstream(check: string, given: string, report: Report): Promise<void> {
  if (given === 'demo') return report(check, 'ok', 'the built-in demo model')
  const { ask } = await import('../http.ts')
  const answer = await ask(`${urlOption(given)}/models`)
  if (!answer.ok)
    return report(check, 'failed', `${given} cannot be reached (${answer.reason}); is it running, is the URL right?`)
  if (answer.status >= 500) return report(check, 'warning', `${given} answers ${answer.status}`)
  report(check, 'ok', `${given} answers (${answer.status})`)
}

/** Whether notices could be sent: addresses, secrets, and what Slack and the mail server say of them. Sends none. */
async function checkNotifications(report: Report, context: Context): Promise<void> {
  const { configuredNotifications, probeNotifications } = await import('../notify-config.ts')
  const found = await configuredNotifications(context, {})
  switch (found.kind) {
    case 'none':
      return
    case 'unread':
      return report('notifications', 'warning', `not checked: ${found.problems[0] ?? 'the settings cannot be read'}`)
    case 'unusable':
      for (const problem of found.problems) report('settings', 'failed', problem)
      return
    case 'found':
      for (const { name, ok, detail } of await probeNotifications(found.notifications))
        report(`notifications, ${name}`, ok ? 'ok' : 'failed', detail)
  }
}

const OWNERLESS = JSON.stringify({
  model: 'signet-doctor',
  messages: [{ role: 'user', content: 'signet doctor' }],
  max_tokens: 1,
})

function whatToTry(self: string, reason: string, isTls: boolean): string {
  if (isTls) return 'name its certificate, or the authority of that, with --ca FILE'
  if (reason === 'ECONNRESET' && self.startsWith('http:'))
    return 'somebody is there and hangs up: if the gate speaks TLS, give its https:// URL'
  return 'start it with "signet serve" (to try it: "signet serve --upstream demo --dev"), or say with --self where it is'
}

/** False: nobody is there, and nothing more can be asked. */
async function checkGate(gate: Subject, report: Report): Promise<boolean> {
  const { ask, jsonObject } = await import('../http.ts')
  const { self, tls } = gate
  const health = await ask(`${self}/healthz`, tls)
  if (!health.ok) {
    const { isTlsFailure } = await import('../../upstream/fault.ts')
    report(
      'gate',
      'failed',
      `${self} cannot be reached (${health.reason}); ${whatToTry(self, health.reason, isTlsFailure(health.reason))}`,
    )
    return false
  }
  const state = jsonObject(health.body)
  if (health.status !== 200 || state?.['status'] !== 'ok') {
    report('gate', 'failed', `${self}/healthz answers ${health.status} without "status":"ok"; is this a signet gate?`)
    return false
  }
  const version = await ask(`${self}/version`, tls)
  const named = version.ok ? jsonObject(version.body)?.['version'] : undefined
  if (typeof named === 'string') report('gate', 'ok', `${self} runs signet ${named}`)
  else report('gate', 'failed', `${self}/version names no version; is this a signet gate?`)
  if (state['shadow'] === true)
    report('shadow', 'warning', 'shadow is on: policy verdicts are recorded and not enforced')

  const ready = await ask(`${self}/readyz`, tls)
  if (ready.ok && ready.status === 200)
    report('ready', 'ok', 'audit log, upstream and shared state, if there is any, are available')
  else {
    const reason = ready.ok ? jsonObject(ready.body)?.['reason'] : ready.reason
    report('ready', 'failed', `not ready: ${typeof reason === 'string' ? reason : 'no reason given'}`)
  }

  await checkOwnerless(gate, report)
  const unknown = await ask(`${self}/v1/signet-doctor-unknown`, { ...tls, method: 'POST', body: OWNERLESS })
  if (unknown.ok && unknown.status >= 400 && unknown.status < 500)
    report('unknown surface', 'ok', `refused (${unknown.status})`)
  else
    report(
      'unknown surface',
      'failed',
      `expected 404, got ${unknown.ok ? unknown.status : unknown.reason}; an API that the checks do not see must not be forwarded`,
    )
  return true
}

/** The one thing a gate is for: no owner, no exchange. Asked from loopback, where misplaced trust would show. */
async function checkOwnerless({ self, tls, identity }: Subject, report: Report): Promise<void> {
  const { ask } = await import('../http.ts')
  const request = { ...tls, method: 'POST' as const, body: OWNERLESS, timeoutMs: 15_000 }
  const answer = await ask(`${self}/v1/chat/completions`, request)
  if (!answer.ok) return report('refusal', 'failed', `no answer to a request without an owner (${answer.reason})`)
  if (answer.status === 421)
    return report(
      'refusal',
      'failed',
      'the gate does not know itself by this name; add it to allowedHosts, or use another --self',
    )
  if (answer.status !== 403 && answer.status !== 401) {
    const shadow = answer.headers['x-signet-shadow-decision'] !== undefined
    const why = shadow ? 'shadow is on' : 'no check requires an owner, or loopback is trusted'
    return report('refusal', 'failed', `a request without an owner got ${answer.status}, expected 403: ${why}`)
  }
  report('refusal', 'ok', `a request without an owner is refused (${answer.status})`)
  if (answer.status === 401) {
    // With verified callers nobody is known by what they say of themselves.
    const named = await ask(`${self}/v1/chat/completions`, {
      ...request,
      headers: { 'x-commit-owner': 'human:doctor' },
    })
    if (!named.ok || named.status !== 401) {
      const got = named.ok ? named.status : named.reason
      report('identity', 'failed', `an owner header without a credential got ${got}, expected 401`)
    } else if (identity === 'asserted')
      report('identity', 'warning', 'the settings here say "asserted", and the running gate asks for credentials')
    else report('identity', 'ok', 'callers are verified: an owner header without a credential is refused too (401)')
  } else if (identity === 'verified')
    report('identity', 'failed', 'the settings here ask for credentials, and the running gate does not; restart it')
  else report('identity', 'ok', 'callers are asserted: the gate believes the owner headers that reach it')
  if (answer.headers['x-signet-receipt'] === undefined)
    report('receipt', 'warning', 'the refusal carries no receipt; receipts are off or have another header name')
  else report('receipt', 'ok', 'the refusal carries a receipt')
}

/** A gate gives each owner a bucket of requests; a fresh owner now and then keeps this from waiting for it. */
const PROBES_PER_OWNER = 30
const LONGEST_WAIT_S = 10

async function probe({ self, tls, token }: Subject, report: Report, context: Context): Promise<void> {
  const { ask } = await import('../http.ts')
  const { INJECTION_PROBES } = await import('../../checks/prompt-injection/probes.ts')
  const progress = context.terminal.progress('probing')
  const passed: string[] = []
  const unknown: string[] = []
  for (const [index, { id, text }] of INJECTION_PROBES.entries()) {
    progress.update(index, INJECTION_PROBES.length, 'probes')
    const request = {
      ...tls,
      method: 'POST' as const,
      headers: {
        'x-commit-owner': `human:doctor-probe-${Math.floor(index / PROBES_PER_OWNER)}`,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ model: 'signet-doctor', messages: [{ role: 'user', content: text }], max_tokens: 1 }),
      timeoutMs: 15_000,
    }
    let answer = await ask(`${self}/v1/chat/completions`, request)
    if (answer.ok && answer.status === 429) {
      const seconds = Math.min(LONGEST_WAIT_S, Math.max(1, Number(answer.headers['retry-after']) || 1))
      await new Promise(resolve => setTimeout(resolve, seconds * 1000))
      answer = await ask(`${self}/v1/chat/completions`, request)
    }
    if (answer.ok && answer.status === 401) {
      progress.end()
      const why = token === undefined ? 'give one with --token-file' : 'the one in --token-file is refused'
      return report('injection probes', 'failed', `the gate asks for a credential; ${why}`)
    }
    if (!answer.ok || answer.status === 429) unknown.push(id)
    else if (answer.status !== 403 && answer.status !== 202 && answer.headers['x-signet-shadow-decision'] !== 'block')
      passed.push(id)
  }
  progress.end()
  const total = INJECTION_PROBES.length
  if (unknown.length > 0)
    report(
      'injection probes',
      'failed',
      `no verdict on ${unknown.length} of ${total}: ${unknown.slice(0, 10).join(', ')}`,
    )
  if (passed.length === 0) {
    if (unknown.length === 0) report('injection probes', 'ok', `all ${total} refused`)
    return
  }
  const hint = passed.length === total ? '; is PromptInjectionCheck in the pipeline?' : ''
  report(
    'injection probes',
    'failed',
    `${passed.length} of ${total} passed the gate: ${passed.slice(0, 10).join(', ')}${hint}`,
  )
}
