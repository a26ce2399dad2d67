/** What a clock is built on; the browser's own, or a test's. */
export interface ClockBase {
  /** Monotonic, ms. */
  now(): number
  /** ms since 1970. */
  wall(): number
  setTimeout(callback: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
}

interface Waiting {
  id: number
  due: number
  callback: () => void
}

/**
 * The clocks and timers of one client, which can be made to jump.
 *
 * They run like the base's. A step is what a program sees that stood still for a while, such as a
 * tab that the browser has frozen: both clocks are ahead at once, and every timer that came due
 * meanwhile fires, late, in the order in which they were due.
 */
export class SteppedClock {
  #base: ClockBase
  #ahead = 0
  #asleep = 0
  #lastId = 0
  #waiting = new Map<number, Waiting>()
  #armed: unknown = null

  constructor(base: ClockBase) {
    this.#base = base
  }

  /** By how much the wall clock is ahead of the base's, ms. */
  get wallAhead(): number {
    return this.#ahead + this.#asleep
  }

  /** Monotonic, ms. */
  now = (): number => this.#base.now() + this.#ahead

  /** ms since 1970. */
  wall = (): number => this.#base.wall() + this.#ahead + this.#asleep

  setTimeout = (callback: () => void, ms: number): number => {
    const id = ++this.#lastId
    this.#waiting.set(id, { id, due: this.now() + Math.max(0, ms), callback })
    this.#arm()
    return id
  }

  clearTimeout = (id: unknown): void => {
    this.#waiting.delete(id as number)
    this.#arm()
  }

  /** Both clocks jump ahead, and what is due by then fires. */
  step(ms: number): void {
    this.#ahead += ms
    this.#fire()
  }

  /** The machine slept: the wall clock went on, the monotonic clock did not. */
  sleep(ms: number): void {
    this.#asleep += ms
  }

  #arm(): void {
    if (this.#armed !== null) this.#base.clearTimeout(this.#armed)
    this.#armed = null
    const next = Math.min(...[...this.#waiting.values()].map((timer) => timer.due))
    if (next === Infinity) return
    this.#armed = this.#base.setTimeout(() => this.#fire(), Math.max(0, next - this.now()))
  }

  #fire(): void {
    const now = this.now()
    const due = [...this.#waiting.values()].filter((timer) => timer.due <= now)
    due.sort((a, b) => a.due - b.due || a.id - b.id)
    for (const timer of due) {
      // one that fired before it may have called it off
      if (this.#waiting.delete(timer.id)) timer.callback()
    }
    this.#arm()
  }
}
