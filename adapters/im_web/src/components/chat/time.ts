/** Times as people read them. */

/** Writes times in one language. */
export class Clock {
  readonly #time: Intl.DateTimeFormat
  readonly #weekday: Intl.DateTimeFormat
  readonly #day: Intl.DateTimeFormat
  readonly #short: Intl.DateTimeFormat
  readonly #full: Intl.DateTimeFormat

  constructor(
    lang: string,
    readonly words: { readonly today: string; readonly yesterday: string },
  ) {
    const format = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(lang, options)
    this.#time = format({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
    this.#weekday = format({ weekday: 'long' })
    this.#day = format({ weekday: 'short', day: 'numeric', month: 'long', year: 'numeric' })
    this.#short = format({ day: 'numeric', month: 'numeric', year: '2-digit' })
    this.#full = format({ dateStyle: 'full', timeStyle: 'medium' })
  }

  /** The time of day. */
  time(ms: number): string {
    return this.#time.format(ms)
  }

  /** Date and time, complete. */
  full(ms: number): string {
    return this.#full.format(ms)
  }

  /** What stands over the messages of a day. */
  day(ms: number, now: number): string {
    const ago = daysBetween(ms, now)
    if (ago === 0) return this.words.today
    if (ago === 1) return this.words.yesterday
    return ago > 1 && ago < 7 ? this.#weekday.format(ms) : this.#day.format(ms)
  }

  /** What stands in a list: the time today, else the day. */
  brief(ms: number, now: number): string {
    const ago = daysBetween(ms, now)
    if (ago <= 0) return this.time(ms)
    if (ago === 1) return this.words.yesterday
    return ago < 7 ? this.#weekday.format(ms) : this.#short.format(ms)
  }
}

/** Is it the same day, where the user is? */
export function sameDay(a: number, b: number): boolean {
  return daysBetween(a, b) === 0
}

function daysBetween(earlier: number, later: number): number {
  return Math.round((midnight(later) - midnight(earlier)) / 86_400_000)
}

function midnight(ms: number): number {
  return new Date(ms).setHours(0, 0, 0, 0)
}
