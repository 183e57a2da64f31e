/**
 * What was found in long texts, by digest: conversations repeat their history with every request.
 *
 * Guarantees: bounded; holds no text; a hit means the same UTF-16 units under the same rules (SHA-256), so remembering
 * can change the cost of a verdict but never the verdict.
 */
import { createHash } from 'node:crypto'
import type { Detection } from './detect.ts'

const MAX_ENTRIES = 2048

export class Remembered {
  readonly #entries = new Map<string, Detection>()

  static key(text: string, toolResult: boolean): string {
    return (toolResult ? 't' : 'o') + createHash('sha256').update(Buffer.from(text, 'utf16le')).digest('base64')
  }

  get(key: string): Detection | undefined {
    const found = this.#entries.get(key)
    if (found !== undefined) {
      this.#entries.delete(key)
      this.#entries.set(key, found)
    }
    return found
  }

  set(key: string, detection: Detection): void {
    this.#entries.set(key, detection)
    if (this.#entries.size <= MAX_ENTRIES) return
    const oldest = this.#entries.keys().next()
    if (!oldest.done) this.#entries.delete(oldest.value)
  }

  get size(): number {
    return this.#entries.size
  }
}
