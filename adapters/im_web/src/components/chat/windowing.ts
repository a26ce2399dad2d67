/** Which rows of a long list are to be in the page. Heights and places are in pixels. */

/** The rows from `start` up to, without, `end`. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** Where each row begins, and, as the last number, where the list ends. */
export function offsetsOf(heights: Iterable<number>, count: number): Float64Array {
  const offsets = new Float64Array(count + 1)
  let i = 0
  for (const height of heights) {
    offsets[i + 1] = offsets[i]! + height
    i++
  }
  return offsets
}

/** The row that is at this place: the first whose end is below it. */
export function rowAt(offsets: Float64Array, place: number): number {
  let low = 0
  let high = offsets.length - 2
  while (low < high) {
    const middle = (low + high) >> 1
    if (offsets[middle + 1]! > place) high = middle
    else low = middle + 1
  }
  return Math.max(low, 0)
}

/** The rows that a view of this height shows, and those within `margin` around it. */
export function rangeOf(offsets: Float64Array, top: number, height: number, margin: number): Range {
  const count = offsets.length - 1
  if (count === 0) return { start: 0, end: 0 }
  return {
    start: rowAt(offsets, top - margin),
    end: Math.min(rowAt(offsets, top + height + margin) + 1, count),
  }
}

/** How high a message is likely to be that was never measured. */
export function guess(content: string): number {
  return 42 + 20 * Math.floor(content.length / 56)
}
