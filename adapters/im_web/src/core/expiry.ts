/** When messages expire: many times, one timer. */

import type { Timers } from './timers'

/** The heap is cleaned when it has this many entries, and twice as many as messages may expire. */
export const CLEAN_FROM = 64

type Entry = readonly [at: number, ref: number]

/**
 * The times to live of messages. What no longer expires stays in the heap until its time, or until
 * the heap is cleaned.
 */
export class Expiry {
  readonly #timers: Timers
  #heap: Entry[] = []
  #cleanAt = CLEAN_FROM

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** A message expires then. */
  add(at: number, ref: number): void {
    push(this.#heap, [at, ref])
  }

  /** When a message expires; null: never. */
  at(ref: number): number | null {
    return this.#heap.find(([, of]) => of === ref)?.[0] ?? null
  }

  /** Those whose time is over, each once. */
  due(now: number): number[] {
    const due: number[] = []
    while (this.#heap[0] && this.#heap[0][0] <= now) due.push(pop(this.#heap)[1])
    return due
  }

  /** Time has passed that the clock did not see. */
  slept(seconds: number): void {
    this.#heap = this.#heap.map(([at, ref]) => [at - seconds, ref])
  }

  /** Set the timer to the first that still `expires`. */
  watch(expires: (ref: number) => boolean): void {
    const set = this.#timers.get('EXPIRY')
    if (!this.#heap.length && set === null) return
    if (this.#heap.length >= this.#cleanAt) {
      // what is sorted is a heap
      this.#heap = this.#heap.filter(([, ref]) => expires(ref)).sort(compare)
      this.#cleanAt = Math.max(CLEAN_FROM, 2 * this.#heap.length)
    }
    while (this.#heap[0] && !expires(this.#heap[0][1])) pop(this.#heap)
    const at = this.#heap[0]?.[0] ?? null
    if (at === set) return
    if (at === null) this.#timers.cancel('EXPIRY')
    else this.#timers.set('EXPIRY', at)
  }
}

const compare = (one: Entry, other: Entry): number => one[0] - other[0] || one[1] - other[1]

function push(heap: Entry[], entry: Entry): void {
  let place = heap.length
  while (place) {
    const above = (place - 1) >> 1
    const parent = heap[above] as Entry
    if (compare(parent, entry) <= 0) break
    heap[place] = parent
    place = above
  }
  heap[place] = entry
}

/** Take out the least of at least one. */
function pop(heap: Entry[]): Entry {
  const least = heap[0] as Entry
  const last = heap.pop() as Entry
  if (heap.length) {
    let place = 0
    for (;;) {
      let below = 2 * place + 1
      if (below >= heap.length) break
      const right = heap[below + 1]
      if (right && compare(right, heap[below] as Entry) < 0) below += 1
      const child = heap[below] as Entry
      if (compare(last, child) <= 0) break
      heap[place] = child
      place = below
    }
    heap[place] = last
  }
  return least
}
