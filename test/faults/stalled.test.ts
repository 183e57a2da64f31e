/** A thousand callers who stop reading cost the gate their sockets and little more, and each is recorded when it leaves. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const CALLERS = 1000
const MiB = 1024 * 1024

it(`${CALLERS} stalled readers`, { timeout: 120_000 }, async () => {
  const child = fileURLToPath(new URL('./stalled-child.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', child, String(CALLERS)])
  const m = JSON.parse(stdout)
  expect(m).toMatchObject({ callers: CALLERS, active: CALLERS, disconnected: CALLERS, ok: true })
  expect(m.after).toMatchObject({ active: 0, heldBytes: 0, upstream: 0 })
  // Each holds at most what upstream's socket and the caller's had in flight.
  expect((m.all.heap - m.before.heap) / CALLERS).toBeLessThan(256 * 1024)
  expect(m.all.rss).toBeLessThan(450 * MiB)
  expect(m.later.heap - m.all.heap).toBeLessThan(4 * MiB)
  // Frames that nobody read are not kept for those who left.
  expect(m.end.heap - m.before.heap).toBeLessThan(48 * MiB)
})
