import { afterAll, beforeAll, describe } from 'vitest'
import type { SharedState } from '../../src/core/state.ts'
import { openRedisState } from '../../src/state/redis/open.ts'
import { type RedisServer, startRedis, until } from '../../src/state/redis/testing/server.test-support.ts'
import { settledExactlyOnce } from './settle-ways.ts'

let server: RedisServer
let state: SharedState
beforeAll(async () => {
  server = await startRedis()
  state = await openRedisState({ url: server.url })
  await until(() => state.reachable(), 'a connection to Redis')
})
afterAll(async () => {
  await state.close()
  await server.close()
})

describe('settled exactly once, in Redis', () =>
  settledExactlyOnce(async () => {
    await server.command('FLUSHALL')
    return state.budgets
  }))
