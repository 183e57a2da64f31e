/** No row, no release: the log fails at each place of an exchange, by a wrapped writer and by real files, and heals again. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { type LogFile, NodeFiles } from '../../src/audit/files.ts'
import { openAuditLog } from '../../src/audit/open.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import type { AuditWriter, Row } from '../../src/core/row.ts'
import { chat, RING, scenario, startTestGate, type TestGate, type TestGateOptions } from '../support/gate.ts'
import { failingAudit, SettleProbe } from './support.ts'

vi.setConfig({ testTimeout: 10_000 })

const ANSWER = 'the quick brown fox'
const body = (stream: boolean) => scenario({ kind: 'plain', text: ANSWER, chunk: 3 }, { stream })

const PLACES: readonly { readonly name: string; readonly when: (row: Row) => boolean; readonly started: boolean }[] = [
  { name: 'the admission row', when: r => r.checkName === 'pipeline.admission', started: false },
  { name: 'the completion row', when: r => r.checkName === 'pipeline.complete', started: true },
]

describe.each([false, true])('the audit log fails, shadow %s', shadow => {
  for (const place of PLACES)
    for (const how of ['append', 'sync'] as const)
      for (const stream of [false, true])
        for (const beforeForward of ['auto', 'always'] as const)
          it(`at ${place.name}, on ${how}, ${stream ? 'streamed' : 'unary'}, beforeForward ${beforeForward}`, async () => {
            let audit: ReturnType<typeof failingAudit> | undefined
            const probe = new SettleProbe()
            const gate = await startTestGate({
              shadow,
              checks: [probe],
              settings: { beforeForward },
              wrapAudit: inner => (audit = failingAudit(inner, place.when, how)),
            })
            const res = await chat(gate, body(stream))
            const text = await res.text()
            const started = place.started && stream
            if (started) {
              expect(res.status).toBe(200)
              expect(text).toMatch(
                /"signet_abort":true[^\n]*audit_unavailable[^\n]*\n\ndata: \{"error":[^\n]*\n\ndata: \[DONE\]\n\n$/,
              )
              expect(text).not.toMatch(/signet-receipt/)
            } else {
              expect(res.status).toBe(503)
              expect(text).not.toMatch(/fox/)
              expect(JSON.parse(text)).toMatchObject({ error: 'audit_unavailable' })
              expect(res.headers.get('retry-after')).toBe('1')
              expect(res.headers.get('x-signet-receipt')).toBeNull()
              expect(res.headers.get('x-signet-correlation-id')).not.toBeNull()
            }
            // Asked for before forwarding, the model is never called.
            if (!place.started && beforeForward === 'always') expect(gate.upstreamRequests()).toBe(0)
            const outcomes = await probe.all()
            expect(outcomes.map(o => o.kind)).toEqual(['faulted'])
            expect(outcomes[0]?.forwarded).toBe(gate.upstreamRequests() === 1)

            // While it is down nothing is even begun, and readiness says so.
            const calls = gate.upstreamRequests()
            const next = await chat(gate, body(stream))
            expect([next.status, ((await next.json()) as Record<string, unknown>)['error']]).toEqual([
              503,
              'audit_unavailable',
            ])
            const refusal = await chat(gate, '[]')
            expect(refusal.status).toBe(503)
            expect(gate.upstreamRequests()).toBe(calls)
            const ready = await fetch(`${gate.url}/readyz`)
            expect([ready.status, await ready.json()]).toMatchObject([503, { status: 'not_ready' }])
            expect(((await (await fetch(`${gate.url}/healthz`)).json()) as Record<string, unknown>)['audit_ok']).toBe(
              false,
            )

            audit?.heal()
            expect((await fetch(`${gate.url}/readyz`)).status).toBe(200)
            const again = await chat(gate, body(stream))
            expect(again.status).toBe(200)
            expect(await again.text()).not.toMatch(/signet_abort/)
            expect(gate.running.gate.load.active).toBe(0)
            expect((await gate.verify()).ok).toBe(true)
            await gate.close()
          })

  it('at the row of a tool call: the call does not leave', async () => {
    for (const stream of [false, true]) {
      const gate = await startTestGate({
        shadow,
        wrapAudit: inner => failingAudit(inner, r => r.checkName === 'pipeline.commitment', 'sync'),
      })
      const call = { kind: 'call', calls: [{ name: 'get_weather', arguments: '{"city":"Oslo"}' }], chunk: 3 }
      const res = await chat(
        gate,
        scenario(call, { stream, tools: [{ type: 'function', function: { name: 'get_weather' } }] }),
      )
      const text = await res.text()
      expect(text).not.toMatch(/get_weather|Oslo/)
      expect(res.status === 503 || /"signet_abort":true[^\n]*audit_unavailable/.test(text)).toBe(true)
      await gate.close()
    }
  })

  it('at the row of a refusal: 503, not 403', async () => {
    const gate = await startTestGate({ wrapAudit: inner => failingAudit(inner, () => true, 'sync') })
    const res = await chat(gate, body(false), { owner: null })
    expect([res.status, ((await res.json()) as Record<string, unknown>)['error']]).toEqual([503, 'audit_unavailable'])
    await gate.close()
  })
})

/** A real log whose disk the test breaks. */
class BreakableFiles extends NodeFiles {
  broken: string | undefined
  override async open(kind: 'log' | 'head', create: boolean): Promise<LogFile> {
    if (this.broken !== undefined) throw this.error()
    const file = await super.open(kind, create)
    const check = () => {
      if (this.broken !== undefined) throw this.error()
    }
    return {
      size: () => file.size(),
      read: (into, position) => file.read(into, position),
      write: (bytes, position) => {
        if (this.broken === 'ENOSPC' && bytes.length > 10) {
          // A full disk takes what still fits.
          void file.write(bytes.subarray(0, 10), position)
        }
        check()
        return file.write(bytes, position)
      },
      sync: async () => {
        if (this.broken === 'EIO') throw this.error()
        await file.sync()
      },
      truncate: length => file.truncate(length),
      linked: () => file.linked(),
      stillNamed: () => file.stillNamed(),
      close: () => file.close(),
    }
  }
  error(): Error {
    return Object.assign(new Error(this.broken), { code: this.broken })
  }
}

describe('a real log on a failing disk', () => {
  for (const code of ['ENOSPC', 'EROFS', 'EIO'])
    it(`${code}: nothing is released, and the gate recovers by itself`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'signet-disk-'))
      const path = join(folder, 'audit.jsonl')
      const files = new BreakableFiles(path)
      let retry: (() => void) | undefined
      let recovered: () => void = () => undefined
      const log: AuditWriter = await openAuditLog({
        path,
        ring: RING,
        files,
        later: (_ms, f) => {
          retry = f
          return () => undefined
        },
        onState: ok => ok && recovered(),
      })
      const options: TestGateOptions = { checks: [new SettleProbe()] }
      const gate: TestGate = await startTestGate({
        ...options,
        wrapAudit: inner => {
          void inner.close()
          return log
        },
      })
      const good: string[] = []
      for (const stream of [false, true, false]) {
        const res = await chat(gate, body(stream))
        await res.text()
        good.push(res.headers.get('x-signet-correlation-id') ?? '')
      }
      files.broken = code
      for (const stream of [false, true]) {
        const res = await chat(gate, body(stream))
        expect([res.status, await res.text()]).toEqual([503, expect.stringContaining('audit_unavailable')])
      }
      expect((await fetch(`${gate.url}/readyz`)).status).toBe(503)
      // A timer fires once.
      const again = () => {
        const f = retry
        retry = undefined
        f?.()
      }
      again()
      await new Promise(setImmediate)
      expect(log.ok).toBe(false)
      files.broken = undefined
      const back = new Promise<void>(resolve => (recovered = resolve))
      // Recovery that failed asks to be called later again.
      while (!log.ok) {
        again()
        await Promise.race([back, new Promise(setImmediate)])
      }
      const res = await chat(gate, body(true))
      expect(await res.text()).toMatch(/signet-receipt/)
      good.push(res.headers.get('x-signet-correlation-id') ?? '')
      await gate.close()
      const report = await verifyLog(path, RING)
      expect(report.ok).toBe(true)
      const { readFileSync } = await import('node:fs')
      const text = readFileSync(path, 'utf8')
      for (const id of good) expect(text).toContain(id)
      expect(text).toContain('audit.recovered')
      rmSync(folder, { recursive: true })
    })
})
