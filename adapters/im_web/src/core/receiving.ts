/**
 * What becomes of what comes in: repeats, holes, what the application is told and when, and telling
 * the server how far.
 *
 * With a journal a message is shown only when it is on disk that it may have been seen, so that the
 * next process can say that it comes again. What came behind it is shown behind it.
 */

import {
  ACK_DELAY,
  ACK_EVERY,
  ACK_PACE,
  HARD_FACTOR,
  HARD_LIMIT,
  QUIET_ACK_DELAY,
} from '../generated/tables'
import type { CoreConfig } from './config'
import { Trouble } from './effects'
import type { Effects } from './effects'
import type { Event } from './events'
import { Inbox } from './incoming'
import type { Pair } from './incoming'
import type { JournalState } from './journal'
import type { Journaling } from './journaling'
import type { Timers } from './timers'
import type { Unknown } from './wire/dialect'
import type { ReadSync, ReceiptPush } from './wire/extensions'
import type { AuthData, ChatRedirectToUser, SyncResponse } from './wire/messages'

/** What may stand in a mailbox, and has a number then. */
export type Push = ChatRedirectToUser | ReceiptPush | ReadSync | Unknown

/** An event that is not told yet: of which delivery (0: none), and what has to be on disk. */
interface Held {
  event: Event
  delivery: number
  /** null: that it may be seen is noted at the end of this step */
  ticket: number | null
}

/** The incoming half of a client. */
export class Receiving {
  readonly #config: CoreConfig
  readonly #deviceId: string
  readonly #fx: Effects
  readonly #timers: Timers
  readonly #journaling: Journaling
  #numbered = false
  /** how many handled messages wait for their acknowledgement at the most, and when the last one went */
  #ackEvery = ACK_EVERY
  #ackedAt = -Infinity
  /** where the last hole was, and how often it was met there without progress */
  #hole: [place: number, times: number] = [-1, 0]
  /** in the order of the mailbox; those of this step stand in `#new` */
  readonly #held: Held[] = []
  #new: Held[] = []
  #behind = false
  /** messages that may wait for the application */
  readonly #most: number
  /** pushes of any kind that may wait: to be handled, to be shown, or for those before them */
  readonly #mostOpen: number
  readonly inbox: Inbox
  /** the repair of a hole is awaited */
  syncing = false

  /**
   * @param deviceId this client's name at the server.
   * @param journaling the way to the journal.
   * @param kept what an earlier process has kept.
   */
  constructor(
    config: CoreConfig,
    deviceId: string,
    fx: Effects,
    timers: Timers,
    journaling: Journaling,
    kept: JournalState | null,
  ) {
    this.#config = config
    this.#deviceId = deviceId
    this.#fx = fx
    this.#timers = timers
    this.#journaling = journaling
    this.inbox = new Inbox(config.knownPairs, journaling, kept)
    const limit = config.maxUnhandled
    // While an answer is awaited the socket is read, whatever waits for the application. Beyond this
    // the oldest go even with `whenFull: 'block'`.
    const hard = Math.max(limit * HARD_FACTOR, HARD_LIMIT)
    this.#most = config.whenFull === 'drop_oldest' ? limit : hard
    this.#mostOpen = 2 * hard
  }

  /** Logged in; `numbered`: the server granted `seq`. Did it resume where we were? */
  online(data: AuthData, numbered: boolean): boolean {
    const { epoch, resume, seq } = data
    this.#numbered = numbered && epoch !== null
    this.syncing = false
    if (!numbered || epoch === null) return false
    this.#ackedAt = -Infinity
    // never more than a quarter of what the server lets wait
    const unacked = data.limits?.unacked ?? Infinity
    this.#ackEvery = Math.min(ACK_EVERY, Math.max(1, Math.floor(unacked / 4)))
    if (resume === 'reset') {
      this.#reset(epoch, data.oldest || 1)
      return false
    }
    const another = this.inbox.epoch !== null && this.inbox.epoch !== epoch
    this.inbox.loggedIn(epoch, seq)
    if (another) {
      // a reset, whatever the server calls it
      this.#show({ type: 'MessagesMayBeMissing', oldest: (seq ?? 0) + 1 })
      return false
    }
    if (resume !== 'recovered') return false
    this.#fx.counters.resumed++
    return true
  }

  /** The link is gone. */
  offline(): void {
    this.#numbered = this.syncing = false
    this.#timers.cancel('SYNC')
  }

  // ------------------------------------------------------------ what comes in

  /** A push came in; one without a number is no less welcome. */
  pushed(push: Push): Trouble | null {
    const { inbox } = this
    const numbered = this.#numbered
    if (inbox.backlog >= this.#mostOpen) return Trouble.FLOOD
    const pair = pairOf(push)
    const said: [Pair | null, string] | null =
      push.type === 'ChatRedirectToUser' && !this.#ownCopy(push) ? [pair, push.content] : null
    let seen = inbox.lookAt(push.seq, said, numbered)
    if (seen === 'hole') {
      const trouble = this.#repair(push.seq!)
      if (trouble !== null || this.syncing) return trouble
      seen = inbox.lookAt(push.seq, said, numbered)
    }
    if (seen === 'repeat') {
      this.#fx.counters.duplicatesSuppressed++
      const msgId = 'msgId' in push ? push.msgId : null
      const fromUser = 'fromUser' in push ? push.fromUser : null
      this.#fx.notify({ type: 'DuplicateSuppressed', msgId, fromUser, seq: push.seq })
      return null
    }
    const delivery = inbox.newDelivery()
    const event = this.#event(push, delivery)
    const message = event?.type === 'MessageReceived' ? event : null
    inbox.deliver(delivery, push.seq, pair, message, numbered)
    if (event === null) {
      inbox.show(delivery, null)
      return null
    }
    if (message !== null) this.#fx.counters.received++
    this.#show(event, delivery)
    if (inbox.waiting > this.#most) this.#dropOldest()
    return null
  }

  /** Has a device of this user sent it? A message to oneself is one that was received. */
  #ownCopy({ seq, fromUser, toUser }: ChatRedirectToUser): boolean {
    const me = this.#config.userId
    return seq !== null && fromUser === me && toUser !== null && toUser !== me
  }

  /** What the application hears of a push; null: nothing. */
  #event(push: Push, delivery: number): Event | null {
    switch (push.type) {
      case 'ReceiptPush': {
        const { msgIds, user, status, sessionId, timestamp } = push
        return { type: 'ReceiptReceived', msgIds, user, status, sessionId, timestamp }
      }
      case 'ReadSync':
        return { type: 'ReadElsewhere', fromUser: push.fromUser, msgId: push.msgId }
      case 'Unknown':
        return { type: 'UnknownMessage', kind: push.kind }
    }
    const { content, fromUser, toUser, sessionId, msgId, timestamp } = push
    const messageType = push.messageType || 'text'
    if (this.#ownCopy(push)) {
      if (push.deviceId === this.#deviceId) return null
      return {
        type: 'OwnMessage',
        toUser: toUser!,
        content,
        sessionId,
        msgId,
        messageType,
        timestamp,
        seq: push.seq!,
      }
    }
    const seq = this.#numbered ? push.seq : null
    return {
      type: 'MessageReceived',
      delivery,
      content,
      fromUser,
      sessionId,
      msgId,
      messageType,
      timestamp,
      seq,
      redelivered: seq !== null && seq <= this.inbox.seenBefore,
      attempt: 1,
    }
  }

  // ------------------------------------------------------------ what the application is told

  /** Tell, as soon as the journal lets us, and in the order of the mailbox. */
  #show(event: Event, delivery = 0): void {
    const waits =
      event.type === 'MessageReceived' &&
      this.#journaling.on &&
      event.seq !== null &&
      !event.redelivered
    if (waits || this.#new.length || this.#held.length) {
      this.#new.push({ event, delivery, ticket: waits ? null : 0 })
    } else {
      this.#tell(event, delivery)
    }
  }

  /** Have it noted what this step shows, and tell what may be told by now. */
  settle(): void {
    const held = this.#held
    if (this.#new.length) {
      if (this.#new.some((one) => one.ticket === null)) {
        const ticket = this.inbox.offer()
        for (const one of this.#new) one.ticket = ticket
      }
      held.push(...this.#new)
      this.#new = []
    }
    while (held.length && (held[0]!.ticket ?? 0) <= this.#journaling.written) {
      const { event, delivery } = held.shift()!
      this.#tell(event, delivery)
    }
  }

  #tell(event: Event, delivery: number): void {
    const told = delivery ? this.inbox.show(delivery, event) : event
    if (told !== null) this.#fx.notify(told)
  }

  #dropOldest(): void {
    const dropped = this.inbox.dropOldest()
    if (dropped === null) return
    const [delivery, { pair, seq }] = dropped
    const [fromUser, msgId] = pair ?? [null, null]
    this.#fx.notify({ type: 'MessageDropped', delivery, fromUser, msgId, seq })
  }

  /** The application is done with a delivery. */
  handled(delivery: number): void {
    this.inbox.handle(delivery)
  }

  /** The application has failed on a delivery: once more, unless that was enough. */
  failed(delivery: number): void {
    const again = this.inbox.fail(delivery, this.#config.handlerAttempts)
    if (again !== null) {
      this.#fx.notify(again)
      return
    }
    const message = this.inbox.handle(delivery)
    if (message === null) return
    const { attempt: attempts, redelivered: _, ...rest } = message
    this.#fx.notify({ ...rest, type: 'MessageUndeliverable', attempts })
  }

  /** How much the application is not told of, as the journal has to know of it first. */
  get held(): number {
    return this.#held.length
  }

  /** Is the application so far behind that no more should be read? With hysteresis, told. */
  lookBehind(): boolean {
    const { whenFull, maxUnhandled: limit } = this.#config
    if (whenFull !== 'block') return false
    const unhandled = this.inbox.waiting
    const behind = unhandled > (this.#behind ? Math.floor(limit / 2) : limit - 1)
    if (behind !== this.#behind) {
      this.#fx.notify(behind ? { type: 'ReadingPaused', unhandled } : { type: 'ReadingResumed' })
    }
    return (this.#behind = behind)
  }

  // ------------------------------------------------------------ what the server is told

  /** Tell the server how far the application is, not for every message alone. */
  acknowledge(atOnce = false): void {
    const { inbox } = this
    if (!this.#numbered || inbox.handled <= inbox.acked) return
    const upto = inbox.toAcknowledge()
    const behind = upto - inbox.acked
    if (behind <= 0) return
    // at once when no other is being handled and the one before is not too new, else in steps, and
    // never much later; receipts and the like, for which nobody waits, with the next words
    const { now, envelopes } = this.#fx
    let at = now + QUIET_ACK_DELAY
    if (inbox.unsettled) at = now + ACK_DELAY
    else if (envelopes.length > 0) at = now
    else if (inbox.awaited > inbox.acked) at = this.#ackedAt + ACK_PACE
    if (atOnce || at <= now || behind >= this.#ackEvery) {
      inbox.acked = upto
      this.#ackedAt = now
      this.#fx.say({ type: 'ChatAck', seq: upto })
      this.#timers.cancel('ACK_OUT')
      return
    }
    const before = this.#timers.get('ACK_OUT')
    if (before === null || at < before) this.#timers.set('ACK_OUT', at)
  }

  // ------------------------------------------------------------ holes

  /** SYNC_RESPONSE came: the pushes go on behind the hole, or from the oldest held. */
  synced(response: SyncResponse): void {
    if (!this.syncing) return
    this.syncing = false
    this.#timers.cancel('SYNC')
    if (response.status === 'reset' && this.inbox.epoch !== null) {
      this.#reset(response.epoch || this.inbox.epoch, response.oldest)
    }
  }

  /** SYNC_REQUEST was not answered: no progress. */
  syncOverdue(): Trouble {
    this.#hole[1]++
    return Trouble.HOLE
  }

  /** A hole: ask once; without progress reconnect; then go on without (section 2). */
  #repair(seq: number): Trouble | null {
    if (this.syncing) return null
    const at = this.inbox.received ?? 0
    const times = this.#hole[0] === at ? this.#hole[1] + 1 : 1
    this.#hole = [at, times]
    if (times === 1) {
      this.syncing = true
      this.#timers.set('SYNC', this.#fx.now + this.#config.timeouts.ack)
      this.#fx.say({ type: 'SyncRequest', after: at })
      return null
    }
    if (times === 2) return Trouble.HOLE
    this.inbox.skipTo(seq)
    this.#show({ type: 'MessagesMayBeMissing', oldest: seq })
    return null
  }

  #reset(epoch: string, oldest: number): void {
    this.inbox.reset(epoch, oldest)
    this.#show({ type: 'MessagesMayBeMissing', oldest })
  }
}

/** By which the server knows the push at a seq; also of an own copy. */
function pairOf(push: Push): Pair | null {
  if (push.type !== 'ChatRedirectToUser') return null
  return push.fromUser === null || push.msgId === null ? null : [push.fromUser, push.msgId]
}
