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

/** Base64 (either alphabet) and nothing else, from `from` on. */
export function isBase64(text: string, from = 0): boolean {
  if (text.length - from < SHORTEST) return false
  let end = text.length
  while (end > from && text.charCodeAt(end - 1) === 0x3d) end--
  if (text.length - end > 2) return false
  for (let i = from; i < end; i++) {
    const c = text.charCodeAt(i)
    const ok =
      (c >= 0x61 && c <= 0x7a) ||
      (c >= 0x41 && c <= 0x5a) ||
      (c >= 0x2f && c <= 0x39) ||
      c === 0x2b ||
      c === 0x2d ||
      c === 0x5f
    if (!ok) return false
  }
  return true
}
