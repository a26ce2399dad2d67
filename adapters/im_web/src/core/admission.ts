/** Which messages get into the outbox: what no server takes, keys, bounds, and the line outside. */

import { DRAINED, FILLING, KEY_LENGTH, MAX_TTL } from '../generated/tables'
import type { CoreConfig } from './config'
import type { Effects } from './effects'
import { IMError, LocalProtocolError, ValueError, isPrintable } from './errors'
import type { Send } from './inputs'
import type { Keys } from './keys'
import { Outgoing } from './message'
import type { Outbox } from './outgoing'
import { Queue } from './queue'
import { longerThan } from './text'
import { PRIORITIES } from './turns'
import * as validation from './validation'
import type { UserId } from './wire/types'

/** The door of the outbox. */
export class Admission {
  readonly #config: CoreConfig
  readonly #fx: Effects
  readonly #outbox: Outbox
  readonly #keys: Keys
  #filling = false
  /** the most UTF-16 units of a message that the server takes */
  contentUnits: number
  /** by ref, messages that wait for room. They have no msgId yet */
  readonly line = new Queue<number, Outgoing>()

  constructor(config: CoreConfig, fx: Effects, outbox: Outbox, keys: Keys) {
    this.#config = config
    this.#fx = fx
    this.#outbox = outbox
    this.#keys = keys
    this.contentUnits = config.contentUnits
  }

  // ------------------------------------------------------------ what is wanted

  /**
   * The message that is to be sent; null: it has been taken before, under its key.
   *
   * @throws IMError: MESSAGE_FORMAT_ERROR for what no server takes, and for what makes no sense.
   * @throws LocalProtocolError: the ref is in use, or the key for another message.
   */
  lookAt(send: Send): Outgoing | null {
    const { ref, content, messageType = 'text', priority = 'normal' } = send
    const { sessionId = null, key = null, ttl = null } = send
    if (this.#find(ref)) throw new LocalProtocolError(`Send: ref ${ref} is in use`)
    let toUser: UserId
    try {
      toUser = validation.userId(send.toUser)
      validation.messageType(messageType)
      if (!PRIORITIES.includes(priority)) {
        throw new ValueError(`priority is one of ${PRIORITIES.join(', ')}`)
      }
      if (sessionId !== null) validation.sessionId(sessionId)
      if (key !== null) checkKey(key)
      if (ttl !== null) checkTtl(ttl)
      validation.content(content, this.contentUnits)
    } catch (error) {
      if (!(error instanceof ValueError)) throw error
      throw new IMError('MESSAGE_FORMAT_ERROR', error.message)
    }
    const known = key === null ? null : this.#keys.refOf(key, this.#fx.wallMs)
    if (known !== null) {
      const other = this.#find(known)!
      if (
        other.toUser === toUser &&
        other.content === content &&
        other.messageType === messageType
      ) {
        return null
      }
      throw new LocalProtocolError(
        `Send: the key of message ${known} is used for another recipient or content`,
      )
    }
    const life = ttl ?? this.#config.timeToLive
    const expiresAt = life === null ? null : this.#fx.wallMs + Math.ceil(life * 1000)
    return new Outgoing({
      ref,
      toUser,
      content,
      messageType,
      sessionId,
      priority,
      key,
      expiresAt,
    })
  }

  #find(ref: number) {
    return this.#outbox.get(ref) ?? this.line.get(ref) ?? this.#keys.ended(ref)
  }

  // ------------------------------------------------------------ room

  /**
   * What has to go so that the message gets in now; null: it can't.
   *
   * @throws IMError: QUEUE_FULL: it never can.
   */
  makeRoom(message: Outgoing): Outgoing[] | null {
    const most = this.#config.maxQueueBytes
    if (message.size > most) {
      throw new IMError(
        'QUEUE_FULL',
        `the message alone has more bytes than may wait (${most}, max_queue_bytes)`,
        { retryable: false },
      )
    }
    if (this.line.size) return null
    let [count, size] = this.#excess(message)
    const dropped: Outgoing[] = []
    if (count <= 0 && size <= 0) return dropped
    for (const candidate of this.#mayBeDropped(message)) {
      dropped.push(candidate)
      count--
      size -= candidate.size
      if (count <= 0 && size <= 0) return dropped
    }
    return null
  }

  /** Why a message does not get in. */
  full(): IMError {
    const { size, bytes } = this.#outbox
    return new IMError(
      'QUEUE_FULL',
      `${size} messages wait already (max_queue), ${bytes} bytes ` +
        '(max_queue_bytes); wait for some to end',
    )
  }

  /** It stands in line until there is room. */
  wait(message: Outgoing): void {
    this.line.set(message.ref, message)
  }

  /** The first of the line, if there is room for it now: it leaves the line. */
  nextInLine(): Outgoing | null {
    const ref = this.line.first()
    if (ref === undefined) return null
    const message = this.line.get(ref)!
    if (Math.max(...this.#excess(message)) > 0) return null
    this.line.delete(ref)
    return message
  }

  /** How many messages, and how many bytes, are too much with this one. */
  #excess(message: Outgoing): [number, number] {
    const { maxQueue, maxQueueBytes } = this.#config
    const outbox = this.#outbox
    return [outbox.size + 1 - maxQueue, outbox.bytes + message.size - maxQueueBytes]
  }

  /** What may be dropped for it, in that order: nothing that hurries more, if that counts. */
  #mayBeDropped(message: Outgoing): Iterable<Outgoing> {
    const outbox = this.#outbox
    switch (this.#config.whenQueueFull) {
      case 'drop_oldest':
        return byPlace(PRIORITIES.map((name) => outbox.untouched([name])))
      case 'drop_lowest_priority': {
        const notAbove = PRIORITIES.slice(PRIORITIES.indexOf(message.priority))
        return outbox.untouched(notAbove.toReversed())
      }
      default:
        return []
    }
  }

  // ------------------------------------------------------------ what is told

  /** Tell when the outbox gets full, and when it is so no more. */
  tell(): void {
    const { maxQueue, maxQueueBytes } = this.#config
    const { size: messages, bytes } = this.#outbox
    const above = (part: number) => messages >= part * maxQueue || bytes >= part * maxQueueBytes
    if (above(this.#filling ? DRAINED : FILLING) === this.#filling) return
    this.#filling = !this.#filling
    this.#fx.notify({ type: this.#filling ? 'OutboxFilling' : 'OutboxDrained', messages, bytes })
  }
}

/** Rings that are in order, as one. */
function* byPlace(rings: Iterator<Outgoing>[]): Generator<Outgoing> {
  const heads = rings.map((ring) => ({ ring, next: ring.next() }))
  for (;;) {
    let first: (typeof heads)[number] | null = null
    for (const head of heads) {
      if (head.next.done) continue
      if (first === null || head.next.value.place < first.next.value.place) first = head
    }
    if (first === null) return
    yield first.next.value
    first.next = first.ring.next()
  }
}

function checkKey(key: unknown): void {
  const fits = typeof key === 'string' && key !== '' && isPrintable(key)
  if (!fits || longerThan(key, KEY_LENGTH)) {
    throw new ValueError(`key has 1 to ${KEY_LENGTH} printable characters`)
  }
}

function checkTtl(ttl: unknown): void {
  if (typeof ttl !== 'number' || !(ttl > 0 && ttl <= MAX_TTL)) {
    throw new ValueError('ttl is a number of seconds, above 0 and up to 1e+09')
  }
}
