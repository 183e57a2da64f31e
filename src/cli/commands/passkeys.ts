/** `signet passkeys`: whose there are, who may register one, and which is taken away. Made and used in a browser. */
import type { Context, Register } from '../context.ts'
import { type ControlFlags, callControl, controlCommand, listOf, text } from '../control-call.ts'

export const registerPasskeys: Register = (program, context) => {
  const group = program.command('passkeys').description('the passkeys that approvals are signed with')
  controlCommand(group, 'list', 'your own')
    .option('--principal <principal>', "somebody else's; for admins")
    .action((options: ControlFlags & { readonly principal?: string }) => list(options, context))
  controlCommand(group, 'invite <principal>', 'let somebody register one, within a day; for admins').action(
    (principal: string, options: ControlFlags) => invite(principal, options, context),
  )
  controlCommand(
    group,
    'revoke <id>',
    'take one away: your own, or for admins anybody\'s (an id that begins with "-" goes behind "--")',
  ).action((id: string, options: ControlFlags) => revoke(id, options, context))
}

async function list(options: ControlFlags & { readonly principal?: string }, context: Context): Promise<void> {
  const { principal } = options
  const query = principal === undefined ? '' : `?${new URLSearchParams({ principal })}`
  const body = await callControl(options, context, 'GET', `/passkeys${query}`)
  if (options.json) return context.terminal.json(body)
  const found = listOf(body['passkeys'])
  if (found.length === 0) return context.terminal.line('no passkeys')
  context.terminal.table([
    ['made', 'owner', 'name', 'synced', 'id'],
    ...found.map(p => [
      text(p, 'created_at'),
      text(p, 'principal'),
      text(p, 'name'),
      p['synced'] === true ? 'yes' : 'no',
      text(p, 'id'),
    ]),
  ])
}

async function invite(principal: string, options: ControlFlags, context: Context): Promise<void> {
  const body = await callControl(options, context, 'POST', '/passkeys/invitations', { principal })
  if (options.json) return context.terminal.json(body)
  context.terminal.line(`invitation  ${text(body, 'invitation')}`)
  context.terminal.line(`for         ${text(body, 'principal')} alone, once, until ${text(body, 'expires_at')}`)
}

async function revoke(id: string, options: ControlFlags, context: Context): Promise<void> {
  const body = await callControl(options, context, 'POST', `/passkeys/${encodeURIComponent(id)}/revoke`, {})
  if (options.json) context.terminal.json(body)
  else context.terminal.line('it is taken away')
}
