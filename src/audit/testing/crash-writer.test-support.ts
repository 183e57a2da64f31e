/** Writes rows and prints each acknowledged entry id, until it is killed. Arguments: log path, seed. */
import { openAuditLog } from '../open.ts'
import { testRing, testRow } from './rows.test-support.ts'

const [path = '', seed = '0'] = process.argv.slice(2)
const log = await openAuditLog({ path, ring: testRing() })
process.stdout.write('open\n')
for (let i = 0; ; i++) {
  const base = Number(seed) * 1_000_000 + i * 10
  // Some rows that nobody waits for, some concurrent ones.
  log.append(testRow(base))
  await Promise.all(
    [1, 2, 3].slice(0, 1 + (i % 3)).map(async n => {
      await log.append(testRow(base + n, { text: 'x'.repeat((i * 97) % 3000) })).durable()
      process.stdout.write(`${testRow(base + n).entryId}\n`)
    }),
  )
}
