/** The bypass matrix: everything a surface can carry, against the running gate. Generated from the registry. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DIALECTS } from '../../src/dialects/registry.ts'
import { startTestGate, type TestGate } from '../support/gate.ts'
import { type Cell, cells, SURFACES } from './cells.ts'
import { checks } from './checks.ts'
import { matrixPage } from './page.ts'
import { plain, type Released, read } from './released.ts'
import { LEAD } from './surface.ts'
import { type Answer, bodyOf, type ScriptedUpstream, startScriptedUpstream } from './upstream.ts'

interface Row {
  readonly check_name: string
  readonly decision: string
  readonly metadata: Readonly<Record<string, unknown>>
}

interface Result {
  readonly released: Released
  readonly rows: readonly Row[]
  readonly retry: string | null
}

interface Asked {
  readonly res: Response
  readonly released: Released
}

/** Columns whose answers are cut in other ways as well. */
const CUT = /^(block|block split|redact split|refuse|refuse one of two|escalate|special)$/

const all = cells()
const nameOf = (c: Cell) => `${c.surface.name} ${c.row}, ${c.mode}, choice ${c.choice}, ${c.column}: ${c.expect}`
const PAGE = join(import.meta.dirname, '../../docs/bypass-matrix.md')

describe('the matrix covers the registry', () => {
  it.each(DIALECTS.map(d => [d.name, d] as const))(
    '%s: every carrier has a builder, every builder a carrier',
    (_, d) => {
      const surface = SURFACES[d.name]
      const of = (kind: string) => d.carriers.filter(c => c.kind === kind).map(c => c.name)
      expect(Object.keys(surface?.text ?? {}).sort()).toEqual(of('text').sort())
      expect(Object.keys(surface?.calls ?? {}).sort()).toEqual(of('call').sort())
    },
  )

  it('has no surface without a dialect, and no two cells of one name', () => {
    expect(Object.keys(SURFACES).sort()).toEqual(DIALECTS.map(d => d.name).sort())
    expect(new Set(all.map(nameOf)).size).toBe(all.length)
  })

  it('has its cells for every carrier in every mode it has', () => {
    for (const dialect of DIALECTS) {
      for (const carrier of dialect.carriers) {
        const wanted =
          carrier.kind === 'text' ? ['allow', 'block', 'redact'] : ['allow', 'block', 'redact', 'refuse', 'escalate']
        for (const mode of carrier.modes) {
          const own = all.filter(c => c.surface.name === dialect.name && c.row === carrier.name && c.mode === mode)
          const surface = SURFACES[dialect.name]
          const choices = surface?.text[carrier.name]?.perChoice === false ? [0] : (surface?.choices ?? [])
          expect(choices.length).toBeGreaterThan(0)
          for (const column of wanted) {
            for (const choice of choices) {
              expect(own.filter(c => c.column === column && c.choice === choice)).toHaveLength(1)
            }
          }
        }
      }
    }
  })

  it('is what docs/bypass-matrix.md shows', () => {
    const page = matrixPage()
    expect(page).not.toMatch(/\|[ \t]*\|/)
    if (process.env['UPDATE_MATRIX'] === '1') writeFileSync(PAGE, page)
    expect(readFileSync(PAGE, 'utf8')).toBe(page)
  })
})

describe('bypass matrix', () => {
  let gate: TestGate
  let upstream: ScriptedUpstream
  const results = new Map<Cell, Result>()

  /** The same answers in one network write, and in as many as events. */
  const again = new Map<Cell, readonly Asked[]>()
  const ask = async (cell: Cell, model: string, answer: Answer): Promise<Asked> => {
    upstream.script(model, answer)
    // An owner each: how many answers are kept for one is bounded.
    const headers = { 'openai-project': model, 'x-commit-owner': `human:${model}@example.com` }
    const asked = cell.surface.request(model, cell, cell.tools)
    const post = {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(asked),
    }
    const res = await fetch(`${gate.url}${cell.surface.path}`, asked === undefined ? { headers } : post)
    const { reading } = cell.surface
    return { res, released: read(reading, res.status, res.headers.get('content-type') ?? '', await res.text()) }
  }

  beforeAll(async () => {
    upstream = await startScriptedUpstream()
    gate = await startTestGate({ upstreamUrl: upstream.url, checks: checks() })
    const seen = new Map<Cell, { released: Released; id: string; retry: string | null }>()
    const queue = all.map((cell, i) => ({ cell, model: `cell-${i}` }))
    const work = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const { cell, model } = next
        const { res, released } = await ask(cell, model, cell.answer)
        const id = res.headers.get('x-signet-correlation-id') ?? ''
        seen.set(cell, { released, id, retry: res.headers.get('x-should-retry') })
      }
    }
    await Promise.all(Array.from({ length: 8 }, work))
    const repeated = all.filter(
      c => c.answer.contentType === 'text/event-stream' && c.choice === 0 && CUT.test(c.column),
    )
    await Promise.all(
      repeated.map(async (cell, i) => {
        const together = { ...cell.answer, writes: [bodyOf(cell.answer)] }
        const apart = { ...cell.answer, paced: true as const }
        again.set(cell, [await ask(cell, `one-${i}`, together), await ask(cell, `many-${i}`, apart)])
      }),
    )
    const rows = Map.groupBy(gate.rows() as unknown as Row[], r => String(r.metadata['_exchange_id']))
    for (const [cell, { id, ...rest }] of seen) results.set(cell, { ...rest, rows: rows.get(id) ?? [] })
    // Thousands of exchanges: on a loaded machine they take their time.
  }, 300_000)
  afterAll(async () => {
    const report = await gate.verify()
    await gate.close()
    await upstream.close()
    expect(report.ok).toBe(true)
  })

  it('is the same answer in one network write and in many', () => {
    expect(again.size).toBeGreaterThan(100)
    for (const [cell, [together, apart]] of again) {
      const told = (a: Asked | undefined) => ({
        status: a?.released.status,
        upstream: a?.released.upstream,
        own: { ...a?.released.own, correlation_id: '', escalation_id: '', expires_at: '', status_url: '' },
      })
      expect(told(apart), nameOf(cell)).toEqual(told(together))
    }
  })

  it.each(all.map(cell => [nameOf(cell), cell] as const))('%s', (_, cell) => {
    const result = results.get(cell)
    if (result === undefined) throw new Error('the cell was not run')
    nothingHidden(cell, result.released)
    // The log says what was found and where, never the text itself.
    const logged = plain(JSON.stringify(result.rows))
    for (const hidden of cell.hidden) expect(logged).not.toContain(plain(hidden))
    for (const text of cell.shown) {
      const forms = [...result.released.joined.values(), result.released.upstream]
      expect(forms.some(form => form.includes(text))).toBe(true)
    }
    JUDGES[cell.expect](cell, result)
  })
})

function nothingHidden(cell: Cell, { forms, joined, text }: Released): void {
  // The gate's own words count as well.
  for (const form of [text, ...forms]) {
    const seen = plain(form)
    for (const hidden of cell.hidden) expect(seen).not.toContain(plain(hidden))
  }
  if (cell.upTo === undefined) return
  const lead = plain(cell.upTo)
  for (const said of joined.values()) {
    const seen = plain(said)
    const at = seen.indexOf(lead)
    // Not one character of what was found, nor anything behind it.
    if (at >= 0) expect(seen.slice(at)).toBe(lead)
  }
}

const JUDGES: Readonly<Record<Cell['expect'], (cell: Cell, result: Result) => void>> = {
  identical: (cell, { released, rows }) => {
    expect(released.status).toBe(200)
    expect(released.upstream).toBe(bodyOf(cell.answer).toString())
    expect(rows.filter(r => r.decision !== 'allow')).toEqual([])
    expect(last(rows, 'pipeline.complete')?.decision).toBe('allow')
  },
  redacted: (_cell, { released, rows }) => {
    expect(released.status).toBe(200)
    expect(released.own).toBeUndefined()
    expect(last(rows, 'pipeline.inspection')).toMatchObject({
      decision: 'redact',
      metadata: { _check_name: 'regex_output', _code: 'output_pattern', _at: expect.any(Number) },
    })
    expect(last(rows, 'pipeline.complete')?.decision).toBe('allow')
  },
  dropped: (cell, result) => {
    JUDGES.redacted(cell, result)
    // What came before the finding may have gone; from there on there is nothing.
    for (const [pointer, text] of result.released.joined) {
      if (/logprobs\/|\/token_ids/.test(pointer)) expect(LEAD).toContain(text.replace(/[?!]/g, ''))
    }
  },
  cleaned: (_cell, { released, rows }) => {
    expect(released.status).toBe(200)
    expect(rows.filter(r => r.decision !== 'allow')).toEqual([])
  },
  refused: (cell, { released, rows, retry }) => {
    const row = rows.findLast(r => r.decision === 'block')
    ended(cell, released, retry, 403)
    expect(released.own?.['stage']).toBe('inspection')
    expect(row?.check_name).toBe('pipeline.inspection')
    expect(row?.metadata['_code']).toBe(cell.code ?? 'output_pattern')
    if (cell.channel !== undefined) expect(row?.metadata['_channel']).toMatch(cell.channel)
    if (cell.offsets !== undefined) expect(cell.offsets).toContain(row?.metadata['_at'])
    if (row?.metadata['_code'] === 'output_pattern') {
      expect(released.own?.['check']).toBe('regex_output')
      expect(row.metadata['_check_name']).toBe('regex_output')
      expect(row.metadata['_at']).toEqual(expect.any(Number))
    }
    // What comes after the end comes after the completion row.
    if (!/after (\[DONE\]|the end)/.test(cell.row)) expect(last(rows, 'pipeline.complete')).toBeUndefined()
  },
  'call refused': (cell, { released, rows }) => {
    expect(released.status).toBe(200)
    expect(released.own).toBeUndefined()
    const row = rows.find(r => r.decision === 'block')
    expect(row?.check_name).toBe('pipeline.commitment')
    if (cell.code !== undefined) expect(row?.metadata['_code']).toBe(cell.code)
    if (cell.code !== 'redaction_unwritable') expect(row?.metadata['_check_name']).toBe('tool_call_inspector')
    expect(last(rows, 'pipeline.complete')?.decision).toBe('allow')
    if ([...released.joined.values()].includes('get_weather') || cell.shown.includes('Oslo')) return
    // Nothing was delivered: a finish reason must not promise calls.
    expect(released.text).not.toMatch(cell.surface.promise)
  },
  held: (cell, { released, rows }) => {
    const row = rows.findLast(r => r.check_name === 'pipeline.commitment')
    expect(row).toMatchObject({ decision: 'escalate', metadata: { _check_name: 'tool_call_inspector' } })
    // Held is not approved.
    expect(rows.filter(r => r.check_name !== 'pipeline.admission' && r.decision === 'allow')).toEqual([])
    if (released.aborted) {
      expect(released.own).toMatchObject(cell.surface.aborted(403))
      expect(released.own).toMatchObject(cell.surface.held)
      expect(released.own?.['escalation_id']).toEqual(row?.metadata['_escalation_id'])
    } else {
      expect(released.status).toBe(202)
      expect(released.own).toMatchObject({ status: 'escalated', escalation_id: row?.metadata['_escalation_id'] })
    }
  },
  'broken off': (cell, { released, rows, retry }) => {
    const row = rows.findLast(r => r.decision === 'block')
    ended(cell, released, retry, 502)
    expect(row?.check_name).toBe('pipeline.upstream')
    expect(row?.metadata['_code']).toMatch(/^upstream_/)
  },
}

/** A stream that has begun ends in the abort frame; anything else is an answer of its own. */
function ended(cell: Cell, released: Released, retry: string | null, status: number): void {
  if (cell.answer.contentType === 'text/event-stream' && startsBefore(cell)) {
    expect(released.status).toBe(200)
    expect(released.aborted).toBe(true)
    expect(released.own).toMatchObject({ signet_abort: true, ...cell.surface.aborted(status) })
    expect(released.text).toMatch(cell.surface.reading.abort)
  } else {
    expect(released.status).toBe(status)
    expect(released.upstream).toBe('')
    if (status === 403) expect(retry).toBe('false')
  }
}

/** Does upstream say anything harmless before the attack? */
function startsBefore(cell: Cell): boolean {
  const first = Buffer.from(cell.answer.writes[0] ?? []).toString()
  return cell.answer.writes.length > 1 && cell.surface.begins(first)
}

function last(rows: readonly Row[], check: string): Row | undefined {
  return rows.findLast(r => r.check_name === check)
}
