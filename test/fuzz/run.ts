/**
 * `npm run fuzz -- [--target NAME] [--minutes N] [--seed S]`: fuzzes one target, or all of them one after the other, N
 * minutes each. What fails is made smaller, kept in `corpus/<target>/` and named with the seed that found it.
 */
import { parseArgs } from 'node:util'
import { load, save } from './corpus.ts'
import { fuzz } from './fuzz.ts'
import { TARGETS } from './targets.ts'

const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
})
const minutes = Number(values.minutes)
const seed = Number(values.seed)
const chosen = values.target === undefined ? TARGETS : TARGETS.filter(t => t.name === values.target)
if (chosen.length === 0 || !(minutes > 0) || !Number.isSafeInteger(seed)) {
  process.stderr.write(
    `expected --target (one of ${TARGETS.map(t => t.name).join(', ')}), --minutes above 0, --seed a whole number\n`,
  )
  process.exit(2)
}
let failed = 0
for (const target of chosen) {
  const corpus = load(target).map(e => e.bytes)
  const until = performance.now() + minutes * 60_000
  const began = performance.now()
  const { runs, failure } = await fuzz(target, corpus, seed, () => performance.now() < until)
  const perSecond = Math.round(runs / ((performance.now() - began) / 1000))
  process.stdout.write(`${target.name}: ${runs} inputs, ${perSecond} a second, seed ${seed}`)
  if (failure === undefined) {
    process.stdout.write(', nothing found\n')
    continue
  }
  failed += 1
  const path = save(target.name, failure.bytes)
  const said = failure.error instanceof Error ? (failure.error.stack ?? failure.error.message) : String(failure.error)
  process.stdout.write(
    `\n  FAILED at input ${failure.at}, kept as ${path}\n  ${said.split('\n').slice(0, 6).join('\n  ')}\n`,
  )
}
process.exitCode = failed === 0 ? 0 : 1
