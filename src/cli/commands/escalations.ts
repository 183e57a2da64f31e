/** `signet escalations`: what waits for a human, and the human's word. Speaks the control plane's API, with a token. */
import { existsSync } from 'node:fs'
import { readPrivate, readSecretFile } from '../../keys/store.ts'
import { devTokenPath } from '../approvals.ts'
import { type Context, located, pathOption, type Register, urlOption, wholeNumberOption } from '../context.ts'
import { CommandError, FAILED, UNUSABLE } from '../failure.ts'
import { ask, jsonObject } from '../http.ts'

interface Options {
  readonly control?: string
  readonly tokenFile?: string
  readonly json?: true
}

const CONTROL = 'http://127.0.0.1:8444'

export const registerEscalations: Register = (program, context) => {
  const group = program.command('escalations').description('what waits for a human')
  const command = (name: string, about: string) =>
    group
      .command(name)
      .description(about)
      .option('--control <url>', `the control plane (SIGNET_CONTROL_URL, default ${CONTROL})`, urlOption)
      .option(
        '--token-file <file>',
        'proves who you are (SIGNET_CONTROL_TOKEN; default: what serve --dev made here)',
        pathOption,
      )
      .option('--json', 'for programs')
  command('list', 'newest first')
    .option('--state <state>', 'pending, approved, denied, expired or released (default: all)')
    .option('-n, --lines <count>', 'at most so many', wholeNumberOption(1, 200), 20)
    .action((options: Options & { readonly state?: string; readonly lines: number }) => list(options, context))
  command('show <id>', 'what would fire, and who is asked').action((id: string, options: Options) =>
    show(id, options, context),
  )
  command('approve <id>', 'let exactly that fire')
    .option('--reason <text>', 'for the log')
    .option('--digest <digest>', 'refuse if it is another one by now (default: the one shown)')
    .action((id: string, options: Options & Said) => decide('approve', id, options, context))
  command('deny <id>', 'it does not fire')
    .requiredOption('--reason <text>', 'why, in a sentence')
    .option('--digest <digest>', 'refuse if it is another one by now (default: the one shown)')
    .action((id: string, options: Options & Said) => decide('deny', id, options, context))
  command('watch', 'every change, until it is ended').action((options: Options) => watch(options, context))
}

interface Said {
  readonly reason?: string
  readonly digest?: string
}

type Shown = Readonly<Record<string, unknown>>

async function list(
  options: Options & { readonly state?: string; readonly lines: number },
  context: Context,
): Promise<void> {
  const query = new URLSearchParams({
    limit: String(options.lines),
    ...(options.state === undefined ? {} : { state: options.state }),
  })
  const body = await call(options, context, 'GET', `?${query}`)
  const found = listOf(body['escalations'])
  if (options.json) return context.terminal.json(body)
  if (found.length === 0) return context.terminal.line('nothing waits, and nothing has')
  context.terminal.table([
    ['made', 'state', 'id', 'owner', 'asks for', 'until'],
    ...found.map(e => [
      text(e, 'created_at'),
      { text: text(e, 'state'), colour: e['state'] === 'pending' ? ('yellow' as const) : ('dim' as const) },
      text(e, 'id'),
      text(e, 'owner'),
      listOf(e['calls'])
        .map(c => text(c, 'tool'))
        .join(', ') || text(e, 'check'),
      text(e, 'expires_at'),
    ]),
  ])
}

async function show(id: string, options: Options, context: Context): Promise<void> {
  const e = await call(options, context, 'GET', `/${id}`)
  if (options.json) context.terminal.json(e)
  else print(e, context)
}

async function decide(what: 'approve' | 'deny', id: string, options: Options & Said, context: Context): Promise<void> {
  const before = await call(options, context, 'GET', `/${id}`)
  if (!options.json) print(before, context)
  const body = JSON.stringify({
    digest: options.digest ?? text(before, 'digest'),
    ...(options.reason === undefined ? {} : { reason: options.reason }),
  })
  const after = await call(options, context, 'POST', `/${id}/${what}`, body)
  if (options.json) context.terminal.json(after)
  else context.terminal.line(`it is ${text(after, 'state')}`)
}

async function watch(options: Options, context: Context): Promise<void> {
  const { url, headers } = place(options, context)
  const leaving = new AbortController()
  void context.asked().then(() => leaving.abort())
  try {
    const res = await fetch(`${url}/watch`, { headers, signal: leaving.signal, redirect: 'error' })
    if (res.status !== 200 || res.body === null) throw refused(res.status, undefined)
    let rest = ''
    for await (const piece of res.body.pipeThrough(new TextDecoderStream())) {
      const events = (rest + piece).split('\n\n')
      rest = events.pop() ?? ''
      for (const event of events) {
        const data = /^data: (.*)$/m.exec(event)?.[1]
        const e = data === undefined ? undefined : jsonObject(Buffer.from(data))
        if (e === undefined) continue
        if (options.json) context.terminal.json(e, 0)
        else {
          const tools = listOf(e['calls']).map(c => text(c, 'tool'))
          context.terminal.line(`${text(e, 'state')}  ${text(e, 'id')}  ${text(e, 'owner')}  ${tools.join(', ')}`)
        }
      }
    }
  } catch (error) {
    if (leaving.signal.aborted) return
    throw error instanceof CommandError
      ? error
      : new CommandError(`the control plane at ${url} cannot be reached`, UNUSABLE)
  }
}

function print(e: Shown, { terminal }: Context): void {
  const asked = Array.isArray(e['current_approvers']) ? e['current_approvers'].join(', ') : ''
  terminal.line(`escalation  ${text(e, 'id')}  (${text(e, 'state')})`)
  terminal.line(`owner       ${text(e, 'owner')}, as known by ${text(e, 'owner_authenticated_by')}`)
  terminal.line(`asked by    ${text(e, 'check')}: ${text(e, 'reason')}`)
  terminal.line(`until       ${text(e, 'expires_at')}`)
  if (asked !== '') terminal.line(`asks now    ${asked}`)
  for (const c of listOf(e['calls'])) {
    terminal.line({ text: `call        ${text(c, 'tool')}`, colour: 'bold' })
    terminal.line(`            ${text(c, 'arguments')}`)
  }
  terminal.line(`digest      ${text(e, 'digest')}`)
}

async function call(
  options: Options,
  context: Context,
  method: 'GET' | 'POST',
  path: string,
  body?: string,
): Promise<Shown> {
  const { url, headers } = place(options, context)
  const answer = await ask(`${url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) })
  if (!answer.ok) throw new CommandError(`the control plane at ${url} cannot be reached: ${answer.reason}`, UNUSABLE)
  const read = jsonObject(answer.body)
  if (answer.status !== 200 || read === undefined) throw refused(answer.status, read)
  return read
}

function refused(status: number, body: Shown | undefined): CommandError {
  const why = body === undefined ? '' : `: ${text(body, 'description') || text(body, 'error')}`
  switch (status) {
    case 401:
      return new CommandError(
        'the control plane does not know this token; give the right one with --token-file',
        UNUSABLE,
      )
    case 404:
      return new CommandError('there is no such escalation', FAILED)
    default:
      return new CommandError(`the control plane said no (${status})${why}`, FAILED)
  }
}

function place(options: Options, context: Context) {
  const base = options.control ?? context.environment['SIGNET_CONTROL_URL'] ?? CONTROL
  return {
    url: `${urlOption(base).replace(/\/+$/, '')}/api/v1/escalations`,
    headers: { authorization: `Bearer ${token(options, context)}` },
  }
}

function token(options: Options, context: Context): string {
  if (options.tokenFile !== undefined) return readSecretFile(located(context, options.tokenFile))
  const given = context.environment['SIGNET_CONTROL_TOKEN']
  if (given !== undefined && given !== '') return given
  const dev = devTokenPath(context.folder)
  const found = existsSync(dev) ? readPrivate(dev) : undefined
  if (found !== undefined) return found.trim()
  throw new CommandError(
    'no token: pass --token-file, set SIGNET_CONTROL_TOKEN, or run this where "signet serve --dev" runs',
    UNUSABLE,
  )
}

function text(from: Shown, name: string): string {
  const value = from[name]
  return typeof value === 'string' ? value : ''
}

function listOf(value: unknown): readonly Shown[] {
  return Array.isArray(value) ? value.filter((v): v is Shown => typeof v === 'object' && v !== null) : []
}
