/** A map that forgets its oldest entries beyond a bound. Setting an entry makes it the newest. */
export class Recent<Key, Value> {
  readonly #entries = new Map<Key, Value>()
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  get(key: Key): Value | undefined {
    return this.#entries.get(key)
  }

  set(key: Key, value: Value): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > this.#most && oldest !== undefined) this.#entries.delete(oldest)
  }

  delete(key: Key): void {
    this.#entries.delete(key)
  }

  /** Oldest first; a copy, so the map may change meanwhile. */
  entries(): readonly (readonly [Key, Value])[] {
    return [...this.#entries]
  }

  /** Oldest first. */
  values(): readonly Value[] {
    return [...this.#entries.values()]
  }
}
