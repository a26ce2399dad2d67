/**
 * The life of messages beside their way: what this user has read, and who is writing or there.
 *
 * A read mark is kept until the server has answered it, and said again after each log-in. Typing is
 * of the moment: what can't be told at once, or after a second, is not told.
 */

import { MOST_MARKS, TYPING_PACE } from '../generated/tables'
import type { Effects } from './effects'
import { IMError, LocalProtocolError } from './errors'
import type { MarkRead, SetTyping } from './inputs'
import type { Timers } from './timers'
import * as validation from './validation'
import { outcome } from './wire/codes'
import type { Incoming } from './wire/dialect'
import type { ChatReadReceiptResponse } from './wire/messages'
import { compareIds } from './wire/types'
import type { Id, UserId } from './wire/types'

/** What was read of a user's messages: all up to `msgId`. `said`: over this link. */
interface Mark {
  msgId: Id
  said: boolean
}

/** A conversation in which TYPING was just said. */
interface Rest {
  /** when the next may be said */
  until: number
  /** the last one */
  said: boolean
  /** what to say then; null: nothing */
  wanted: boolean | null
}

/** Read marks, typing and presence of a client. */
export class Life {
  readonly #fx: Effects
  readonly #timers: Timers
  #online = false
  #typing = false
  /** by who wrote */
  readonly #marks = new Map<UserId, Mark>()
  /** by conversation, the earliest first */
  readonly #resting = new Map<UserId, Rest>()

  constructor(fx: Effects, timers: Timers) {
    this.#fx = fx
    this.#timers = timers
  }

  /** Logged in; `typing`: the server granted it. */
  online(typing: boolean): void {
    this.#online = true
    this.#typing = typing
  }

  /** The link is gone. */
  offline(): void {
    this.#online = this.#typing = false
    for (const mark of this.#marks.values()) mark.said = false
    this.#resting.clear()
    this.#timers.cancel('TYPING')
  }

  // ------------------------------------------------------------ what this user has read

  /**
   * Keep a read mark, in place of an earlier one of the same user.
   *
   * @throws LocalProtocolError: no such user or message can be, or the dialect has no read marks.
   */
  markRead(wish: MarkRead): void {
    const { dialect } = this.#fx
    if (!dialect.extensions) {
      // it has no more than log-in, heartbeat and messages
      throw new LocalProtocolError(`MarkRead: not in the dialect '${dialect.name}'`)
    }
    const user = checked('MarkRead', validation.userId, wish.fromUser)
    const msgId = checked('MarkRead', validation.msgId, wish.msgId)
    const known = this.#marks.get(user)
    if (known && compareIds(known.msgId, msgId) >= 0) return
    this.#marks.delete(user)
    this.#marks.set(user, { msgId, said: false })
    if (this.#marks.size > MOST_MARKS) {
      const [oldest] = this.#marks.keys()
      this.#refused(oldest!, 'QUEUE_FULL', `more than ${MOST_MARKS} read marks wait for the server`)
    }
  }

  /** Forget a mark, and say why. */
  #refused(
    fromUser: UserId,
    code: 'QUEUE_FULL' | 'MESSAGE_SEND_FAILED',
    text: string,
    server?: { serverCode: number | null; serverText: string | null },
  ): void {
    const { msgId } = this.#marks.get(fromUser)!
    this.#marks.delete(fromUser)
    const error = new IMError(code, text, server)
    this.#fx.notify({ type: 'ReadRefused', fromUser, msgId, error })
  }

  /** Say what was not said on this link; `blocked`: the transport takes no more for now. */
  pump(blocked: boolean): void {
    if (!this.#online || blocked) return
    for (const [fromUser, mark] of this.#marks) {
      if (!mark.said) {
        mark.said = true
        this.#fx.say({ type: 'ChatReadReceipt', msgId: mark.msgId, fromUser })
      }
    }
  }

  /** It answers the oldest mark of that msgId; one that was replaced is not waited for. */
  #answered({ msgId, code, message }: ChatReadReceiptResponse): void {
    for (const [user, mark] of this.#marks) {
      if (!mark.said || mark.msgId !== msgId) continue
      if (outcome(code) === 'success') {
        this.#marks.delete(user)
      } else {
        const server = { serverCode: code, serverText: message }
        this.#refused(user, 'MESSAGE_SEND_FAILED', 'the server refused the read mark', server)
      }
      return
    }
  }

  // ------------------------------------------------------------ who is writing

  /**
   * Say it, if the server takes it: at once, or, if it has changed, when the pace allows.
   *
   * @throws LocalProtocolError: no such user can be.
   */
  setTyping({ toUser, active = true }: SetTyping): void {
    const user = checked('SetTyping', validation.userId, toUser)
    if (!this.#typing) return
    this.typingDue()
    const rest = this.#resting.get(user)
    if (!rest) {
      this.#sayTyping(user, active)
      return
    }
    rest.wanted = active !== rest.said ? active : null
    this.#watch()
  }

  /** Conversations have rested: say what is still to be said. */
  typingDue(): void {
    for (const [user, rest] of [...this.#resting]) {
      if (rest.until > this.#fx.now) break
      this.#resting.delete(user)
      if (rest.wanted !== null) this.#sayTyping(user, rest.wanted)
    }
    this.#watch()
  }

  #sayTyping(toUser: UserId, active: boolean): void {
    this.#fx.say({ type: 'Typing', toUser, active })
    this.#resting.set(toUser, { until: this.#fx.now + TYPING_PACE, said: active, wanted: null })
  }

  #watch(): void {
    for (const rest of this.#resting.values()) {
      if (rest.wanted !== null) {
        this.#timers.set('TYPING', rest.until)
        return
      }
    }
    this.#timers.cancel('TYPING')
  }

  // ------------------------------------------------------------ what comes in

  /** The server said this. */
  heard(message: Incoming): void {
    if (message.type === 'ChatReadReceiptResponse') {
      this.#answered(message)
    } else if (message.type === 'TypingPush') {
      const { fromUser, active } = message
      this.#fx.notify({ type: 'TypingChanged', fromUser, active })
    } else if (message.type === 'Presence') {
      const { user, online, lastSeen } = message
      this.#fx.notify({ type: 'PresenceChanged', user, online, lastSeen })
    }
  }
}

function checked<T>(input: string, rule: (value: T) => T, value: T): T {
  try {
    return rule(value)
  } catch (error) {
    throw new LocalProtocolError(`${input}: ${(error as Error).message}`)
  }
}
