/**
 * What a client keeps on disk, as plain records: its journal.
 *
 * An adapter loads a `JournalState`, gives it to the engine, and writes the changes that the engine
 * asks for (`WriteJournal`), each list in one transaction, in order. `JournalState.apply` says what
 * each change means; a database is nothing but that on disk.
 *
 * Times are milliseconds since 1970, as a monotonic clock means nothing to the next process.
 */

import type {
  Change,
  Cursor,
  Id,
  Identity,
  JournalData,
  OutgoingRecord,
  PairKnown,
  UserId,
} from '../generated/types'

export type * from '../generated/types'

/** All that a journal holds. An empty one is a new installation. */
export class JournalState {
  identity: Identity | null
  cursor: Cursor | null
  offered: number
  /** By ref. */
  readonly outgoing: Map<number, OutgoingRecord>
  handled: Set<number>
  /** By user and msgId, the oldest first. */
  readonly pairs = new Map<string, PairKnown>()
  /** How many of `pairs` are kept, the newest. */
  readonly knownPairs: number

  /** @param data - what was kept; what is left out is empty. */
  constructor(data: Partial<JournalData> = {}) {
    this.identity = data.identity ?? null
    this.cursor = data.cursor ?? null
    this.offered = data.offered ?? 0
    this.outgoing = new Map(data.outgoing?.map((record) => [record.ref, record]))
    this.handled = new Set(data.handled)
    this.knownPairs = data.knownPairs ?? 4096
    for (const [fromUser, msgId, digest] of data.pairs ?? []) {
      this.pairs.set(pairOf(fromUser, msgId), { type: 'PairKnown', fromUser, msgId, digest })
    }
  }

  /** Take in what an engine wants written, in order. */
  apply(changes: Iterable<Change>): void {
    for (const change of changes) this.#apply(change)
  }

  #apply(change: Change): void {
    switch (change.type) {
      case 'OutgoingRecord':
        this.outgoing.set(change.ref, change)
        break
      case 'OutgoingGone':
        this.outgoing.delete(change.ref)
        break
      case 'Identity':
        this.identity = change
        break
      case 'Cursor':
        if (this.cursor && this.cursor.epoch !== change.epoch) {
          this.offered = 0
          this.handled.clear()
        }
        this.cursor = change
        this.handled = new Set([...this.handled].filter((seq) => seq > change.seq))
        break
      case 'Offered':
        this.offered = Math.max(this.offered, change.seq)
        break
      case 'Handled':
        if (!this.cursor || change.seq > this.cursor.seq) this.handled.add(change.seq)
        break
      case 'PairKnown':
        this.#know(change)
    }
  }

  #know(known: PairKnown): void {
    const pair = pairOf(known.fromUser, known.msgId)
    this.pairs.delete(pair)
    this.pairs.set(pair, known)
    for (const oldest of this.pairs.keys()) {
      if (this.pairs.size <= this.knownPairs) break
      this.pairs.delete(oldest)
    }
  }
}

/** One string for two things, as a Map compares arrays by who they are. */
function pairOf(fromUser: UserId, msgId: Id): string {
  return JSON.stringify([fromUser, msgId])
}
