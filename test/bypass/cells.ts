/** Every cell of the matrix, from what the registry says a surface carries. */
import { DIALECTS } from '../../src/dialects/registry.ts'
import { CHAT } from './chat.ts'
import { escaped } from './chat-answers.ts'
import { COMPLETIONS } from './completions.ts'
import { COUNT_TOKENS } from './count-tokens.ts'
import { EMBEDDINGS } from './embeddings.ts'
import { MESSAGES } from './messages.ts'
import { MODELS } from './models.ts'
import { MODERATIONS } from './moderations.ts'
import { RESPONSES } from './responses.ts'
import {
  type CallBuilder,
  type Expected,
  FORBIDDEN,
  HARMLESS,
  LEAD,
  type Mode,
  type Place,
  REDACTED,
  SECRET,
  type Surface,
  TAIL,
  type TextBuilder,
} from './surface.ts'
import type { Answer } from './upstream.ts'

/** One entry for every dialect of the registry. */
export const SURFACES: Readonly<Record<string, Surface>> = {
  chat: CHAT,
  responses: RESPONSES,
  messages: MESSAGES,
  'count-tokens': COUNT_TOKENS,
  completions: COMPLETIONS,
  embeddings: EMBEDDINGS,
  moderations: MODERATIONS,
  models: MODELS,
}

export interface Cell {
  readonly surface: Surface
  readonly row: string
  readonly mode: Mode
  readonly choice: number
  readonly column: string
  readonly answer: Answer
  readonly expect: Expected
  readonly hidden: readonly string[]
  readonly shown: readonly string[]
  readonly tools: readonly string[]
  /** In the audit row of a block. */
  readonly code?: string
  readonly channel?: RegExp
  /** Where the channel may have it. */
  readonly offsets?: readonly number[]
  /** Nothing beyond this may be read in any field that begins so. */
  readonly upTo?: string
}

export const TOOLS = ['get_weather', 'search_orders', 'issue_refund', 'format_disk'] as const

interface Disguise {
  readonly name: string
  readonly dress: (text: string) => string
  readonly applies: (b: TextBuilder) => boolean
  readonly split?: true
}

const always = () => true
export const DISGUISES: readonly Disguise[] = [
  { name: 'plain', dress: text => text, applies: always },
  { name: 'split', dress: text => text, applies: b => b.joins, split: true },
  { name: 'escaped', dress: escaped, applies: b => b.json },
  { name: 'full-width', dress: wide, applies: always },
  { name: 'zero-width', dress: text => [...text].join('\u200b'), applies: always },
]

/** Pieces that are elements of a list, or blocks, have a break before each of them but the first. */
function offsetsOf(before: string | readonly string[], isSplit: boolean): readonly number[] {
  return [before].flat().flatMap(b => {
    const at = b.length + LEAD.length
    return isSplit ? [at, at + LEAD.length, at + LEAD.length + 1] : [at]
  })
}

function wide(text: string): string {
  return [...text].map(c => String.fromCodePoint((c.codePointAt(0) ?? 0) + 0xfee0)).join('')
}

function textCells(surface: Surface, row: string, b: TextBuilder, mode: Mode): Cell[] {
  const out: Cell[] = []
  for (const choice of b.perChoice ? surface.choices : [0]) {
    const place: Place = { mode, choice }
    const add = (column: string, pieces: readonly string[], expect: Expected, rest: Partial<Cell>) =>
      out.push({
        surface,
        row,
        mode,
        choice,
        column,
        answer: b.answer(pieces, place),
        expect,
        hidden: [],
        shown: [],
        tools: b.tools ?? TOOLS,
        ...rest,
      })
    add('allow', b.harmless ?? [LEAD, HARMLESS, TAIL].slice(0, b.joins ? 3 : 1), 'identical', {})
    for (const d of DISGUISES) {
      if (!d.applies(b)) continue
      const cut = (text: string): readonly string[] => (d.split ? [...text] : [text])
      const suffix = d.name === 'plain' ? '' : ` ${d.name}`
      add(`block${suffix}`, cut(LEAD + d.dress(FORBIDDEN) + TAIL), 'refused', {
        hidden: [FORBIDDEN],
        code: 'output_pattern',
        channel: b.channel,
        ...(d.split && b.apart ? {} : { offsets: offsetsOf(b.before, d.split === true) }),
        upTo: LEAD,
      })
      add(`redact${suffix}`, cut(LEAD + d.dress(SECRET) + TAIL), b.redaction === 'blocked' ? 'refused' : b.redaction, {
        hidden: [SECRET, SECRET.slice(8)],
        shown: b.redaction === 'redacted' ? [LEAD + REDACTED + TAIL] : [],
        ...(b.redaction === 'blocked' ? { code: 'redaction_unwritable', upTo: LEAD } : {}),
      })
    }
  }
  return out
}

function callCells(surface: Surface, row: string, b: CallBuilder, mode: Mode): Cell[] {
  const out: Cell[] = []
  const channel = b.channel ?? /^call:/
  const refused = (name: string) => `signet refused the tool call ${b.called?.(name) ?? name}`
  const argument = (text: string) => (b.form === 'json' ? `{"city":"${text}"}` : text)
  for (const choice of surface.choices) {
    const place: Place = { mode, choice }
    const add = (column: string, name: string, pieces: readonly string[], expect: Expected, rest: Partial<Cell>) =>
      out.push({
        surface,
        row,
        mode,
        choice,
        column,
        answer: b.answer([{ name, argumentPieces: pieces }], place),
        expect,
        hidden: [],
        shown: [],
        tools: TOOLS,
        ...rest,
      })
    const single = (text: string) => [...argument(text)]
    add('allow', 'get_weather', single('Oslo'), 'identical', { shown: ['Oslo'] })
    add('block', 'get_weather', [argument(FORBIDDEN)], 'refused', { hidden: [FORBIDDEN], channel })
    add('block split', 'get_weather', single(FORBIDDEN), 'refused', { hidden: [FORBIDDEN], channel })
    add('block full-width', 'get_weather', single(wide(FORBIDDEN)), 'refused', {
      hidden: [FORBIDDEN],
      channel,
    })
    add('block zero-width', 'get_weather', single([...FORBIDDEN].join('\u200b')), 'refused', {
      hidden: [FORBIDDEN],
      channel,
    })
    if (b.form === 'json') {
      const inner = [...FORBIDDEN].map(c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
      add('block escaped', 'get_weather', single(inner), 'refused', {
        hidden: [FORBIDDEN, inner],
        channel,
      })
    }
    // Arguments are never rewritten: what would have to be redacted refuses the call.
    add('redact', 'get_weather', single(SECRET), 'call refused', {
      hidden: [SECRET, SECRET.slice(8)],
      code: 'redaction_unwritable',
      shown: [refused('get_weather')],
    })
    add('refuse', 'format_disk', single('sda-array'), 'call refused', {
      hidden: ['sda-array'],
      code: 'tool_unregistered',
      shown: [refused('format_disk')],
    })
    add('escalate', 'issue_refund', single('acct-50000'), 'held', {
      hidden: ['acct-50000'],
      code: 'tool_irreversible',
    })
    if (b.single) continue
    out.push({
      surface,
      row,
      mode,
      choice,
      column: 'refuse one of two',
      answer: b.answer(
        [
          { name: 'format_disk', argumentPieces: single('sda-array') },
          { name: 'get_weather', argumentPieces: single('Oslo') },
        ],
        place,
      ),
      expect: 'call refused',
      hidden: ['sda-array'],
      shown: [...(b.called === undefined ? ['get_weather'] : []), 'Oslo', refused('format_disk')],
      tools: TOOLS,
      code: 'tool_unregistered',
    })
  }
  return out
}

export function cells(): readonly Cell[] {
  const out: Cell[] = []
  for (const dialect of DIALECTS) {
    const surface = SURFACES[dialect.name]
    if (surface === undefined) continue
    for (const carrier of dialect.carriers) {
      for (const mode of carrier.modes) {
        const text = surface.text[carrier.name]
        const call = surface.calls[carrier.name]
        if (carrier.kind === 'text' && text !== undefined) out.push(...textCells(surface, carrier.name, text, mode))
        if (carrier.kind === 'call' && call !== undefined) out.push(...callCells(surface, carrier.name, call, mode))
      }
    }
    for (const s of surface.specials) {
      out.push({
        surface,
        row: s.name,
        mode: s.mode,
        choice: 0,
        column: 'special',
        answer: s.answer,
        expect: s.expect,
        hidden: s.hidden ?? [],
        shown: s.shown ?? [],
        tools: s.tools ?? [],
        ...(s.code === undefined ? {} : { code: s.code }),
      })
    }
  }
  return out
}
