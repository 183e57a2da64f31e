/**
 * The package's index loads fetch, WebSocket, caches and mocks: 100 ms of start-up and 15 MB that a gate has no use for.
 * Its pool alone is loaded instead; the exact version is pinned in package.json.
 */
declare module 'undici/lib/dispatcher/pool.js' {
  import type { Pool as UndiciPool } from 'undici'

  const Pool: typeof UndiciPool
  type Pool = UndiciPool
  export default Pool
}
