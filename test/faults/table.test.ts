/**
 * Check × fault × stage × mode: a check that fails can only ever refuse. Whatever a hook does instead of answering, the
 * caller gets 503 (or the stream's error frame), a row says which check, nothing it was about leaves, and what was
 * reserved is given back.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Check } from '../../src/core/check.ts'
import { chat, demoChecks, scenario, startTestGate, type TestGate } from '../support/gate.ts'
import { FAULTS, failingCheck, INSPECTING, STAGES } from './checks.ts'
import { RowWatch, SettleProbe } from './support.ts'

// A hook that hangs hangs its test: say so soon.
vi.setConfig({ testTimeout: 5_000 })

const WORDS = 'the quick brown fox jumps over the lazy dog'
const LEAK = /NOFORN|fox|sda1/

describe.each([false, true])('a failing check, shadow %s', shadow => {
  let gate: TestGate
  let watch: RowWatch
  let probe: SettleProbe
  let broken: Check

  beforeAll(async () => {
    watch = new RowWatch()
    probe = new SettleProbe()
    // One gate for the whole table: a fault of one exchange must leave nothing behind for the next.
    const slot: Check = {
      name: 'broken',
      priority: 30,
      timeLimitMs: 20,
      describe: () => ({ name: 'broken' }),
      admit: (x, ctx) => (broken.admit === undefined ? { kind: 'allow' } : broken.admit(x, ctx)),
      inspect: (x, ctx) => (broken.inspect === undefined ? () => undefined : broken.inspect(x, ctx)),
      commit: (c, x, ctx) => (broken.commit === undefined ? { kind: 'allow' } : broken.commit(c, x, ctx)),
      record: (o, x, ctx) => (broken.record === undefined ? [] : broken.record(o, x, ctx)),
    }
    gate = await startTestGate({ checks: [...demoChecks(), probe, slot], wrapAudit: watch.wrap, shadow })
  })
  afterAll(async () => {
    const report = await gate.verify()
    await gate.close()
    expect(report.ok).toBe(true)
  })

  const ask = (stream: boolean, call: boolean) =>
    chat(
      gate,
      scenario(
        call
          ? { kind: 'call', calls: [{ name: 'get_weather', arguments: '{"city":"sda1"}' }], chunk: 3 }
          : { kind: 'place', place: 'content', text: WORDS, chunk: 2 },
        { stream, ...(call ? { tools: [{ type: 'function', function: { name: 'get_weather' } }] } : {}) },
      ),
    )

  async function settledOnce(id: string | null) {
    await probe.all()
    expect(probe.settled.get(id ?? '')).toHaveLength(1)
    return probe.settled.get(id ?? '')?.[0]
  }

  for (const stage of STAGES)
    for (const fault of FAULTS)
      for (const stream of [false, true])
        it(`${stage}: ${fault}, ${stream ? 'streamed' : 'unary'}`, async () => {
          broken = failingCheck(stage, fault)
          const before = gate.upstreamRequests()
          const res = await ask(stream, stage === 'commitment')
          const text = await res.text()
          const id = res.headers.get('x-signet-correlation-id')
          const outcome = await settledOnce(id)
          expect(text).not.toMatch(/NOFORN/)
          expect(JSON.stringify(watch.of(id))).not.toMatch(/NOFORN/)
          const fail = (r: { metadata: Readonly<Record<string, unknown>> }) =>
            (r.metadata['_code'] === 'check_error' || r.metadata['_code'] === 'check_timeout') &&
            r.metadata['_check_name'] === 'broken'

          if (stage === 'record') {
            // The answer has gone by then: the caller keeps it, the row tells.
            expect(res.status).toBe(200)
            expect(outcome?.kind).toBe('completed')
            const row = await watch.row(r => r.metadata['_exchange_id'] === id && fail(r))
            expect(row).toMatchObject({ checkName: 'pipeline.record', decision: 'block', metadata: { _flag: true } })
            return
          }
          const [row, ...others] = watch.of(id).filter(fail)
          expect(others).toEqual([])
          if (fault === 'returns a block whose cause throws the second time') {
            // A policy verdict at first sight, a failure at the second: either way no allow, and in shadow no enforcement.
            if (shadow) return
            expect(text).not.toMatch(LEAK)
            expect(stage === 'commitment' || res.status !== 200 || text.includes('signet_abort')).toBe(true)
            return
          }
          expect(row).toMatchObject({ checkName: `pipeline.${stage}`, decision: 'block' })
          if (stage === 'commitment') {
            // A call that cannot be decided is not delivered; the rest of the turn is.
            expect(text).not.toMatch(LEAK)
            expect(text).toContain('signet refused the tool call get_weather')
            return
          }
          if (stage === 'admission') {
            expect(res.status).toBe(503)
            expect(gate.upstreamRequests()).toBe(before)
            expect(outcome).toMatchObject({ kind: 'refused', forwarded: false })
            expect(JSON.parse(text)).toMatchObject({ check: 'broken', stage: 'admission', correlation_id: id })
            expect(res.headers.get('x-signet-upstream')).toMatch(/^127\.0\.0\.1:/)
          } else {
            expect(text).not.toMatch(LEAK)
            expect(res.status === 503 || text.includes('"signet_abort":true')).toBe(true)
            expect(outcome).toMatchObject({ forwarded: true })
            expect(['refused', 'aborted']).toContain(outcome?.kind)
          }
          if (res.status === 503) expect(res.headers.get('x-signet-receipt')).not.toBeNull()
        })

  for (const [name, inspect] of Object.entries(INSPECTING))
    for (const stream of [false, true])
      it(`inspection: ${name}, ${stream ? 'streamed' : 'unary'}`, async () => {
        broken = { name: 'broken', priority: 30, timeLimitMs: 20, describe: () => ({}), inspect }
        const res = await ask(stream, false)
        const text = await res.text()
        const id = res.headers.get('x-signet-correlation-id')
        const outcome = await settledOnce(id)
        expect(outcome).toMatchObject({ forwarded: true })
        expect(watch.of(id).filter(r => String(r.metadata['_code']).startsWith('check_')).length).toBeGreaterThan(0)
        expect(
          res.status === 503 || /"signet_abort":true[^\n]*\n\ndata: \{"error":[^\n]*\n\ndata: \[DONE\]\n\n$/.test(text),
        ).toBe(true)
        if (!name.startsWith('end ')) expect(text).not.toMatch(LEAK)
        else expect(text).not.toMatch(/dog/)
      })

  it('says in strict form only that it was refused', async () => {
    broken = failingCheck('admission', 'throws at once')
    const strict = await startTestGate({ checks: [...demoChecks(), broken], shadow, settings: { strict: true } })
    const res = await chat(strict, { model: 'demo', messages: [{ role: 'user', content: 'hi' }] })
    expect([res.status, await res.json()]).toEqual([
      503,
      { error: 'refused', correlation_id: res.headers.get('x-signet-correlation-id') },
    ])
    expect(res.headers.get('x-signet-upstream')).toMatch(/^127\.0\.0\.1:/)
    await strict.close()
  })

  it('is over when the check works again', async () => {
    broken = { name: 'broken', priority: 30, timeLimitMs: 20, describe: () => ({}) }
    for (const stream of [false, true]) {
      const res = await ask(stream, false)
      expect(res.status).toBe(200)
      expect((await res.text()).match(/fox|f"|ox/)).not.toBeNull()
    }
    expect(gate.running.gate.load.active).toBe(0)
    expect(gate.running.gate.load.heldBytes).toBe(0)
  })
})
