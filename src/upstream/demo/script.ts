/**
 * What the demo model says: a pure function of the conversation, so that tours, tests and recordings repeat exactly.
 *
 * The last user message decides. `Say hello` says it; `count to 5` counts; weather, refund, search order, e-mail and
 * delete account call the tool of that name, several in one turn if several are asked for; `leak` or `secret plan` slips a
 * classification marker into the answer; anything else is echoed. After tool results it reports them.
 */

export interface DemoMessage {
  readonly role: string
  readonly text: string
}

export interface DemoCall {
  readonly name: string
  /** As the model writes them: usually, but not always, JSON. */
  readonly argumentsText: string
}

export interface DemoReply {
  readonly text: string
  readonly calls: readonly DemoCall[]
  /** Characters (code points) per streamed piece; 0 streams whole words. */
  readonly pieceLength: number
}

export interface DemoTurn {
  readonly messages: readonly DemoMessage[]
  /** Names of the declared tools; `undefined` when the request declares none: the model then calls what it likes. */
  readonly tools: readonly string[] | undefined
  /** False for `tool_choice: "none"`. */
  readonly mayCall: boolean
}

export const LEAK_MARKER = 'SECRET//NOFORN'
const LEAK = `The plan is simple. ${LEAK_MARKER} The convoy leaves at dawn.`
const COUNT_MAX = 10_000

export function reply(turn: DemoTurn): DemoReply {
  const last = turn.messages.at(-1)
  if (last?.role === 'tool' || last?.role === 'function') return text(reportResults(turn.messages))
  const asked = turn.messages.findLast(message => message.role === 'user')?.text.trim() ?? ''
  const calls = turn.mayCall ? callsFor(asked).filter(call => turn.tools?.includes(call.name) ?? true) : []
  if (calls.length > 0) return { text: '', calls, pieceLength: 0 }
  if (/\bleak|\bsecret plan/i.test(asked)) return { text: LEAK, calls: [], pieceLength: 1 }
  const count = /\bcount to (\d{1,9})\b/i.exec(asked)
  if (count !== null) return text(countTo(Math.min(Number(count[1]), COUNT_MAX)))
  const say = /^(?:please )?say\s+(\S.*)$/is.exec(asked)
  if (say !== null) return text(sentence(say[1] ?? ''))
  return text(asked === '' ? 'You said nothing.' : `You said: ${asked}`)
}

function text(words: string): DemoReply {
  return { text: words, calls: [], pieceLength: 0 }
}

function countTo(last: number): string {
  return Array.from({ length: last }, (_, index) => String(index + 1)).join(', ')
}

function sentence(words: string): string {
  const bare = words.trim().replace(/^["'“](.*)["'”]$/s, '$1')
  const capital = bare.slice(0, 1).toUpperCase() + bare.slice(1)
  return /[.!?…]$/.test(capital) ? capital : `${capital}.`
}

/** The results since the model's last turn, in order. */
function reportResults(messages: readonly DemoMessage[]): string {
  const from = messages.findLastIndex(message => message.role !== 'tool' && message.role !== 'function')
  const results = messages.slice(from + 1).map(message => message.text.trim())
  return results.length === 1
    ? `The tool answered: ${results[0] ?? ''}`
    : results.map((result, index) => `Tool ${String(index + 1)} answered: ${result}`).join('\n')
}

interface Skill {
  readonly name: string
  readonly asked: RegExp
  readonly argumentsOf: (asked: string) => Readonly<Record<string, string | number>>
}

const SKILLS: readonly Skill[] = [
  {
    name: 'get_weather',
    asked: /\bweather\b/i,
    argumentsOf: asked => ({
      city: /\bweather (?:in|at|for|of) (\p{Lu}[\p{L}-]*(?: \p{Lu}[\p{L}-]*)*)/u.exec(asked)?.[1] ?? 'Paris',
    }),
  },
  {
    name: 'search_orders',
    asked: /\b(?:search|find|look up)\b[^.]{0,40}\borders?\b/i,
    argumentsOf: asked => ({
      query: /\borders? (?:of|from|for|by|number )?\s*#?([\p{L}\p{N}@.-]*[\p{L}\p{N}])/u.exec(asked)?.[1] ?? 'all',
    }),
  },
  {
    name: 'send_email',
    asked: /\be-?mail\b/i,
    argumentsOf: asked => ({
      to: /[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{0,250}[A-Za-z0-9]/.exec(asked)?.[0] ?? 'bob@example.com',
      subject: 'Hello',
      body: 'Written by the demo model.',
    }),
  },
  {
    name: 'issue_refund',
    asked: /\brefund/i,
    argumentsOf: asked => ({ amount: amountIn(asked) ?? 50_000, account: accountIn(asked) ?? 'X' }),
  },
  {
    name: 'delete_account',
    asked: /\bdelete\b[^.]{0,40}\baccount\b/i,
    argumentsOf: asked => ({ account: accountIn(asked) ?? 'X' }),
  },
]

/** In the order in which the message asks for them. */
function callsFor(asked: string): readonly DemoCall[] {
  return SKILLS.map(skill => ({ skill, at: asked.search(skill.asked) }))
    .filter(({ at }) => at >= 0)
    .sort((a, b) => a.at - b.at)
    .map(({ skill }) => ({ name: skill.name, argumentsText: JSON.stringify(skill.argumentsOf(asked)) }))
}

/** `$50,000`, `50000`, `12.50`; not the number of an account. */
function amountIn(asked: string): number | undefined {
  const match = /(?<![#\p{L}\p{N}-])\$?(\d{1,3}(?:,\d{3}){1,4}|\d{1,12})(\.\d{1,2})?(?![\p{L}\p{N}])/u.exec(
    asked.replace(/\baccount (?:number )?\S+/gi, ''),
  )
  if (match === null) return undefined
  return Number(`${(match[1] ?? '').replaceAll(',', '')}${match[2] ?? ''}`)
}

function accountIn(asked: string): string | undefined {
  return /\baccount (?:number )?#?([\p{L}\p{N}][\p{L}\p{N}_-]*)/iu.exec(asked)?.[1]
}
