import { describe, expect, it } from 'vitest'
import { openTerminal } from './terminal.ts'

function terminal(more: { isTTY?: boolean; environment?: Record<string, string> } = {}) {
  const written = { out: '', error: '' }
  const stream = (name: 'out' | 'error') => ({
    write: (text: string) => (written[name] += text),
    isTTY: more.isTTY ?? false,
    columns: 60,
  })
  let time = 0
  const opened = openTerminal({
    out: stream('out'),
    error: stream('error'),
    environment: more.environment ?? {},
    now: () => (time += 1000),
  })
  return { ...opened, written }
}

const ESC = '\x1b'

describe('the terminal', () => {
  it('escapes what a caller prints, coloured or not', () => {
    const t = terminal()
    t.line('owner ', { text: `${ESC}[2J`, colour: 'red' })
    t.note(`a\nb`)
    expect(t.written).toEqual({ out: 'owner \\x1b[2J\n', error: 'a\\x0ab\n' })
  })

  it('colours on a terminal, around escaped text', () => {
    const t = terminal({ isTTY: true })
    t.line({ text: `x${ESC}`, colour: 'red' })
    expect(t.written.out).toBe(`${ESC}[31mx\\x1b${ESC}[0m\n`)
  })

  it.each([{ NO_COLOR: '1' }, { TERM: 'dumb' }])('does not colour under %j', environment => {
    const t = terminal({ isTTY: true, environment })
    t.line({ text: 'x', colour: 'red' })
    expect(t.written.out).toBe('x\n')
  })

  it('an empty NO_COLOR is unset (no-color.org)', () => {
    const t = terminal({ isTTY: true, environment: { NO_COLOR: '' } })
    t.line({ text: 'x', colour: 'red' })
    expect(t.written.out).toContain(`${ESC}[31m`)
  })

  it('aligns columns by what is seen', () => {
    const t = terminal()
    t.table(
      [
        ['name', 'n'],
        ['日本', '1'],
        [`a${ESC}`, '22'],
        ['😀 smile', '333'],
      ],
      [1],
    )
    expect(t.written.out.split('\n')).toEqual(['name        n', '日本        1', 'a\\x1b      22', '😀 smile  333', ''])
  })

  it('prints JSON that parses back and is safe to look at', () => {
    const t = terminal()
    const value = { id: `${ESC}\u202e\u2028\u0085`, n: 1n }
    t.json(value)
    expect(JSON.parse(t.written.out)).toEqual({ id: value.id, n: '1' })
    expect(t.written.out).not.toMatch(/[\u0085\u202e\u2028\x1b]/)
  })

  it('shows progress on a terminal only, and takes it away again', () => {
    const silent = terminal()
    silent.progress('verifying').update(1, 2, 'rows')
    expect(silent.written.error).toBe('')
    const t = terminal({ isTTY: true })
    const bar = t.progress('verifying')
    bar.update(1, 2, 'rows')
    bar.end()
    expect(t.written.error).toBe(`\rverifying [##########..........] 50% 1 of 2 rows${ESC}[K\r${ESC}[K`)
  })
})
