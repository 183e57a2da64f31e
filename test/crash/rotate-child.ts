/**
 * Rotates the keys of a folder as fast as their schedule lets it, for tests that kill it: `node rotate-child.ts <folder>`.
 * Prints a line when the first round is done.
 */
import { setTimeout } from 'node:timers/promises'
import { KeyError } from '../../src/keys/error.ts'
import { KeyFolder } from '../../src/keys/store.ts'

const [path = ''] = process.argv.slice(2)
const folder = new KeyFolder(path)
for (let round = 0; ; round += 1) {
  for (const purpose of ['chain', 'receipts'] as const) {
    try {
      folder.rotate(purpose, Date.now())
    } catch (error) {
      // The last one still waits for its second.
      if (!(error instanceof KeyError)) throw error
    }
  }
  if (round === 0) process.stdout.write('rotating\n')
  await setTimeout(20)
}
