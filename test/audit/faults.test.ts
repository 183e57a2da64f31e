/** A disk that fails at random loses no acknowledged row and forks no chain. More runs: `bench/soak/faults.ts`. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { seeded } from '../crash/run.ts'
import { faultRun } from './fault-run.ts'

const RUNS = 12

it(`${RUNS} runs on a failing disk`, { timeout: 120_000 }, async () => {
  let [told, refused, segments] = [0, 0, 0]
  for (let run = 0; run < RUNS; run++) {
    const folder = mkdtempSync(join(tmpdir(), 'signet-faults-'))
    const result = await faultRun(folder, seeded(7000 + run))
    expect({ run, problems: result.problems }).toEqual({ run, problems: [] })
    told += result.told
    refused += result.refused
    segments += result.segments
    rmSync(folder, { recursive: true })
  }
  // There was something to lose, and there were faults.
  expect(told).toBeGreaterThan(RUNS * 20)
  expect(refused).toBeGreaterThan(RUNS)
  expect(segments).toBeGreaterThan(RUNS)
})
