/** The transparency log over HTTP, as https://c2sp.org/tlog-tiles has it: `/checkpoint` and `/tile/…`. Public. */
import { parseTilePath } from '../audit/log/tile.ts'
import { type Answer, notFound, type Route } from './listener.ts'

/** The part of a log that is served. */
export interface ServedLog {
  /** `checkpoint`, or the path of a tile; `undefined` when it has none. */
  read(path: string): Promise<Uint8Array | undefined>
}

const CHECKPOINT = {
  'content-type': 'text/plain; charset=utf-8',
  // Checkpoints follow each other about a second apart.
  'cache-control': 'public, max-age=1',
}
const TILE = {
  'content-type': 'application/octet-stream',
  'cache-control': 'public, max-age=31536000, immutable',
}

export function logRoute(log: ServedLog): Route {
  return {
    methods: ['GET'],
    takes: path => path === '/checkpoint' || path.startsWith('/tile/'),
    answer: async path => {
      const name = path.slice(1)
      if (name === 'checkpoint') return found(await log.read(name), CHECKPOINT)
      return parseTilePath(name) === undefined ? notFound() : found(await log.read(name), TILE)
    },
  }
}

function found(body: Uint8Array | undefined, headers: Readonly<Record<string, string>>): Answer {
  return body === undefined ? notFound() : { status: 200, headers, body }
}
