/** A Map whose oldest key is found at once, however many were deleted before it. */
export class Queue<K extends number | string, V> extends Map<K, V> {
  // an iterator of a Map goes on over what is added later; a new one steps over all that is deleted
  #walk: MapIterator<K> | null = null
  #first: K | undefined

  /** The oldest key; undefined: there is none. */
  first(): K | undefined {
    if (this.#first === undefined) {
      this.#first = (this.#walk ??= this.keys()).next().value
      if (this.#first === undefined) this.#walk = null
    }
    return this.#first
  }

  override delete(key: K): boolean {
    if (this.#first === key) this.#first = undefined
    return super.delete(key)
  }
}
