import { describe, expect, it } from 'vitest'
import type { Row, Ticket } from '../core/row.ts'
import { GateCounters } from './counters.ts'
import { exposition, one } from './exposition.ts'

describe('the exposition', () => {
  it('is the text format, whatever stands in labels and help', () => {
    const text = exposition([
      {
        name: 'a_total',
        help: 'two\nlines \\ one',
        type: 'counter',
        read: () => [
          { labels: { name: 'say "x"\\\n', other: '' }, value: 1.5 },
          { labels: { name: '\u2603' }, value: Number.POSITIVE_INFINITY },
        ],
      },
      { name: 'none', help: 'left out', type: 'gauge', read: () => one(undefined) },
      { name: 'yes', help: 'a flag', type: 'gauge', read: () => one(true) },
      { name: 'odd', help: 'no number', type: 'gauge', read: () => one(Number.NaN) },
    ])
    expect(text.split('\n')).toEqual([
      '# HELP a_total two\\nlines \\\\ one',
      '# TYPE a_total counter',
      'a_total{name="say \\"x\\"\\\\\\n",other=""} 1.5',
      'a_total{name="\u2603"} +Inf',
      '# HELP yes a flag',
      '# TYPE yes gauge',
      'yes 1',
      '# HELP odd no number',
      '# TYPE odd gauge',
      'odd NaN',
      '',
    ])
  })
})

describe('the counters', () => {
  it('count every row on its way to the log, and change nothing of it', () => {
    const counters = new GateCounters()
    const appended: Row[] = []
    const ticket = { entryId: 'x' } as Ticket
    let ok = true
    const audit = counters.counting({
      append: row => {
        appended.push(row)
        return ticket
      },
      get ok() {
        return ok
      },
      head: { size: 3n, hmac: 'h' },
      drain: async () => undefined,
      close: async () => undefined,
    })
    const row = (checkName: string, decision: Row['decision']): Row => ({
      entryId: 'x',
      owner: { type: 'policy', id: 'p', approvalChain: [], authenticatedBy: 'test' },
      checkName,
      decision,
      reason: '',
      fingerprint: '',
      metadata: {},
    })
    const rows = [
      row('pipeline.admission', 'block'),
      row('pipeline.admission', 'block'),
      row('pipeline.record', 'allow'),
      row('from a plugin', 'escalate'),
    ]
    for (const one of rows) expect(audit.append(one)).toBe(ticket)
    expect(appended).toEqual(rows)
    expect(audit.head).toEqual({ size: 3n, hmac: 'h' })
    expect(audit.ok).toBe(true)
    ok = false
    expect(audit.ok).toBe(false)
    const text = exposition(counters.metrics())
    expect(text).toContain('signet_rows_total{row="pipeline.admission",decision="block"} 2\n')
    expect(text).toContain('signet_rows_total{row="pipeline.record",decision="allow"} 1\n')
    expect(text).toContain('signet_rows_total{row="other",decision="escalate"} 1\n')
    // Names come from a fixed list: nobody outside makes a new time series.
    expect(text).not.toContain('plugin')
    counters.exchange('escalated')
    expect(exposition(counters.metrics())).toContain('signet_exchanges_total{outcome="escalated"} 1\n')
  })
})
