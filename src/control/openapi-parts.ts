/** What descriptions of routes are put together from. */
import type { SCHEMAS } from './openapi-schemas.ts'

export const schema = (name: keyof typeof SCHEMAS) => ({ $ref: `#/components/schemas/${name}` })
export const jsonOf = (of: object) => ({ content: { 'application/json': { schema: of } } })
export const text = (type: string) => ({ content: { [type]: { schema: { type: 'string' } } } })

const PROBLEMS = {
  400: 'the request is not understood',
  401: 'no credential, or one that does not hold',
  403: 'not with this role, not by this person, or not from a page of that origin',
  404: 'there is no such thing here',
  409: 'it is not so any more, or not yet; `error` says what',
  410: 'the time to decide is over',
  413: 'the body is too large',
  421: 'this listener does not go by that name',
  503: 'it could not be written down or looked up, and did not count',
} as const
export type Status = keyof typeof PROBLEMS

/** Besides those that any route with a credential may answer. */
export const problems = (...more: readonly Status[]) =>
  Object.fromEntries(
    [...new Set<Status>([400, 401, 403, 421, 503, ...more])]
      .sort()
      .map(status => [status, { description: PROBLEMS[status], ...jsonOf(schema('Problem')) }]),
  )
/** Of routes that are for everybody. */
export const open = (...statuses: readonly Status[]) =>
  Object.fromEntries(statuses.map(status => [status, { description: PROBLEMS[status], ...jsonOf(schema('Problem')) }]))

export const takes = (required: readonly string[], properties: object) => ({
  required: true,
  ...jsonOf({ type: 'object', additionalProperties: false, required, properties }),
})
