/**
 * Runs a log on a disk that fails at random, again and again: `node bench/soak/faults.ts --runs 300 --seed 1`. Exit 1 when an
 * acknowledged row is missing or there twice, or a log does not verify.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { faultRun } from '../../test/audit/fault-run.ts'
import { seeded } from '../../test/crash/run.ts'

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '300' }, seed: { type: 'string', default: '1' } },
})
const runs = Number(values.runs)
let [told, refused, faults, segments, failed] = [0, 0, 0, 0, 0]
const began = Date.now()
for (let run = 0; run < runs; run++) {
  const folder = mkdtempSync(join(tmpdir(), 'signet-soak-faults-'))
  const r = await faultRun(folder, seeded(Number(values.seed) * 1_000_003 + run))
  told += r.told
  refused += r.refused
  faults += r.faults
  segments += r.segments
  if (r.problems.length > 0) {
    failed++
    console.log(`run ${run}: ${r.problems.join('\n  ')}\n  kept in ${folder}`)
  } else rmSync(folder, { recursive: true })
}
console.log(
  `${runs} runs in ${Math.round((Date.now() - began) / 1000)} s: ${faults} faults, ${told} rows acknowledged, ${refused} refused, ${segments} segments, ${failed} failed runs`,
)
process.exitCode = failed === 0 ? 0 : 1
