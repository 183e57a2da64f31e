/** A gate in a process of its own, for tests that kill it: `node gate-child.ts <log> <upstream url> <key folder> [onRefuse]`. Prints its URL. */
import type { TransparencyLog } from '../../src/audit/log/open.ts'
import { openAuditLog } from '../../src/audit/open.ts'
import { DIALECTS } from '../../src/dialects/registry.ts'
import { startGate } from '../../src/gate/start.ts'
import { assertedIdentity } from '../../src/identity/asserted.ts'
import { KeyFolder, macKeys, signingKeys } from '../../src/keys/store.ts'
import { watchKeys } from '../../src/keys/watch.ts'
import { systemClock } from '../../src/state/system.ts'
import { createUpstream } from '../../src/upstream/pool.ts'
import { demoChecks, ISSUER } from '../support/gate.ts'
import { openCrashLog } from './log.ts'

const [path = '', upstreamUrl = '', keys = '', onRefuse] = process.argv.slice(2)
const folder = new KeyFolder(keys)
const ring = folder.ring('chain')
const receipts = folder.signers('receipts')
// Another process rotates them meanwhile.
watchKeys({
  clock: systemClock,
  fingerprint: () => folder.fingerprint(),
  onChange: () => {
    ring.replace(macKeys(folder.keys('chain')))
    receipts.replace(signingKeys(folder.keys('receipts')))
  },
  onTrouble: error => {
    throw error
  },
  everyMs: 20,
})
let log: TransparencyLog | undefined
// It rolls every dozen rows or so: kills come while it does.
const roll = { bytes: 16_384 }
const audit = await openAuditLog({ path, ring, roll, onDurable: rows => log?.push(rows) })
log = await openCrashLog(path, Number(audit.head.size))
const running = await startGate({
  checks: demoChecks(),
  dialects: DIALECTS,
  identity: assertedIdentity(),
  receipts: { signer: receipts, issuer: ISSUER },
  audit,
  log: { rows: log, timeLimitMs: 5000, witnesses: false },
  upstream: createUpstream({ url: upstreamUrl }),
  port: 0,
  ...(onRefuse === 'continue' ? { settings: { onRefuse } } : {}),
  version: '0.0.0-crash',
})
process.stdout.write(`${running.url}\n`)
