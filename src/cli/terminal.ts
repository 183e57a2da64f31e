/**
 * The one place that prints. Every string is escaped on its way out, so no caller can forget it; colour is data beside the text and
 * becomes an escape sequence only here, only on a terminal, never under NO_COLOR. Machine output is one JSON document or one per line.
 */
import { escapeJson, escapeText, shorten, width } from './escape.ts'

export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold'

/** Plain text, or text with a colour. */
export type Ink = string | { readonly text: string; readonly colour: Colour }

export interface Terminal {
  /** One line to standard output: results. */
  line(...inks: readonly Ink[]): void
  /** One line to standard error: progress, warnings, errors. */
  note(...inks: readonly Ink[]): void
  /** One JSON document to standard output; `indent` 0 for JSON lines. */
  json(value: unknown, indent?: number): void
  /** Aligned columns to standard output. The first row is the head. Columns named in `right` are right-aligned. */
  table(rows: readonly (readonly Ink[])[], right?: readonly number[]): void
  /** A bar on standard error; nothing at all when that is no terminal. */
  progress(label: string): Progress
}

export interface Progress {
  update(done: number, total: number, unit: string): void
  end(): void
}

const CODES: Readonly<Record<Colour, number>> = { red: 31, green: 32, yellow: 33, cyan: 36, dim: 2, bold: 1 }

export interface TerminalOptions {
  readonly out: Output
  readonly error: Output
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly now: () => number
}

export function openTerminal({ out, error, environment, now }: TerminalOptions): Terminal {
  return {
    line: (...inks) => void out.write(`${render(inks, colours(out))}\n`),
    note: (...inks) => void error.write(`${render(inks, colours(error))}\n`),
    json: (value, indent = 2) => void out.write(`${escapeJson(JSON.stringify(value, bigintAsText, indent))}\n`),
    table(rows, right = []) {
      const coloured = colours(out)
      const widths = columnWidths(rows)
      for (const row of rows) {
        const cells = row.map((ink, column) => {
          const text = escapeText(typeof ink === 'string' ? ink : ink.text)
          const pad = ' '.repeat(Math.max(0, (widths[column] ?? 0) - width(text)))
          const inked = typeof ink === 'string' ? text : paint(text, ink.colour, coloured)
          return right.includes(column) ? pad + inked : column === row.length - 1 ? inked : inked + pad
        })
        out.write(`${cells.join('  ')}\n`)
      }
    },
    progress(label) {
      if (error.isTTY !== true) return { update: () => {}, end: () => {} }
      let last = Number.NEGATIVE_INFINITY
      return {
        update(done, total, unit) {
          const at = now()
          if (at - last < 100) return
          last = at
          const share = total > 0 ? Math.min(1, done / total) : 0
          const bar = '#'.repeat(Math.floor(share * 20)).padEnd(20, '.')
          const text = escapeText(`${label} [${bar}] ${Math.floor(share * 100)}% ${done} of ${total} ${unit}`)
          error.write(`\r${shorten(text, (error.columns ?? 80) - 1)}\x1b[K`)
        },
        end: () => {
          if (last !== Number.NEGATIVE_INFINITY) error.write('\r\x1b[K')
        },
      }
    },
  }

  function colours(stream: Output): boolean {
    return stream.isTTY === true && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb'
  }
}

function render(inks: readonly Ink[], coloured: boolean): string {
  return inks
    .map(ink => (typeof ink === 'string' ? escapeText(ink) : paint(escapeText(ink.text), ink.colour, coloured)))
    .join('')
}

function paint(escaped: string, colour: Colour, coloured: boolean): string {
  return coloured && escaped !== '' ? `\x1b[${CODES[colour]}m${escaped}\x1b[0m` : escaped
}

function columnWidths(rows: readonly (readonly Ink[])[]): readonly number[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, ink] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, width(escapeText(typeof ink === 'string' ? ink : ink.text)))
    }
  }
  return widths
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
