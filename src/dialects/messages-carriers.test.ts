import { describe, expect, it } from 'vitest'
import type { Frame } from '../core/wire.ts'
import {
  bytes,
  calls,
  channels,
  faultCode,
  read,
  request,
  sound,
  stream,
  text,
  unary,
} from './messages.test-support.ts'
import { messagesDialect } from './messages.ts'
import { CARRIER_ANSWERS } from './messages-carriers.test-support.ts'
import { RedactionUnwritable } from './redaction-unwritable.ts'

const SECRET = 'LEAK-MARKER'
const rows = messagesDialect.carriers.flatMap(carrier =>
  carrier.modes.map(mode => [carrier.name, mode, carrier.kind] as const),
)

/** Frames of the answer that carries `said` in that place. */
function framesOf(name: string, mode: 'unary' | 'stream', said: string): readonly Frame[] {
  const make = CARRIER_ANSWERS[name]
  if (make?.[mode] === undefined) throw new Error(`no answer carries a text in ${name}, ${mode}`)
  return mode === 'unary' ? sound(unary(make.unary?.(said))) : sound(stream(make.stream?.(said) ?? ''))
}

/** Every text a check sees: parts, and what the pipeline takes from finished calls. */
const inspected = (items: readonly Frame[]) => [
  ...Object.values(channels(items)),
  ...calls(items).flatMap(call => [call.id, call.name, call.argumentsText]),
]

describe('carriers', () => {
  it('have an answer each, and no answer is without its carrier', () => {
    expect(Object.keys(CARRIER_ANSWERS).sort()).toEqual(messagesDialect.carriers.map(c => c.name).sort())
  })

  it.each(rows)('%s, %s (%s): a check sees what it carries', (name, mode, kind) => {
    expect(inspected(framesOf(name, mode, SECRET)).some(said => said.includes(SECRET))).toBe(true)
    expect(inspected(framesOf(name, mode, 'harmless')).join('\n')).not.toContain(SECRET)
    if (kind === 'call') expect(calls(framesOf(name, mode, SECRET))).toMatchObject([{ arguments: { q: SECRET } }])
  })

  it.each(rows.filter(([, , kind]) => kind === 'text'))(
    '%s, %s: is rewritten everywhere, or not at all',
    (name, mode) => {
      const items = framesOf(name, mode, SECRET)
      const writer = messagesDialect.openWriter(request({ stream: mode === 'stream' }))
      let out = ''
      try {
        for (const f of items) {
          const edits = f.parts.flatMap((part, i) => {
            const from = part.kind === 'text' ? part.text.indexOf(SECRET) : -1
            const edit = { from, to: from + SECRET.length, text: '[GONE]' }
            return from < 0 ? [] : [{ kind: 'text' as const, part: i, edits: [edit] }]
          })
          out += text(writer.write(f, edits))
        }
      } catch (error) {
        expect(error).toBeInstanceOf(RedactionUnwritable)
        return
      }
      // The name and id of a call are the pipeline's to judge: it refuses the call.
      if (name !== 'tool_use.id' && name !== 'tool_use.name') expect(out).not.toContain(SECRET)
      const again = read(bytes(out), [], { type: mode === 'stream' ? 'text/event-stream' : 'application/json' })
      expect(faultCode(again)).toBeUndefined()
    },
  )

  it.each(rows.filter(([, , kind]) => kind === 'call'))('%s, %s: is gone when it is refused', (name, mode) => {
    const writer = messagesDialect.openWriter(request({ stream: mode === 'stream' }))
    const out = framesOf(name, mode, SECRET).map(f => {
      const mine = f.parts.some(part => part.kind === 'callPiece')
      return text(writer.write(f, mine ? [{ kind: 'refuse', key: 'b0', notice: 'refused' }] : []))
    })
    expect(out.join('')).not.toContain(SECRET)
    expect(out.join('')).toContain('"text":"refused"')
  })
})
