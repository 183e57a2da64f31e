/** A gate killed at random moments under load loses no row that a caller was told of. More runs: `bench/soak/kill.ts`. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type DemoUpstream, startDemoUpstream } from '../../src/upstream/demo/server.ts'
import { crashOnce, seeded } from './run.ts'

let folder: string
let demo: DemoUpstream
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'signet-kill-'))
  demo = await startDemoUpstream()
})
afterAll(async () => {
  await demo.close()
  rmSync(folder, { recursive: true })
})

const RUNS = 25
/** Crashes pile up on one log: each restart opens what the last kill left. */
const LOGS = 5

it(`${RUNS} kills under load`, { timeout: 120_000 }, async () => {
  let told = 0
  let shown = 0
  const keys = new Map<number, number>()
  for (let run = 0; run < RUNS; run += 1) {
    const result = await crashOnce(join(folder, `${run % LOGS}.jsonl`), demo.url, seeded(1000 + run))
    expect({ run, problems: result.problems }).toEqual({ run, problems: [] })
    told += result.told
    shown += result.shown
    keys.set(run % LOGS, result.keys)
  }
  // The load was real.
  expect(told).toBeGreaterThan(RUNS * 10)
  expect(shown).toBeGreaterThan(RUNS * 10)
  // So was the rotation: every log is signed with keys that came one after the other.
  expect(Math.min(...keys.values())).toBeGreaterThan(2)
})
