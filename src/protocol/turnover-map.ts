// A map whose entries come and go with every call.
//
// V8 lets each table of a Map know its next. One that has grown old, as any does in a quiet minute, therefore keeps all that follow it, with
// all that was in them, until the next collection of everything: requests and answers long done, a quarter of the time of a busy process.

/** So many removals, or as many as there are entries, are worth a new table. */
const LEAST_GONE = 64

/** As a Map, but that an iteration need not come to what was set after it began. */
export class TurnoverMap<K, V> {
  #entries = new Map<K, V>()
  #gone = 0

  get size(): number {
    return this.#entries.size
  }

  get(key: K): V | undefined {
    return this.#entries.get(key)
  }

  has(key: K): boolean {
    return this.#entries.has(key)
  }

  set(key: K, value: V): void {
    if (this.#gone >= LEAST_GONE && this.#gone >= this.#entries.size) {
      this.#entries = new Map(this.#entries)
      this.#gone = 0
    }
    this.#entries.set(key, value)
  }

  delete(key: K): boolean {
    if (!this.#entries.delete(key)) return false
    this.#gone++
    return true
  }

  clear(): void {
    this.#entries = new Map()
    this.#gone = 0
  }

  /** In the order in which they were set first. */
  *[Symbol.iterator](): Generator<[K, V]> {
    for (const entry of this.#entries) if (this.has(entry[0])) yield entry
  }

  *keys(): Generator<K> {
    for (const [key] of this) yield key
  }

  *values(): Generator<V> {
    for (const [, value] of this) yield value
  }
}

/** As a Set, in the same way. */
export class TurnoverSet<T> {
  #entries = new TurnoverMap<T, true>()

  get size(): number {
    return this.#entries.size
  }

  has(entry: T): boolean {
    return this.#entries.has(entry)
  }

  add(entry: T): void {
    this.#entries.set(entry, true)
  }

  delete(entry: T): boolean {
    return this.#entries.delete(entry)
  }

  clear(): void {
    this.#entries.clear()
  }

  [Symbol.iterator](): Generator<T> {
    return this.#entries.keys()
  }
}
