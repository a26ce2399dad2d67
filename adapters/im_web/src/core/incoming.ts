/**
 * Pushes on their way in: what was seen, what the application has handled, where to go on.
 *
 * With `seq` (protocol.md section 2) the mailbox's numbers decide: the next one is new, an old one is
 * a repeat, a later one shows a hole. Without, a message is a repeat only when msgId and fromUser are
 * both there and the content is equal.
 *
 * What must outlive the process is noted for the journal: how far everything was handled (`Cursor`),
 * what was handled beyond (`Handled`), what the application may have seen (`Offered`), and the
 * messages that it has handled (`PairKnown`).
 */

import type { Event, MessageReceived } from './events'
import { hash128 } from './hash'
import type { Cursor, JournalState, PairKnown } from './journal'
import type { Journaling } from './journaling'
import { Queue } from './queue'
import type { ResumeFrom } from './wire/messages'
import type { Id, UserId } from './wire/types'

/** (fromUser, msgId) */
export type Pair = [UserId, Id]

/** What a push turned out to be; after a hole it is dropped, and comes again after the repair. */
export type Seen = 'new' | 'repeat' | 'hole'

/** A push that is not handled yet, or waits for those before it; or a number passed over. */
export class Unhandled {
  /** the application was told */
  shown = false
  /** the application has begun with it */
  taken = false
  /** … and has ended, or it was dropped */
  done = false

  /**
   * @param seq its place in the mailbox; null if it moves no cursor.
   * @param pair where both are known.
   * @param message as the application was told last; null: it is no message, or it is done.
   */
  constructor(
    public seq: number | null,
    readonly pair: Pair | null,
    public message: MessageReceived | null,
  ) {}
}

/** The client's side of its mailbox. */
export class Inbox {
  readonly #knownLimit: number
  readonly #journaling: Journaling
  /** digests, by pair */
  readonly #known = new Queue<string, string>()
  /** by delivery */
  readonly #unhandled = new Queue<number, Unhandled>()
  #deliveries = 0
  /** beyond the cursor, handled in an earlier life */
  #early = new Set<number>()
  /** where the handled ones end, as far as it is on disk; and what is on its way there */
  #safe: Cursor | null = null
  #cursors: [number, Cursor][] = []
  /** what Offered was last noted for, and its ticket */
  #offered = 0
  #offerTicket = 0
  /** of the mailbox; null before the first log-in with `seq` */
  epoch: string | null = null
  /** the highest seq up to which everything came in; null: the first one decides */
  received: number | null = null
  /** the highest seq up to which everything was handled */
  handled = 0
  /** the highest seq that came over this link; an ack never goes beyond it */
  pushed = 0
  /** the highest seq that this link was told is handled */
  acked = 0
  /**
   * Up to this seq somebody may wait for that: the highest of a message. Nobody waits for what is
   * handled by being told, as receipts are.
   */
  awaited = 0
  /** messages that the application is not done with */
  waiting = 0
  /** up to this seq an earlier process may have shown everything */
  seenBefore = 0

  /**
   * @param knownPairs how many messages are known by their pair.
   * @param journaling the way to the journal.
   * @param kept what an earlier process has kept.
   */
  constructor(knownPairs: number, journaling: Journaling, kept: JournalState | null = null) {
    this.#knownLimit = knownPairs
    this.#journaling = journaling
    if (kept === null) return
    const pairs = [...kept.pairs.values()]
    for (const { fromUser, msgId, digest } of pairs.slice(Math.max(0, pairs.length - knownPairs))) {
      this.#known.set(JSON.stringify([fromUser, msgId]), digest)
    }
    const cursor = kept.cursor
    if (cursor !== null) {
      this.#safe = cursor
      this.epoch = cursor.epoch
      this.received = this.handled = cursor.seq
      this.seenBefore = this.#offered = kept.offered
      this.#early = new Set([...kept.handled].filter((seq) => seq > cursor.seq))
    }
  }

  // ------------------------------------------------------------ the log-in

  /** Where the server should go on: behind what was handled, as far as that is on disk. */
  resume(): ResumeFrom | null {
    const cursor = this.#onDisk()
    if (cursor === null) return null
    const { epoch, seq, fromUser, msgId } = cursor
    return { epoch, seq, fromUser, msgId }
  }

  /** The first log-in, or one that resumed: numbers go on where they were. */
  loggedIn(epoch: string, base: number | null): void {
    if (this.epoch !== epoch || this.received === null) this.#begin(epoch, base)
    // what was handled while the log-in was answered comes again, and is acknowledged then
    this.acked = this.pushed = Math.min(base ?? this.handled, this.handled)
  }

  /** The server starts again from `oldest`. What is known by its pair won't come twice. */
  reset(epoch: string, oldest: number): void {
    this.#begin(epoch, Math.max(oldest, 1) - 1)
  }

  /** Numbers begin behind `seq` (null: with the first that comes); the old ones are void. */
  #begin(epoch: string, seq: number | null): void {
    // What was shown and not handled comes again, it may be under the number that it had.
    const shown = above(this.handled, Math.max(this.#offered, this.received ?? 0))
    this.seenBefore = above(this.handled, this.seenBefore)
    const again = epoch === this.epoch
    this.epoch = epoch
    this.#forgetNumbers()
    this.received = seq
    this.handled = this.pushed = this.acked = seq ?? 0
    this.awaited = 0
    this.#cursors = []
    this.#safe = null
    this.#early.clear()
    this.#offered = 0
    if (seq === null) return
    this.#safe = cursorAt(epoch, seq)
    // only another epoch makes a journal forget what it knows of numbers
    if (again) this.#journaling.note(cursorAt('', 0))
    this.#journaling.note(this.#safe)
    this.#offer(shown)
  }

  /** Deliveries of before are still to be handled, but they move no cursor. */
  #forgetNumbers(): void {
    for (const [delivery, entry] of this.#unhandled) {
      if (entry.done) this.#unhandled.delete(delivery)
      entry.seq = null
      if (entry.message !== null) entry.message = { ...entry.message, seq: null }
    }
  }

  // ------------------------------------------------------------ what comes in

  /**
   * Sort a push; a new one is to be noted: follow with `deliver`.
   *
   * @param message the pair and the content of a message, null for any other push.
   * @param numbered this link was granted `seq`; else a number means nothing.
   */
  lookAt(seq: number | null, message: [Pair | null, string] | null, numbered: boolean): Seen {
    if (!numbered || this.epoch === null) seq = null
    if (seq !== null) {
      if (this.received === null) {
        this.#begin(this.epoch ?? '', seq - 1)
      } else if (seq <= this.received) {
        this.pushed = Math.max(this.pushed, seq)
        return 'repeat'
      } else if (seq > this.received + 1) {
        return 'hole'
      }
      this.received = seq
      this.pushed = Math.max(this.pushed, seq)
    }
    const [pair, content] = message ?? [null, '']
    if (seq !== null && this.#early.delete(seq)) {
      this.#passOver(seq, pair)
      return 'repeat'
    }
    if (pair !== null && this.#known.get(JSON.stringify(pair)) === hash128(content)) {
      if (seq !== null) {
        // it was handled, or is being handled, under its number of before a reset
        this.#offer(seq)
        this.#passOver(seq, pair)
      }
      return 'repeat'
    }
    return 'new'
  }

  /** Give up a hole: `seq` is taken as the next. */
  skipTo(seq: number): void {
    this.received = seq - 1
    this.#passOver(seq - 1, null)
  }

  /** A name that no delivery had before. */
  newDelivery(): number {
    return ++this.#deliveries
  }

  /** Note a new push: a message for the application, or (null) what is handled when shown. */
  deliver(
    delivery: number,
    seq: number | null,
    pair: Pair | null,
    message: MessageReceived | null,
    numbered: boolean,
  ): void {
    if (!numbered || this.epoch === null) seq = null
    this.#unhandled.set(delivery, new Unhandled(seq, pair, message))
    if (message === null) return
    this.waiting++
    if (pair !== null && this.#knownLimit) {
      const known = this.#known
      known.set(JSON.stringify(pair), hash128(message.content))
      if (known.size > this.#knownLimit) known.delete(known.first()!)
    }
  }

  // ------------------------------------------------------------ what the application does

  /**
   * The application is told of a delivery: what (null: nothing, it was dropped meanwhile).
   *
   * That is `event`, but for a message, which may have lost its number since it came. What is no
   * message is handled by that.
   */
  show(delivery: number, event: Event | null): Event | null {
    const entry = this.#unhandled.get(delivery)
    if (entry === undefined || entry.done) return null
    entry.shown = true
    if (entry.message !== null) return entry.message
    this.#settle(delivery, entry)
    return event
  }

  /** The application has begun with a delivery: it is not dropped any more. */
  take(delivery: number): void {
    const entry = this.#open(delivery)
    if (entry !== null) entry.taken = true
  }

  /**
   * The application is done with a delivery: with which message. One that is not known (any more) is
   * nothing.
   */
  handle(delivery: number): MessageReceived | null {
    const entry = this.#open(delivery)
    return entry && this.#settle(delivery, entry)
  }

  /**
   * The application has failed on a delivery: what to tell it, if it was not tried `attempts` times
   * yet. Else, and if it is not known (any more), null.
   */
  fail(delivery: number, attempts: number): MessageReceived | null {
    const entry = this.#open(delivery)
    if (!entry?.message || entry.message.attempt >= attempts) return null
    entry.taken = false
    const attempt = entry.message.attempt + 1
    return (entry.message = { ...entry.message, redelivered: true, attempt })
  }

  /** Let the oldest go that the application has not begun with: which, with its delivery. */
  dropOldest(): [number, Unhandled] | null {
    for (const [delivery, entry] of this.#unhandled) {
      if (entry.message !== null && !entry.taken) {
        this.#settle(delivery, entry)
        return [delivery, entry]
      }
    }
    return null
  }

  /** A message that the application has and is not done with. */
  #open(delivery: number): Unhandled | null {
    const entry = this.#unhandled.get(delivery)
    return entry?.message && entry.shown ? entry : null
  }

  // ------------------------------------------------------------ how far it is handled

  /** Pushes that are not handled, or that the cursor has not passed yet. */
  get backlog(): number {
    return this.#unhandled.size
  }

  /** Is there something that the cursor waits for? */
  get unsettled(): boolean {
    return this.#unhandled.size > 0
  }

  /** How far the server may be told: handled, on disk, and pushed over this link. */
  toAcknowledge(): number {
    return Math.min(this.#onDisk()?.seq ?? 0, this.pushed)
  }

  /** Have it noted that the application may see all that came in; the ticket of that. */
  offer(): number {
    this.#offer(this.received ?? 0)
    return this.#offerTicket
  }

  #offer(seq: number): void {
    if (seq > this.#offered) {
      this.#offered = seq
      this.#offerTicket = this.#journaling.note({ type: 'Offered', seq })
    }
  }

  #onDisk(): Cursor | null {
    while (this.#cursors.length && this.#cursors[0]![0] <= this.#journaling.written) {
      this.#safe = this.#cursors.shift()![1]
    }
    return this.#safe
  }

  /** A delivery is handled, or dropped; returns its message. */
  #settle(delivery: number, entry: Unhandled): MessageReceived | null {
    const { message } = entry
    entry.message = null
    entry.done = true
    if (message !== null) {
      this.waiting--
      this.awaited = Math.max(this.awaited, entry.seq ?? 0)
      const known = pairKnown(message)
      if (known !== null && this.#knownLimit) this.#journaling.note(known)
    }
    if (entry.seq === null) this.#unhandled.delete(delivery) // no cursor waits for it
    this.#advance()
    if (entry.seq !== null && entry.seq > this.handled) {
      this.#journaling.note({ type: 'Handled', seq: entry.seq })
    }
    return message
  }

  #advance(): void {
    let last: Unhandled | null = null
    for (;;) {
      const first = this.#unhandled.first()
      const entry = first === undefined ? first : this.#unhandled.get(first)
      if (!entry?.done) break
      this.#unhandled.delete(first!)
      last = entry
    }
    if (last === null) return
    this.handled = last.seq!
    const cursor = cursorAt(this.epoch!, this.handled, last.pair)
    this.#cursors.push([this.#journaling.note(cursor), cursor])
    this.#onDisk()
  }

  /**
   * Count a number as handled, in its turn, without a delivery. No `Handled` is noted: what stands
   * before it may be the same message, under its number of before a reset.
   */
  #passOver(seq: number, pair: Pair | null): void {
    const entry = new Unhandled(seq, pair, null)
    entry.done = true
    this.awaited = Math.max(this.awaited, seq)
    this.#unhandled.set(this.newDelivery(), entry)
    this.#advance()
  }
}

/**
 * What an application writes into the journal, together with its own work for a message, so that the
 * message is never shown to it again: exactly once, also over a reset of the mailbox, after which
 * numbers mean something else. null: the server did not say who wrote it, or which of his messages
 * it is.
 */
export function pairKnown(
  message: Pick<MessageReceived, 'fromUser' | 'msgId' | 'content'>,
): PairKnown | null {
  const { fromUser, msgId, content } = message
  if (fromUser === null || msgId === null) return null
  return { type: 'PairKnown', fromUser, msgId, digest: hash128(content) }
}

function cursorAt(epoch: string, seq: number, pair: Pair | null = null): Cursor {
  return { type: 'Cursor', epoch, seq, fromUser: pair?.[0] ?? null, msgId: pair?.[1] ?? null }
}

function above(limit: number, seq: number): number {
  return seq > limit ? seq : 0
}
