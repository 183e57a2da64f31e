/** Lists of numbers that may spell text. */
import type { JsonNode } from './json.ts'

/** Numbers 0 to 255 and nothing else; `undefined` for any other list and for an empty one. */
export function byteValues(items: readonly JsonNode[]): Uint8Array | undefined {
  if (items.length === 0) return undefined
  const bytes = new Uint8Array(items.length)
  for (let i = 0; i < items.length; i++) {
    const item = items[i]
    if (item?.kind !== 'number' || !Number.isInteger(item.value) || item.value < 0 || item.value > 255) return undefined
    bytes[i] = item.value
  }
  return bytes
}

/** The text that bytes spell as UTF-8, whatever does not. */
export function textOfBytes(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}
