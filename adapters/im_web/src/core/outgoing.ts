/**
 * Messages on their way out: order, window, and what is known of each.
 *
 * The unit of order is the conversation, that is the recipient. A message leaves here in one of five
 * ways: accepted, rejected, cancelled, expired, or in doubt.
 */

import type { Outgoing } from './message'
import { Queue } from './queue'
import { PRIORITIES, Turns } from './turns'
import type { Priority } from './turns'
import type { Id, UserId } from './wire/types'

class Conversation {
  readonly waiting: Outgoing[] = []
  /** of those that wait, by priority */
  readonly counts = byPriority(() => 0)
  inFlight = 0
  /** with this priority it stands among the conversations that may send */
  listed: Priority | null = null

  /** The highest of what waits: a message can't go before those ahead of it, so they all hurry. */
  get priority(): Priority {
    return PRIORITIES.find((name) => this.counts[name]) ?? 'low'
  }

  put(place: number, message: Outgoing): void {
    this.waiting.splice(place, 0, message)
    this.counts[message.priority]++
  }

  remove(message: Outgoing): void {
    this.waiting.splice(this.waiting.indexOf(message), 1)
    this.counts[message.priority]--
  }
}

/** All messages without an end, in conversations that take turns. */
export class Outbox {
  readonly #byRef = new Map<number, Outgoing>()
  /** what no transport ever had, the oldest first */
  readonly #untouched = byPriority(() => new Queue<number, Outgoing>())
  readonly #conversations = new Map<UserId, Conversation>()
  readonly #turns = new Turns()
  /** by msgId, in the order they were handed over */
  #inFlight = new Queue<Id, Outgoing>()
  /**
   * by ref, in the order of their turns: they have a place in the window, and are handed over when
   * the journal has that
   */
  readonly #turnHasCome = new Map<number, Outgoing>()
  /** conversations that wait for a retry's time */
  readonly #resting = new Map<UserId, number>()
  /** conversations that wait until the server has said what became of what was sent before */
  #held: ReadonlySet<UserId> = new Set()
  #places = 0
  /** UTF-8 bytes of all contents */
  bytes = 0
  /** 1 against a plain server; null: no limit per conversation */
  perConversation: number | null = 1

  /** How many there are. */
  get size(): number {
    return this.#byRef.size
  }

  /** How many were handed over on this link and are unanswered. */
  get inFlight(): number {
    return this.#inFlight.size
  }

  /** The message of that ref, if it has no end yet. */
  get(ref: number): Outgoing | undefined {
    return this.#byRef.get(ref)
  }

  /** The message in flight with that msgId. */
  unanswered(msgId: Id): Outgoing | undefined {
    return this.#inFlight.get(msgId)
  }

  /** What is in flight, the oldest first. */
  allUnanswered(): Outgoing[] {
    return [...this.#inFlight.values()]
  }

  /** What may have arrived over a link that is gone, and waits to go out again. */
  allUnsure(): Outgoing[] {
    return [...this.#byRef.values()].filter((m) => m.unsure && m.state === 'unconfirmed')
  }

  /** The message that has been in flight longest. */
  get oldest(): Outgoing | undefined {
    const first = this.#inFlight.first()
    return first === undefined ? first : this.#inFlight.get(first)
  }

  /** Those whose turn has come, in that order. */
  toHandOver(): Outgoing[] {
    return [...this.#turnHasCome.values()]
  }

  /** Has its turn come? */
  hasTurn(message: Outgoing): boolean {
    return this.#turnHasCome.has(message.ref)
  }

  /** Does that conversation wait for the status of what was sent before? */
  isHeld(user: UserId): boolean {
    return this.#held.has(user)
  }

  /** Of these priorities, one after the other: what no transport ever had, oldest first. */
  *untouched(priorities: readonly Priority[]): Generator<Outgoing> {
    for (const name of priorities) {
      const queue = this.#untouched[name]
      const first = queue.first()
      if (first === undefined) continue
      yield queue.get(first)! // mostly that one is enough
      for (const message of queue.values()) if (message.ref !== first) yield message
    }
  }

  /** How many of its conversation go before it. */
  aheadOf(message: Outgoing): number {
    if (message.state === 'in_flight' || this.hasTurn(message)) return 0
    const conversation = this.#conversations.get(message.toUser)!
    return conversation.inFlight + conversation.waiting.indexOf(message)
  }

  /** Take a new message, behind the others of its conversation. */
  add(message: Outgoing): void {
    message.place = ++this.#places
    this.#byRef.set(message.ref, message)
    this.bytes += message.size
    if (message.handedAt === null) this.#untouched[message.priority].set(message.ref, message)
    let conversation = this.#conversations.get(message.toUser)
    if (!conversation) this.#conversations.set(message.toUser, (conversation = new Conversation()))
    conversation.put(conversation.waiting.length, message)
    this.#list(message.toUser)
  }

  /**
   * The next message whose turn it is; null when the window is full or none may go.
   *
   * It has its place in the window now: follow with `handOver`, at once or later.
   */
  take(window: number): Outgoing | null {
    if (this.#inFlight.size + this.#turnHasCome.size >= window || !this.#turns.length) return null
    const user = this.#turns.next()
    const conversation = this.#conversations.get(user)!
    conversation.listed = null
    const message = conversation.waiting.shift()!
    conversation.counts[message.priority]--
    conversation.inFlight++
    this.#turnHasCome.set(message.ref, message)
    this.#untouched[message.priority].delete(message.ref)
    this.#list(user)
    return message
  }

  /** A message whose turn has come goes to the transport. */
  handOver(message: Outgoing, now: number): void {
    message.to('handed_over')
    this.#turnHasCome.delete(message.ref)
    message.sends++
    message.sentAt = now
    message.firstAt ??= now
    message.notBefore = null
    this.#inFlight.set(message.msgId, message)
  }

  /** It has its end: `acked`, `found`, `refused`, `cancel`, `expire` or `certainty_lost`. */
  finish(message: Outgoing, event: string): void {
    const was = message.state
    message.to(event)
    const user = message.toUser
    const conversation = this.#conversations.get(user)!
    if (was === 'in_flight') this.#land(message)
    else if (this.#turnHasCome.delete(message.ref)) conversation.inFlight--
    else conversation.remove(message)
    this.#byRef.delete(message.ref)
    this.bytes -= message.size
    this.#untouched[message.priority].delete(message.ref)
    if (conversation.waiting.length || conversation.inFlight) {
      this.#list(user)
      return
    }
    this.#conversations.delete(user)
    this.#resting.delete(user)
    if (conversation.listed !== null) this.#turns.leave(user, conversation.listed)
  }

  /** Back to the front of its conversation, which rests until `notBefore` if there is one. */
  retry(message: Outgoing, notBefore: number | null): void {
    message.to('retry_asked')
    message.unsure = false
    this.#land(message)
    message.notBefore = notBefore
    this.#putBack(message)
    if (notBefore !== null) this.#resting.set(message.toUser, notBefore)
    this.#list(message.toUser)
  }

  /** Back to the front under a new msgId (protocol.md section 2, code 40900). */
  renumber(message: Outgoing, msgId: number): void {
    message.to('renumbered')
    message.unsure = false
    this.#land(message)
    message.renumbered = true
    message.msgId = msgId
    message.dirty = true
    this.#putBack(message)
    this.#list(message.toUser)
  }

  /** All that was in flight, or about to be, goes back to the front of its conversation, in order. */
  linkLost(): void {
    const lost = this.allUnanswered()
    for (const message of lost) {
      message.to('link_lost')
      message.unsure = true
    }
    const returned = [...lost, ...this.toHandOver()]
    this.#inFlight = new Queue()
    this.#turnHasCome.clear()
    for (const message of returned.toReversed()) {
      this.#conversations.get(message.toUser)!.inFlight = 0
      this.#putBack(message)
    }
    for (const user of new Set(returned.map((message) => message.toUser))) this.#list(user)
  }

  /** These conversations, and no others, wait for the status of what was sent before. */
  hold(users: ReadonlySet<UserId>): void {
    const before = this.#held
    this.#held = users
    if (!before.size && !users.size) return
    for (const user of this.#conversations.keys()) {
      if (before.has(user) !== users.has(user)) this.#list(user)
    }
  }

  /** Conversations whose rest is over may send again. */
  wake(now: number): void {
    for (const [user, at] of this.#resting) {
      if (at > now) continue
      this.#resting.delete(user)
      this.#list(user)
    }
  }

  /** When the first rest is over. */
  nextWake(): number | null {
    let first: number | null = null
    for (const at of this.#resting.values()) if (first === null || at < first) first = at
    return first
  }

  /** Look at every conversation again: `perConversation` has changed. */
  relist(): void {
    for (const user of this.#conversations.keys()) this.#list(user)
  }

  /** Where it was among the others of its conversation: at the front, or nearly so. */
  #putBack(message: Outgoing): void {
    const conversation = this.#conversations.get(message.toUser)!
    const behind = conversation.waiting.findIndex((other) => other.place > message.place)
    conversation.put(behind < 0 ? conversation.waiting.length : behind, message)
  }

  #land(message: Outgoing): void {
    this.#inFlight.delete(message.msgId)
    this.#conversations.get(message.toUser)!.inFlight--
  }

  #list(user: UserId): void {
    const conversation = this.#conversations.get(user)!
    const limit = this.perConversation
    const may =
      conversation.waiting.length > 0 &&
      !this.#resting.has(user) &&
      !this.#held.has(user) &&
      (limit === null || conversation.inFlight < limit)
    const wanted = may ? conversation.priority : null
    if (wanted === conversation.listed) return
    if (conversation.listed !== null) this.#turns.leave(user, conversation.listed)
    if (wanted !== null) this.#turns.join(user, wanted)
    conversation.listed = wanted
  }
}

function byPriority<T>(make: () => T): Record<Priority, T> {
  return { high: make(), normal: make(), low: make() }
}
