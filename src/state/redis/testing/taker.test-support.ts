/**
 * A process that takes as fast as it can: `node taker.test-support.ts <url> <clock offset ms> <times>`. Its own clock is wrong by
 * the offset. Prints, as JSON, how many tokens and how much budget it was granted.
 */
import { openRedisState } from '../open.ts'
import { until } from './server.test-support.ts'

const [url = '', offset = '0', times = '0'] = process.argv.slice(2)
const now = () => Date.now() + Number(offset)
const states = await Promise.all(Array.from({ length: 4 }, () => openRedisState({ url, timeoutMs: 5_000 })))
for (const state of states) await until(() => state.reachable(), 'a connection')
let tokens = 0
let reserved = 0
await Promise.all(
  Array.from({ length: Number(times) }, async (_, i) => {
    const state = states[i % states.length]
    if (state === undefined) return
    if ((await state.rateLimits.take('shared', 100, 0, now())).ok) tokens += 1
    const r = await state.budgets.reserve('shared', 7, 1_000, 86_400_000, now())
    if (!r.ok) return
    reserved += 7
    // Some are given back, at once and twice: room for others, once.
    if (i % 5 !== 0) return
    await Promise.all([state.budgets.settle(r.reservation, 0), state.budgets.settle(r.reservation, 0)])
    reserved -= 7
  }),
)
await Promise.all(states.map(state => state.close()))
process.stdout.write(JSON.stringify({ tokens, reserved }))
