/**
 * Received messages that the application is not done with.
 *
 * A message stays here until it is handled, or the engine has dropped it. The engine acknowledges by
 * the same rule, so whatever is here would come again after a crash.
 */

import type { CoreInput, MessageReceived, MessageUndeliverable } from '../generated/types'
import type { ChatReceivedMessage } from '../types'
import type { Call, Callbacks } from './callbacks'

/** 'offered': it waits for, or is in, the callback; 'failed': the engine offers it again. */
type Stage = 'free' | 'offered' | 'failed'

interface Entry {
  event: MessageReceived
  stage: Stage
  call: Call | null
}

export class Inbox {
  readonly #entries = new Map<number, Entry>()

  /**
   * @param feed - tells the engine what is taken, and what is handled.
   * @param flowing - can messages still come?
   * @param manual - a message is acknowledged only when the application says so.
   */
  constructor(
    readonly callbacks: Callbacks,
    readonly feed: (input: CoreInput) => void,
    readonly flowing: () => boolean,
    readonly manual: boolean,
  ) {}

  /** A message came in, or comes again because the application has failed on it. */
  received(event: MessageReceived): void {
    const entry = this.#entries.get(event.delivery)
    if (entry) Object.assign(entry, { event, stage: 'free' })
    else this.#entries.set(event.delivery, { event, stage: 'free', call: null })
    this.offer()
  }

  /** The engine has dropped it, or given it up: nobody gets it any more. */
  dropped(delivery: number): void {
    const call = this.#entries.get(delivery)?.call
    this.#entries.delete(delivery)
    if (call) this.callbacks.withdraw(call)
  }

  /** Give the callback, if there is one, what nobody has. */
  offer(): void {
    if (!this.callbacks.has('messageReceived') || !this.flowing()) return
    const free = [...this.#entries.values()].filter(({ stage }) => stage === 'free')
    free.sort((a, b) => a.event.delivery - b.event.delivery)
    for (const entry of free) if (entry.event.attempt === 1) this.#put(entry, false)
    // what it has failed on comes before what came later: order is kept as far as it can be
    for (const entry of free.reverse()) if (entry.event.attempt > 1) this.#put(entry, true)
  }

  /** Nothing is offered any more: another tab will be. */
  close(): void {
    for (const delivery of [...this.#entries.keys()]) this.dropped(delivery)
  }

  #put(entry: Entry, first: boolean): void {
    const { event } = entry
    const message = received(event, () => this.#settle(event, true))
    entry.stage = 'offered'
    entry.call = {
      name: 'messageReceived',
      args: [message],
      wanted: () => {
        // without a connection only what the server would not send again
        if (event.seq !== null && !this.flowing()) return false
        this.feed({ type: 'MessageTaken', delivery: event.delivery })
        return true
      },
      then: (outcome) => {
        if (outcome === 'threw') this.#settle(event, false)
        else if (outcome === 'returned' && !this.manual) this.#settle(event, true)
        else if (outcome === 'passed' && this.#has(event)) entry.stage = 'free'
      },
    }
    this.callbacks.put(entry.call, first)
  }

  /** The application is done with this one, or has failed on it; what it did before counts. */
  #settle(event: MessageReceived, ok: boolean): void {
    if (!this.#has(event)) return
    if (ok) this.#entries.delete(event.delivery)
    else (this.#entries.get(event.delivery) as Entry).stage = 'failed'
    this.feed({ type: 'MessageHandled', delivery: event.delivery, ok })
  }

  /** Is this very one here: neither handled nor failed on, nor offered again since? */
  #has(event: MessageReceived): boolean {
    const entry = this.#entries.get(event.delivery)
    return entry?.event === event && entry.stage !== 'failed'
  }
}

/** A message as the application gets it. */
export function received(
  event: MessageReceived | MessageUndeliverable,
  ack: () => void,
): ChatReceivedMessage {
  const again = event.type === 'MessageUndeliverable'
  return {
    content: event.content,
    fromUser: event.fromUser ?? undefined,
    msgId: event.msgId ?? undefined,
    timestamp: event.timestamp ?? undefined,
    sessionId: event.sessionId ?? undefined,
    messageType: event.messageType,
    seq: event.seq ?? undefined,
    redelivered: again || event.redelivered,
    attempt: again ? event.attempts : event.attempt,
    ack,
  }
}
