/** The messages on their way out that this tab knows of: its own, and those of the other tabs. */

import { IMError } from '../core/errors'
import type { Id, ReceiptReceived } from '../generated/types'
import type { ChatSendToOneRequest } from '../types'
import { Sent, type SentData, statusOf } from './sent'

/** So many ended messages still hear of their receipts. */
const NUMBERED = 1000

/** So many ended messages a tab that comes late is told of. */
const RECENT = 100

/** A message that has a name before it is sent. */
export type Keyed = ChatSendToOneRequest & { key: string }

export class Outbox {
  readonly #open = new Map<string, Sent>()
  /** by the number that a server knows it by, also those that have their end */
  readonly #numbered = new Map<Id, Sent>()
  /** what this tab has asked another one to send */
  readonly #asked = new Map<string, Keyed>()

  /**
   * @param withdraw - does what `cancel` of a message says.
   * @param changed - told of every change.
   */
  constructor(
    readonly withdraw: (sent: Sent) => boolean,
    readonly changed: () => void,
  ) {}

  /** Those without an end, in the order they were given. */
  all(): Sent[] {
    return [...this.#open.values()]
  }

  /** The one of that name, if it has no end. */
  get(key: string): Sent | undefined {
    return this.#open.get(key)
  }

  /** What a tab that comes late is to know: those without an end, and the last that have one. */
  recent(): SentData[] {
    const ended = [...this.#numbered.values()].filter(({ done }) => done)
    return [...ended.slice(-RECENT), ...this.#open.values()].map((sent) => sent.data())
  }

  /** Another tab knows this of a message; one that has its end is news only where it had none. */
  heard(data: SentData): void {
    if (data.status === 'queued' || data.status === 'in_flight' || this.#open.has(data.key)) {
      this.put(data)
    }
  }

  /** Take this in: of a message that is known, or of a new one. */
  put(data: SentData): Sent {
    const sent = this.#open.get(data.key) ?? new Sent(data, this.withdraw)
    this.#open.set(data.key, sent)
    this.update(sent, data)
    return sent
  }

  /** This is known of it now. */
  update(sent: Sent, data: Partial<SentData>): void {
    sent.update(data)
    if (sent.msgId !== null) {
      this.#numbered.delete(sent.msgId)
      this.#numbered.set(sent.msgId, sent)
      const [oldest] = this.#numbered.keys()
      if (this.#numbered.size > NUMBERED && oldest !== undefined) this.#numbered.delete(oldest)
    }
    if (sent.done) {
      this.#open.delete(sent.key)
      this.#asked.delete(sent.key)
    }
    this.changed()
  }

  /** Another tab was asked to send it, and can't. */
  refused(key: string, error: unknown): void {
    const sent = this.#open.get(key)
    if (!sent) return
    const text = error instanceof Error ? error.message : ''
    const own = error instanceof IMError ? error : new IMError('MESSAGE_SEND_FAILED', text)
    this.update(sent, { status: statusOf(own), error: own })
  }

  /** Forget it: it was never taken. */
  drop(sent: Sent): void {
    this.#open.delete(sent.key)
    this.#asked.delete(sent.key)
    this.changed()
  }

  /** Messages were delivered, or read. */
  receipt({ msgIds, user, status }: ReceiptReceived): void {
    for (const msgId of msgIds) {
      const sent = this.#numbered.get(msgId)
      // another device of this user may have drawn the same number for another recipient
      if (!sent || String(sent.toUserId) !== String(user) || sent.receipt === 'read') continue
      sent.update({ receipt: status })
      this.changed()
    }
  }

  /** Another tab was asked to send it. */
  ask(request: Keyed): void {
    this.#asked.set(request.key, request)
  }

  /**
   * Another tab has the connection now, and knows these.
   *
   * @param known - the names of all that it will bring to an end.
   * @param kept - does the storage outlive a tab?
   * @returns what it is to be asked to send, as nobody knows whether the last one has.
   */
  takenOver(known: Set<string>, kept: boolean): Keyed[] {
    const again: Keyed[] = []
    for (const sent of this.all()) {
      const request = this.#asked.get(sent.key)
      if (request && (kept || sent.status === 'queued')) again.push(request)
      else if (!known.has(sent.key)) {
        const text =
          'the tab that had the connection is gone, and what became of the message with it'
        this.update(sent, { status: 'in_doubt', error: new IMError('IN_DOUBT', text) })
      }
    }
    return again
  }

  /** Nobody waits any more; all stay queued. */
  giveUp(error: IMError): void {
    for (const sent of this.all()) sent.giveUp(error)
  }
}
