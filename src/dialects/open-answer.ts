/** Which reader an answer gets, on every surface, by the content type that upstream sent with it. */
import type { Fault, ResponseReader } from '../core/wire.ts'
import { fault } from './json.ts'

/** How a surface reads its answers. */
export interface AnswerReaders {
  /** `isError`: it came with a 4xx or 5xx status. */
  readonly body: (isError: boolean) => ResponseReader
  /** `undefined` on a surface without streams. */
  readonly stream: (() => ResponseReader) | undefined
}

/**
 * What upstream says it sends decides, not what was asked for: a server may answer a stream request with a JSON error.
 * Without a type, the request decides. Any other type is nothing we can inspect.
 */
export function openAnswer(
  asked: { readonly stream: boolean },
  status: number,
  contentType: string | undefined,
  { body, stream }: AnswerReaders,
): ResponseReader | Fault {
  if (!isUtf8(contentType)) {
    return fault('upstream_content_type_invalid', 'upstream answered in a charset other than UTF-8')
  }
  const isError = status >= 400
  const mayStream = asked.stream && stream !== undefined
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (isJson(type) || (type === '' && (isError || !mayStream))) return body(isError)
  const isStream = type === 'text/event-stream' || (mayStream && (type === '' || type === 'text/plain'))
  if (stream !== undefined && isStream && !isError) return stream()
  return fault('upstream_content_type_invalid', 'upstream answered with a content type that cannot be inspected here')
}

/** We inspect UTF-8; a client that believes another charset (UTF-7, UTF-16) would read other text out of the same bytes. */
function isUtf8(contentType = ''): boolean {
  if (!/charset/i.test(contentType)) return true
  const given = [...contentType.matchAll(/;\s*charset\s*=\s*"?([^\s;",]*)/gi)]
  return given.length === 1 && /^(?:utf-?8|us-ascii)$/i.test(given[0]?.[1] ?? '')
}

function isJson(type: string): boolean {
  return type === 'application/json' || type === 'text/json' || /^[a-z]+\/[a-z0-9.+-]+\+json$/.test(type)
}
