/** `signet escalations`: what waits for a human, and the human's word. Speaks the control plane's API, with a token. */
import { type Context, pathOption, type Register, wholeNumberOption } from '../context.ts'
import {
  type ControlFlags,
  callControl,
  controlCommand,
  controlPlace,
  listOf,
  refused,
  type Shown,
  text,
  unreachable,
} from '../control-call.ts'
import type { EvidenceOptions } from '../evidence.ts'
import { CommandError } from '../failure.ts'
import { jsonObject } from '../http.ts'

type Options = ControlFlags

const ESCALATIONS = '/escalations'

export const registerEscalations: Register = (program, context) => {
  const group = program.command('escalations').description('what waits for a human')
  const command = (name: string, about: string) => controlCommand(group, name, about)
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
  command('evidence [id]', "who decided, with their passkeys' signatures verified here")
    .option(
      '--file <file>',
      'evidence that was kept (as --json gave it), instead of asking the control plane',
      pathOption,
    )
    .option('--audit-log <file>', 'look up the rows that hold its digests', pathOption)
    .action(async (id: string | undefined, options: EvidenceOptions) => {
      const { evidence } = await import('../evidence.ts')
      await evidence(id, options, context)
    })
  command('watch', 'every change, until it is ended').action((options: Options) => watch(options, context))
}

interface Said {
  readonly reason?: string
  readonly digest?: string
}

async function list(
  options: Options & { readonly state?: string; readonly lines: number },
  context: Context,
): Promise<void> {
  const query = new URLSearchParams({
    limit: String(options.lines),
    ...(options.json ? {} : { arguments: 'false' }),
    ...(options.state === undefined ? {} : { state: options.state }),
  })
  const body = await callControl(options, context, 'GET', `${ESCALATIONS}?${query}`)
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
  const e = await callControl(options, context, 'GET', `${ESCALATIONS}/${id}`)
  if (options.json) context.terminal.json(e)
  else print(e, context)
}

async function decide(what: 'approve' | 'deny', id: string, options: Options & Said, context: Context): Promise<void> {
  const before = await callControl(options, context, 'GET', `${ESCALATIONS}/${id}`)
  if (!options.json) print(before, context)
  const body = {
    digest: options.digest ?? text(before, 'digest'),
    ...(options.reason === undefined ? {} : { reason: options.reason }),
  }
  const after = await callControl(options, context, 'POST', `${ESCALATIONS}/${id}/${what}`, body)
  if (options.json) context.terminal.json(after)
  else context.terminal.line(`it is ${text(after, 'state')}`)
}

async function watch(options: Options, context: Context): Promise<void> {
  const { url, headers } = controlPlace(options, context)
  const leaving = new AbortController()
  void context.asked().then(() => leaving.abort())
  try {
    const res = await fetch(`${url}${ESCALATIONS}/watch`, { headers, signal: leaving.signal, redirect: 'error' })
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
    throw error instanceof CommandError ? error : unreachable(url, 'the connection failed')
  }
}

function print(e: Shown, { terminal }: Context): void {
  const asked = Array.isArray(e['current_approvers']) ? e['current_approvers'].join(', ') : ''
  terminal.line(`escalation  ${text(e, 'id')}  (${text(e, 'state')})`)
  terminal.line(`owner       ${text(e, 'owner')}, as known by ${text(e, 'owner_authenticated_by')}`)
  terminal.line(`asked by    ${text(e, 'check')}: ${text(e, 'reason')}`)
  terminal.line(`until       ${text(e, 'expires_at')}`)
  if (asked !== '') terminal.line(`asks now    ${asked}`)
  if (e['passkey_required'] === true) terminal.line('approved    with a passkey only, on a page of the control plane')
  for (const c of listOf(e['calls'])) {
    terminal.line({ text: `call        ${text(c, 'tool')}`, colour: 'bold' })
    terminal.line(`            ${text(c, 'arguments')}`)
  }
  terminal.line(`digest      ${text(e, 'digest')}`)
}
