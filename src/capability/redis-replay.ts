/**
 * Uses in Redis 2.6.12 or later (or Valkey), for executors that are several processes: `SET key 1 NX PX ms`, which is one
 * step for the server. A server that evicts keys, or loses them in a fail-over, forgets uses: set `maxmemory-policy
 * noeviction`.
 */
import { sha256Digest, toUtf8 } from '../jws/bytes.ts'
import type { ReplayStore, Use } from './replay.ts'

/** `redis` (node-redis) has this method; for ioredis give `{ sendCommand: args => client.call(...args) }`. */
export interface RedisCommands {
  sendCommand(args: string[]): Promise<unknown>
}

export interface RedisReplayOptions {
  /** Before every key. Default `signet:capability:`. */
  readonly keyPrefix?: string
}

export class RedisReplayStore implements ReplayStore {
  readonly #redis: RedisCommands
  readonly #prefix: string

  constructor(redis: RedisCommands, options: RedisReplayOptions = {}) {
    this.#redis = redis
    this.#prefix = options.keyPrefix ?? 'signet:capability:'
  }

  async use({ issuer, jti, untilMs, nowMs }: Use): Promise<boolean> {
    const key = this.#prefix + (await sha256Digest(toUtf8(JSON.stringify([issuer, jti]))))
    const ms = Math.max(1, Math.ceil(untilMs - nowMs))
    const said = await this.#redis.sendCommand(['SET', key, '1', 'NX', 'PX', String(ms)])
    if (String(said) === 'OK') return true
    if (said === null) return false
    throw new Error('Redis answered SET with something that is neither OK nor nil')
  }
}
