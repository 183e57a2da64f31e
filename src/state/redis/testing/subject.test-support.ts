import type { Subject } from '../../testing/subject.test-support.ts'
import { openRedisState, type RedisStateOptions } from '../open.ts'
import { type RedisServer, until } from './server.test-support.ts'

/** A key of the test that holds the time, instead of the server's own clock. */
export const TEST_CLOCK = "tonumber(redis.call('GET', 'test:now') or '0')"

export async function redisSubject(
  server: RedisServer,
  options: Partial<RedisStateOptions> = {},
): Promise<Subject & Awaited<ReturnType<typeof openRedisState>>> {
  const state = await openRedisState({ url: server.url, serverTime: TEST_CLOCK, ...options })
  await until(() => state.reachable(), 'a connection to Redis')
  await server.command('FLUSHALL')
  return {
    ...state,
    at: async ms => void (await server.command('SET', 'test:now', String(ms))),
    // A gate whose clock is wrong: nothing may depend on it.
    now: () => 4_102_444_800_000,
  }
}
