/** Rows and what they add up to, for viewers: read in another thread, given as they are stored. */
import { FILTER_FIELDS, type FilterField } from '../audit/filter-fields.ts'
import { ReadingUnavailable, type RowReading } from '../audit/reading-thread.ts'
import type { Clock } from '../core/clock.ts'
import { type Access, asPerson } from './access.ts'
import { type Answer, type ControlRequest, json, problem, type Route } from './listener.ts'

export const ROWS = '/api/v1/rows'
export const OVERVIEW = '/api/v1/overview'

const MOST = 200
const MOST_TEXT = 200

/** Periods of the overview, each with the length of its buckets in seconds. */
export const PERIODS = {
  '1h': { ms: 3_600_000, bucketMs: 60_000 },
  '24h': { ms: 86_400_000, bucketMs: 900_000 },
  '7d': { ms: 604_800_000, bucketMs: 7_200_000 },
  '30d': { ms: 2_592_000_000, bucketMs: 28_800_000 },
} as const

export interface RowsOptions {
  readonly reading: RowReading
  readonly clock: Clock
}

export function rowRoutes({ reading, clock }: RowsOptions, access: Access): readonly Route[] {
  const get = (path: string, answer: (request: ControlRequest) => Promise<Answer>): Route => ({
    path,
    methods: ['GET'],
    takes: asked => asked === path,
    answer: (_, request) =>
      asPerson(access, request, 'viewer', async () => {
        try {
          return await answer(request)
        } catch (error) {
          if (!(error instanceof ReadingUnavailable)) throw error
          return problem(503, 'rows_unavailable', { description: error.message })
        }
      }),
  })
  return [
    get(ROWS, async ({ query }) => {
      const asked = readQuery(query)
      if (typeof asked === 'string') return problem(400, 'query_invalid', { description: asked })
      return json(200, await reading.rows(asked))
    }),
    get(OVERVIEW, async ({ query }) => {
      const period = query.get('period') ?? '24h'
      if (!isPeriod(period)) {
        return problem(400, 'query_invalid', { description: `period: one of ${Object.keys(PERIODS).join(', ')}` })
      }
      const { ms, bucketMs } = PERIODS[period]
      // Whole buckets: the last one is under way.
      const nowMs = clock.now()
      const toMs = (Math.floor(nowMs / bucketMs) + 1) * bucketMs
      return json(200, await reading.overview({ fromMs: toMs - ms, toMs, nowMs, bucketMs }))
    }),
  ]
}

function readQuery(query: URLSearchParams): Parameters<RowReading['rows']>[0] | string {
  const known: readonly string[] = [...FILTER_FIELDS, 'text', 'before', 'after', 'since', 'until', 'limit']
  for (const name of query.keys()) if (!known.includes(name)) return `expected nothing but ${known.join(', ')}`
  const filter = new Map<FilterField, readonly string[]>()
  for (const field of FILTER_FIELDS) {
    const values = query.getAll(field)
    if (values.length > 0) filter.set(field, values)
  }
  const whole = (name: string): number | undefined | string => {
    const text = query.get(name)
    if (text === null) return undefined
    return /^(0|[1-9][0-9]{0,14})$/.test(text) ? Number(text) : `${name}: expected a whole number`
  }
  const time = (name: string): number | undefined | string => {
    const text = query.get(name)
    if (text === null) return undefined
    const ms = Date.parse(text)
    return Number.isNaN(ms) ? `${name}: expected a time such as 2027-01-31T12:00:00Z` : ms
  }
  const [before, after, limit] = [whole('before'), whole('after'), whole('limit')]
  const [sinceMs, untilMs] = [time('since'), time('until')]
  for (const value of [before, after, limit, sinceMs, untilMs]) if (typeof value === 'string') return value
  if (typeof limit === 'number' && (limit < 1 || limit > MOST)) return `limit: a whole number from 1 to ${MOST}`
  const text = query.get('text') ?? undefined
  if (text !== undefined && text.length > MOST_TEXT) return `text: expected at most ${MOST_TEXT} characters`
  return {
    filter,
    limit: typeof limit === 'number' ? limit : 50,
    ...(text === undefined || text === '' ? {} : { text }),
    ...(typeof before === 'number' ? { before } : {}),
    ...(typeof after === 'number' ? { after } : {}),
    ...(typeof sinceMs === 'number' ? { sinceMs } : {}),
    ...(typeof untilMs === 'number' ? { untilMs } : {}),
  }
}

function isPeriod(text: string): text is keyof typeof PERIODS {
  return Object.hasOwn(PERIODS, text)
}
