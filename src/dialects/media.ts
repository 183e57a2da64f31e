/**
 * Which strings are pictures, sound or files and not text. Narrow on purpose: only a base64 payload, in a place where the
 * API puts media, with a media type that is not text. Everything else is text and is inspected.
 */

/** `data:image/png;base64,…` and the like. A `data:text/plain;…`, or one that is not base64, is text. */
export function isMediaUrl(url: string): boolean {
  if (!url.startsWith('data:')) return false
  const comma = url.indexOf(',')
  if (comma < 0 || comma > 200) return false
  const head = url.slice(5, comma)
  if (!/^(?:image|audio|video|font|application)\/[\w.+-]+(?:;[\w.+-]+=[\w.+-]+)*;base64$/i.test(head)) return false
  // A picture that is text.
  if (/^image\/[\w.+-]*(?:svg|xml|json)\b/i.test(head)) return false
  if (
    /^application\/(?:[\w.+-]*(?:json|xml|javascript|ecmascript|yaml|sql|graphql|sh)|x-www-form-urlencoded)\b/i.test(
      head,
    )
  ) {
    return false
  }
  return isBase64(url, comma + 1)
}

/** Below this length a payload is read as text too: it costs nothing, and a word is also base64. */
const SHORTEST = 128

/** Base64 and nothing else, from `from` on, that does not spell a text. */
export function isBase64(text: string, from = 0): boolean {
  return isInBase64(text, from) && spelled(text, from) === undefined
}

/** The bytes of a text (UTF-8, no control characters but white space) that is written as base64. */
export function spelled(text: string, from = 0): Uint8Array | undefined {
  if (!isInBase64(text, from)) return undefined
  // Sound and pictures betray themselves in their first bytes, nearly always.
  if (!isText(Buffer.from(text.slice(from, from + 64), 'base64'), true)) return undefined
  const bytes = Buffer.from(text.slice(from), 'base64')
  return isText(bytes, false) ? bytes : undefined
}

/** The part of a data URL behind its comma, or the whole. */
export function payloadStart(text: string): number {
  return text.startsWith('data:') ? text.indexOf(',') + 1 : 0
}

function isText(bytes: Uint8Array, isBeginning: boolean): boolean {
  for (const byte of bytes)
    if ((byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) || byte === 0x7f) return false
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: isBeginning })
    return true
  } catch {
    return false
  }
}

/** RFC 4648 sections 4 and 5: one alphabet or the other, not both, and no length that nothing encodes to. */
function isInBase64(text: string, from: number): boolean {
  if (text.length - from < SHORTEST) return false
  let end = text.length
  while (end > from && text.charCodeAt(end - 1) === 0x3d) end--
  if (text.length - end > 2 || (end - from) % 4 === 1) return false
  let isPlain = false
  let isUrlSafe = false
  for (let i = from; i < end; i++) {
    const c = text.charCodeAt(i)
    if ((c >= 0x61 && c <= 0x7a) || (c >= 0x41 && c <= 0x5a) || (c >= 0x30 && c <= 0x39)) continue
    if (c === 0x2b || c === 0x2f) isPlain = true
    else if (c === 0x2d || c === 0x5f) isUrlSafe = true
    else return false
  }
  return !(isPlain && isUrlSafe)
}
