/**
 * What is on its way to the journal: collected, and written one list at a time.
 *
 * Who notes something gets a ticket; it is on disk when `written` has reached that. Without a journal
 * nothing is collected, and everything counts as written.
 */

import { RETRY_AFTER } from '../generated/tables'
import type { Effects } from './effects'
import { LocalProtocolError } from './errors'
import type { Change } from './journal'

/** The way to the journal. */
export class Journaling {
  readonly #fx: Effects
  readonly #knownPairs: number
  #last = 0
  #pending: Change[] = []
  #request = 0
  /** what is being written, and the last ticket of it; null: nothing is */
  #writing: [Change[], number] | null = null
  /** the highest ticket that is on disk */
  written = 0
  /** nothing is tried before; null: the last write was good */
  retryAt: number | null = null

  /**
   * @param fx takes what is to be done.
   * @param on there is a journal.
   * @param knownPairs how many messages it knows by their pair.
   */
  constructor(
    fx: Effects,
    readonly on: boolean,
    knownPairs: number,
  ) {
    this.#fx = fx
    this.#knownPairs = knownPairs
  }

  /** Something is not on disk yet. */
  get busy(): boolean {
    return this.#writing !== null || this.#pending.length > 0
  }

  /** Have these written, after those before; returns their ticket. */
  note(...changes: Change[]): number {
    if (!this.on) return 0
    this.#pending.push(...changes)
    return ++this.#last
  }

  /** Write what waits, if nothing is being written. */
  pump(): void {
    if (this.#writing !== null || !this.#pending.length) return
    if (this.retryAt !== null && this.#fx.now < this.retryAt) return
    const changes = this.#pending
    this.#pending = []
    this.#writing = [changes, this.#last]
    this.#fx.do({ type: 'WriteJournal', request: ++this.#request, changes })
  }

  /** It is on disk; a stale answer changes nothing. */
  done(request: number): void {
    if (this.#writing === null || request !== this.#request) return
    this.written = this.#writing[1]
    this.#writing = null
    this.retryAt = null
  }

  /**
   * It is not: what was to be written, and the last ticket of it. What has to be written all the same
   * is to be given to `again`. null: a stale answer.
   */
  failed(request: number): [Change[], number] | null {
    if (this.#writing === null || request !== this.#request) return null
    const failed = this.#writing
    this.#writing = null
    this.retryAt = this.#fx.now + RETRY_AFTER
    return failed
  }

  /**
   * Write these first at the next try: they are older than what waits. Of pairs only as many as it
   * would keep, as a plain server sends on for as long as the disk is full.
   *
   * @throws LocalProtocolError: something is being written.
   */
  again(changes: Change[]): void {
    if (this.#writing !== null) throw new LocalProtocolError('a write is under way')
    const all = [...changes, ...this.#pending]
    let tooMany = all.filter(isPair).length - this.#knownPairs
    this.#pending = all.filter((change) => !isPair(change) || tooMany-- <= 0)
  }
}

function isPair(change: Change): boolean {
  return change.type === 'PairKnown'
}
