/**
 * Asking the server what became of messages that may have arrived (protocol.md section 2, `status`).
 * Its answer after a log-in is final.
 */

import { BYTES_PER_ID, MAX_IDS } from '../generated/tables'
import { Trouble } from './effects'
import type { Effects } from './effects'
import type { Outgoing } from './message'
import type { Timers } from './timers'
import type { MessageStatusResponse, StatusItem } from './wire/extensions'
import type { Id, UserId } from './wire/types'

/** The questions of one log-in, one message at a time. */
export class Status {
  readonly #fx: Effects
  readonly #timers: Timers
  readonly #timeout: number
  #most = MAX_IDS
  #probed = false
  /** by msgId, what is not answered, asked already or not */
  #open = new Map<Id, Outgoing>()
  /** the msgIds of the question that is out */
  #asked: Id[] = []

  /**
   * @param fx takes what is said.
   * @param timers for the answer.
   * @param timeout seconds until an answer is overdue.
   */
  constructor(fx: Effects, timers: Timers, timeout: number) {
    this.#fx = fx
    this.#timers = timers
    this.#timeout = timeout
  }

  /** A log-in: these are to be asked for. */
  begin(messages: Outgoing[], frameBytes: number): void {
    this.#most = Math.max(1, Math.min(MAX_IDS, Math.floor(frameBytes / BYTES_PER_ID)))
    this.#open = new Map(messages.map((message) => [message.msgId, message]))
  }

  /** The link is gone, and the questions with it. */
  stop(): void {
    this.#open.clear()
    this.#asked = []
    this.#timers.cancel('STATUS')
  }

  /** Whose conversations wait for an answer. */
  get users(): Set<UserId> {
    return new Set([...this.#open.values()].map((message) => message.toUser))
  }

  /** Is the server being asked for it? */
  asksFor(message: Outgoing): boolean {
    return this.#open.has(message.msgId)
  }

  /** Ask, if there is something to ask and no question is out. */
  pump(): void {
    if (this.#asked.length || !this.#open.size) return
    this.#asked = [...this.#open.keys()].slice(0, this.#most)
    this.#probed = false
    this.#timers.set('STATUS', this.#fx.now + this.#timeout)
    this.#fx.say({ type: 'MessageStatusRequest', msgIds: this.#asked })
  }

  /** The answer: what is said of each message that was asked for; null: nothing is. */
  answered(response: MessageStatusResponse): [Outgoing, StatusItem | null][] {
    const items = new Map(response.items.map((item) => [item.msgId, item]))
    const asked = this.#asked
    this.#asked = []
    if (asked.length) this.#timers.cancel('STATUS')
    return asked.map((msgId) => {
      const message = this.#open.get(msgId)!
      this.#open.delete(msgId)
      return [message, items.get(msgId) ?? null]
    })
  }

  /** No answer for too long: probe first, then drop the link. */
  overdue(probeTimeout: number, late: boolean): Trouble {
    if (!late && this.#probed) return Trouble.UNANSWERED
    this.#probed = true
    this.#timers.set('STATUS', this.#fx.now + probeTimeout)
    return Trouble.PROBE
  }
}
