/**
 * Kills a worker or the primary of a gate with several workers under load, again and again:
 * `node bench/soak/workers.ts --runs 200 --seed 1 --workers 3 --out soak-workers.txt` (build first). Exit 1 when a caller
 * was told of a row that is not in the log, a row is there twice, a limit was passed, or a log does not open or verify.
 */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startDemoUpstream } from '../../src/upstream/demo/server.ts'
import { seeded } from '../../test/crash/run.ts'
import { crashWorkersOnce, makeProject } from '../../test/crash/workers-run.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '3' },
    logs: { type: 'string', default: '10' },
    out: { type: 'string', default: 'soak-workers.txt' },
  },
})
const whole = (name: keyof typeof values): number => {
  const value = Number(values[name])
  if (Number.isInteger(value) && value > 0) return value
  console.error(`--${name}: expected a whole number above 0`)
  process.exit(2)
}
const [runs, seed, workers, logs] = [whole('runs'), whole('seed'), whole('workers'), whole('logs')]

const folder = mkdtempSync(join(tmpdir(), 'signet-soak-workers-'))
const demo = await startDemoUpstream()
writeFileSync(
  values.out,
  `kills: ${runs} runs, seed ${seed}, ${workers} workers, ${logs} logs, node ${process.version}\n`,
)
const say = (line: string) => {
  appendFileSync(values.out, `${line}\n`)
  console.log(line)
}
let [told, failed, primaries] = [0, 0, 0]
const began = Date.now()
for (let run = 0; run < runs; run += 1) {
  const random = seeded(seed * 1_000_003 + run)
  const victim = random() < 0.5 ? 'worker' : 'primary'
  const project = join(folder, String(run % logs))
  makeProject(project)
  const r = await crashWorkersOnce(project, demo.url, workers, victim, random)
  told += r.told
  if (victim === 'primary') primaries += 1
  if (r.problems.length > 0) failed += 1
  say(
    `run ${run}: ${victim}, ${r.told} exchanges acknowledged, ${r.rows} rows${r.problems.map(p => `\n  ${p}`).join('')}`,
  )
}
say(
  `${runs} runs in ${Math.round((Date.now() - began) / 1000)} s, ${primaries} of them the primary: ${told} exchanges acknowledged, ${failed} failed runs`,
)
await demo.close()
if (failed === 0) rmSync(folder, { recursive: true })
else say(`the logs are kept in ${folder}`)
process.exitCode = failed === 0 ? 0 : 1
