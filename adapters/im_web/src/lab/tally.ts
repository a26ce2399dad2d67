/**
 * What became of every message, told apart by its text alone: the tally trusts neither the
 * clients' numbers nor the server's.
 */

/** The messages of one user to the other, counted. */
export interface Tally {
  /** Given to the client. */
  sent: number
  /** The server has said that it has them. */
  accepted: number
  /** Ended without being accepted. */
  failed: number
  /** Sent, and without an end yet. */
  open: number
  /** Arrived at the other side; a message that arrives twice counts once. */
  received: number
  /** Accepted, and not received yet. */
  underway: number
  /** Arrived more often than they were sent. */
  duplicated: number
  /** Arrived behind one that was sent after them. */
  outOfOrder: number
}

interface Entry {
  accepted: boolean
  received: boolean
  id: string | null
}

/** Keeps the tally of one direction. */
export class Ledger {
  #entries: Entry[] = []
  #byText = new Map<string, { at: number[]; heard: number }>()
  #furthest = -1
  #accepted = 0
  #failed = 0
  #received = 0
  #underway = 0
  #duplicated = 0
  #outOfOrder = 0

  /** A text was given to the client; returns its place in the order of sending. */
  sent(text: string): number {
    const place = this.#entries.push({ accepted: false, received: false, id: null }) - 1
    const same = this.#byText.get(text)
    if (same === undefined) this.#byText.set(text, { at: [place], heard: 0 })
    else same.at.push(place)
    return place
  }

  /** The server has it, under this number. */
  accepted(place: number, id: string): void {
    const entry = this.#entries[place]!
    entry.accepted = true
    entry.id = id
    this.#accepted++
    if (!entry.received) this.#underway++
  }

  /** It has ended otherwise. */
  failed(): void {
    this.#failed++
  }

  /**
   * A text has arrived. Of equal texts the first to arrive is taken for the first that was sent.
   * One that was never sent here is left over from before this page was loaded: false.
   */
  received(text: string): boolean {
    const same = this.#byText.get(text)
    if (same === undefined) return false
    const place = same.at[same.heard]
    if (place === undefined) {
      this.#duplicated++
      return true
    }
    same.heard++
    const entry = this.#entries[place]!
    entry.received = true
    this.#received++
    if (entry.accepted) this.#underway--
    if (place < this.#furthest) this.#outOfOrder++
    this.#furthest = Math.max(this.#furthest, place)
    return true
  }

  /** The present numbers. */
  tally(): Tally {
    return {
      sent: this.#entries.length,
      accepted: this.#accepted,
      failed: this.#failed,
      open: this.#entries.length - this.#accepted - this.#failed,
      received: this.#received,
      underway: this.#underway,
      duplicated: this.#duplicated,
      outOfOrder: this.#outOfOrder,
    }
  }

  /** How many were accepted and did not arrive, or are not in the server's database. */
  lost(stored: ReadonlySet<string>): number {
    return this.#entries.filter(
      (entry) => entry.accepted && !(entry.received && stored.has(entry.id!)),
    ).length
  }

  /** How many of these the server has though nobody was told that it has them. */
  unknown(stored: Iterable<string>): number {
    const known = new Set(this.#entries.map((entry) => entry.id))
    return [...stored].filter((id) => !known.has(id)).length
  }
}

/** Both directions together. */
export function together(a: Tally, b: Tally): Tally {
  const names = Object.keys(a) as (keyof Tally)[]
  return Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as unknown as Tally
}

/** What the lab is sure of. */
export interface Verdict {
  /** How many are lost; null: nobody can know yet. */
  lost: number | null
  /** How many the server has, of those sent here; null: it was not asked yet. */
  stored: number | null
  /** In plain words. */
  text: string
}

/** What the server's database holds of one direction, without what it held before. */
export type Stored = ReadonlySet<string>

/**
 * Is anything lost? To be known, nothing may be unanswered, nothing may still be arriving, and the
 * server's database must have been read since.
 *
 * @param ledgers - One for each direction.
 * @param stored - The database's messages of each; null: not read since the last change.
 * @param quiet - Both clients are logged in, and nothing has arrived for a while.
 */
export function judge(
  ledgers: readonly Ledger[],
  stored: readonly Stored[] | null,
  quiet: boolean,
): Verdict {
  const all = ledgers.map((ledger) => ledger.tally()).reduce(together)
  const pending = (text: string): Verdict => ({ lost: null, stored: null, text })
  if (all.open > 0) return pending(`${count(all.open, 'message')} without an answer yet`)
  if (!quiet && all.underway > 0) return pending(`${count(all.underway, 'message')} on the way`)
  if (!quiet) return pending('waiting until all is quiet')
  if (stored === null) return pending('reading the server’s database')
  const lost = ledgers.reduce((sum, ledger, i) => sum + ledger.lost(stored[i]!), 0)
  const more = ledgers.reduce((sum, ledger, i) => sum + ledger.unknown(stored[i]!), 0)
  const has = stored.reduce((sum, ids) => sum + ids.size, 0)
  const agrees =
    has === all.accepted
      ? `the server’s database agrees: it has ${has.toLocaleString('en')}`
      : `the server’s database has ${has.toLocaleString('en')}` +
        (more > 0 ? `, ${more.toLocaleString('en')} of which nobody was told` : '')
  return { lost, stored: has, text: `all is at rest, and ${agrees}` }
}

const count = (n: number, what: string): string =>
  `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`
