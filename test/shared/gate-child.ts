/**
 * A gate in a process of its own that shares its state: `node gate-child.ts <log> <upstream url> <redis url> <Lua clock>
 * <capacity>`. Prints its URL.
 */
import { openAuditLog } from '../../src/audit/open.ts'
import { DIALECTS } from '../../src/dialects/registry.ts'
import { startGate } from '../../src/gate/start.ts'
import { assertedIdentity } from '../../src/identity/asserted.ts'
import { openRedisState } from '../../src/state/redis/open.ts'
import { until } from '../../src/state/redis/testing/server.test-support.ts'
import { createUpstream } from '../../src/upstream/pool.ts'
import { RING } from '../support/gate.ts'
import { limitedChecks } from './checks.ts'

const [path = '', upstreamUrl = '', url = '', serverTime = '', capacity = ''] = process.argv.slice(2)
const shared = await openRedisState({ url, ...(serverTime === '' ? {} : { serverTime }) })
await until(() => shared.reachable(), 'a connection to Redis')
const running = await startGate({
  checks: limitedChecks(Number(capacity)),
  dialects: DIALECTS,
  identity: assertedIdentity(),
  audit: await openAuditLog({ path, ring: RING }),
  upstream: createUpstream({ url: upstreamUrl }),
  shared,
  port: 0,
  version: '0.0.0-shared',
  settings: { strict: false },
})
process.stdout.write(`${running.url}\n`)
