/**
 * Kills a gate under load whose keys are rotated, again and again: `node bench/soak/kill.ts --runs 200 --seed 1 --out soak-kill.txt`.
 * Exit 1 when a caller was told of a row that is not in the log, or a log does not open or verify.
 */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startDemoUpstream } from '../../src/upstream/demo/server.ts'
import { crashOnce, seeded } from '../../test/crash/run.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    logs: { type: 'string', default: '10' },
    out: { type: 'string', default: 'soak-kill.txt' },
  },
})
const [runs, seed, logs] = [values.runs, values.seed, values.logs].map(Number)
if (
  runs === undefined ||
  seed === undefined ||
  logs === undefined ||
  !(runs > 0 && logs > 0) ||
  !Number.isInteger(seed)
) {
  console.error('--runs, --seed and --logs: expected whole numbers')
  process.exit(2)
}

const folder = mkdtempSync(join(tmpdir(), 'signet-soak-'))
const demo = await startDemoUpstream()
writeFileSync(values.out, `kills: ${runs} runs, seed ${seed}, ${logs} logs, node ${process.version}\n`)
const say = (line: string) => {
  appendFileSync(values.out, `${line}\n`)
  console.log(line)
}
let [told, torn, failed, keys] = [0, 0, 0, 0]
const began = Date.now()
for (let run = 0; run < runs; run += 1) {
  const r = await crashOnce(join(folder, `${run % logs}.jsonl`), demo.url, seeded(seed * 1_000_003 + run))
  told += r.told
  keys = Math.max(keys, r.keys)
  if (r.tornTail) torn += 1
  if (r.problems.length > 0) failed += 1
  say(
    `run ${run}: ${r.told} exchanges acknowledged, ${r.rows} rows${r.tornTail ? ', torn tail' : ''}${r.problems.map(p => `\n  ${p}`).join('')}`,
  )
}
say(
  `${runs} runs in ${Math.round((Date.now() - began) / 1000)} s: ${told} exchanges acknowledged, ${torn} torn tails, up to ${keys} chain keys a log, ${failed} failed runs`,
)
await demo.close()
if (failed === 0) rmSync(folder, { recursive: true })
else say(`the logs are kept in ${folder}`)
process.exitCode = failed === 0 ? 0 : 1
