/** node-redis as a `Connection`. Loaded only when shared state is configured: the package is an optional peer. */
import { getCACertificates } from 'node:tls'
import { type Connection, RedisRefused } from './link.ts'

export interface RedisServer {
  /** `redis://host:port/database`, or `rediss://` for TLS. Without user name and password. */
  readonly url: string
  readonly username?: string
  readonly password?: string
  /** PEM certificates to trust INSTEAD of the bundled roots. */
  readonly ca?: string
}

export class RedisMissing extends Error {
  override readonly name = 'RedisMissing'
}

/** Throws `RedisMissing` when the package is not there. */
export async function loadClient(): Promise<typeof import('redis')> {
  try {
    return await import('redis')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') {
      throw new RedisMissing('redisUrl: the package "redis" is not installed; run: npm install redis')
    }
    throw error
  }
}

export function connectTo(
  { createClient, ErrorReply }: typeof import('redis'),
  server: RedisServer,
  onBroken: (error: unknown) => void,
): Connection {
  const { hostname, port, pathname, protocol } = new URL(server.url)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const place = { host, port: port === '' ? 6379 : Number(port) }
  const client = createClient({
    ...(server.username === undefined ? {} : { username: server.username }),
    ...(server.password === undefined ? {} : { password: server.password }),
    database: Number(pathname.slice(1)),
    // Time limits and new connections are the link's affair: one place that says when the store is there.
    socket:
      protocol === 'rediss:'
        ? {
            ...place,
            ...NO_RETRY,
            tls: true,
            // Whatever NODE_TLS_REJECT_UNAUTHORIZED and NODE_EXTRA_CA_CERTS say.
            rejectUnauthorized: true,
            ca: server.ca ?? getCACertificates('bundled'),
            minVersion: 'TLSv1.2',
          }
        : { ...place, ...NO_RETRY },
    commandOptions: { timeout: 0 },
    disableOfflineQueue: true,
    // RESP 3, library names and maintenance events need commands that a restricted user may not have.
    RESP: 2,
    disableClientInfo: true,
    maintNotifications: 'disabled',
  })
  client.on('error', error => onBroken(asRefused(error)))
  client.on('end', () => onBroken(undefined))
  const asRefused = (error: unknown): unknown =>
    error instanceof ErrorReply ? new RedisRefused(codeOf(error.message)) : error
  const refusing = (error: unknown): never => {
    throw asRefused(error)
  }
  return {
    open: () => client.connect().catch(refusing),
    send: command => client.sendCommand([...command]).catch(refusing),
    destroy: () => {
      if (client.isOpen) client.destroy()
    },
  }
}

const NO_RETRY = { reconnectStrategy: false, connectTimeout: 5_000 } as const

/** The first word only: what follows may quote keys or values. Before Redis 7 an error inside a script stands further in. */
function codeOf(message: string): string {
  if (/-READONLY /.test(message)) return 'READONLY'
  return /^[A-Z][A-Z0-9_]{0,31}(?= |$)/.exec(message)?.[0] ?? 'ERR'
}
