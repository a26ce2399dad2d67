/** Named deadlines: one table per engine, times on the clock given to it. */

import { JUDGES, LATE, TIMERS } from '../generated/tables'
import type { TimerName } from '../generated/types'

export { GRACE, LATE, OF_THE_LINK } from '../generated/tables'

/** The name of a deadline. */
export type Timer = TimerName

/** What `explain()` calls each deadline. */
export const MEANINGS: Readonly<Record<Timer, string>> = TIMERS

/** The deadlines that are set. */
export class Timers {
  readonly #deadlines = new Map<Timer, number>()
  readonly #graced = new Set<Timer>()
  #next: number | null = null

  /** Set or move a deadline. */
  set(timer: Timer, deadline: number): void {
    this.#deadlines.set(timer, deadline)
    this.#next = this.#earliest()
  }

  /** Forget deadlines, set or not, and that they were too late to judge. */
  cancel(...timers: readonly Timer[]): void {
    for (const timer of timers) {
      this.#graced.delete(timer)
      this.#forget(timer)
    }
  }

  /** When a deadline is, or null. */
  get(timer: Timer): number | null {
    return this.#deadlines.get(timer) ?? null
  }

  /** The earliest deadline. */
  next(): number | null {
    return this.#next
  }

  /**
   * Take out what is due, the earliest first.
   *
   * Each with whether it is too late to judge: true at most once in a row for each.
   */
  popDue(now: number): [timer: Timer, late: boolean][] {
    const due = [...this.#deadlines]
      .filter(([, at]) => at <= now)
      // of two at the same time the one whose name in words comes first
      .sort(([a, one], [b, other]) => one - other || (TIMERS[a] < TIMERS[b] ? -1 : 1))
    for (const [timer] of due) this.#forget(timer)
    return due.map(([timer, at]) => [timer, this.#tooLate(timer, now - at)])
  }

  /** What is set, the earliest first. */
  all(): [timer: Timer, deadline: number][] {
    return [...this.#deadlines].sort(([, one], [, other]) => one - other)
  }

  #forget(timer: Timer): void {
    // most were not set: the core cancels all the time
    if (this.#deadlines.delete(timer)) this.#next = this.#earliest()
  }

  #earliest(): number | null {
    return this.#deadlines.size ? Math.min(...this.#deadlines.values()) : null
  }

  #tooLate(timer: Timer, lateness: number): boolean {
    if (JUDGES.includes(timer) && lateness > LATE && !this.#graced.has(timer)) {
      this.#graced.add(timer)
      return true
    }
    this.#graced.delete(timer)
    return false
  }
}
