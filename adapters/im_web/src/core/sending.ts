/**
 * What becomes of the messages that the application sends: window, answers, timeouts, doubt.
 *
 * Against a server that knows the identity of a send (it echoes our deviceId), messages are pipelined
 * and sent again, in order, on the next connection: exactly once. Against a plain server there is at
 * most one unanswered message per recipient, and what the end of a link left unanswered is sent again
 * (at least once) or ends IN_DOUBT (at most once), as configured.
 */

import { baseDelay } from './backoff'
import { Trouble } from './effects'
import { Ends } from './ends'
import { IMError, LocalProtocolError } from './errors'
import type { Send } from './inputs'
import type { OutgoingRecord } from './journal'
import type { Outgoing } from './message'
import type { Blame } from './wire/closes'
import { outcome } from './wire/codes'
import type { MessageStatusResponse } from './wire/extensions'
import { SERVER_LIMITS } from './wire/messages'
import type { ChatAnswer, ChatError, ChatSendResponse, ServerLimits } from './wire/messages'
import type { Id, UserId } from './wire/types'

/** The outgoing half of a client. */
export class Sending extends Ends {
  /** the message whose answer has a deadline, and how often it was sent by then */
  #watched: { ref: number; sends: number } | null = null
  /** … is overdue, and the peer was asked whether it is there */
  #probed = false

  // ------------------------------------------------------------ the application's wishes

  /**
   * Queue a message.
   *
   * @throws IMError: QUEUE_FULL, or MESSAGE_FORMAT_ERROR for a content, recipient or type that no
   *   server takes.
   * @throws LocalProtocolError: the ref is in use, or the key for another message.
   */
  add(send: Send): void {
    if (this.lastRef !== null && send.ref <= this.lastRef) {
      throw new LocalProtocolError(
        `Send: refs rise where there is a journal; after ${this.lastRef} came ${send.ref}`,
      )
    }
    const message = this.admission.lookAt(send)
    if (message === null) return
    const dropped = this.admission.makeRoom(message)
    if (dropped === null && !send.wait) throw this.admission.full()
    if (this.lastRef !== null) this.lastRef = send.ref
    if (message.key !== null) {
      this.recording.forgetOldKeys()
      this.keys.take(message.key, message.ref)
    }
    this.willExpire(message)
    if (dropped === null) {
      this.admission.wait(message)
      return
    }
    for (const other of dropped) {
      this.fail(
        other,
        'refused',
        'QUEUE_FULL',
        'the outbox is full, and another message took its place ' +
          `(when_queue_full='${this.config.whenQueueFull}')`,
      )
    }
    this.#admit(message)
  }

  #admit(message: Outgoing): void {
    message.msgId = this.#drawId()
    this.outbox.add(message)
    this.recording.added(message)
  }

  /**
   * Withdraw a message.
   *
   * @throws LocalProtocolError: it has an end, or a transport had it.
   */
  cancel(ref: number): void {
    const text = 'withdrawn before it was sent'
    const inLine = this.admission.line.get(ref)
    if (inLine) {
      this.failInLine(inLine, 'cancel', 'MESSAGE_CANCELLED', text)
      return
    }
    const message = this.outbox.get(ref)
    if (!message) throw new LocalProtocolError(`Cancel: message ${ref} is not pending`)
    if (message.state !== 'queued' || message.sends) {
      throw new LocalProtocolError(`Cancel: message ${ref} was given to a transport already`)
    }
    this.fail(message, 'cancel', 'MESSAGE_CANCELLED', text)
  }

  /** The message that was sent with that key. */
  refOfKey(key: string): number | null {
    return this.keys.refOf(key, this.fx.wallMs)
  }

  /** What an earlier process has left, in the order of refs; [] after the first step. */
  restored(): OutgoingRecord[] {
    return [...this.left]
  }

  // ------------------------------------------------------------ the link

  /**
   * Logged in to a server that is like this.
   *
   * @param server.idempotent it knows the identity of a send.
   * @param server.status it can be asked what became of one.
   * @param server.lastId the highest msgId that it knows of this device.
   * @param server.limits null: it tells none.
   */
  online(server: {
    idempotent: boolean
    status: boolean
    lastId: number
    limits: ServerLimits | null
  }): void {
    const { idempotent, limits } = server
    this.isOnline = true
    this.idempotent = idempotent
    this.window = limits ? Math.min(this.most, limits.inFlight) : this.most
    this.admission.contentUnits = limits ? limits.contentUnits : this.config.contentUnits
    this.recording.highestId = Math.max(this.recording.highestId, server.lastId)
    this.outbox.perConversation = idempotent ? null : 1
    this.#settleUnsure(limits, server.status && idempotent)
    this.outbox.wake(this.fx.now) // rests that have ended meanwhile
    this.outbox.relist()
  }

  /** What of the messages that may have arrived is asked for, and what can't be known. */
  #settleUnsure(limits: ServerLimits | null, status: boolean): void {
    this.endInDoubt(this.strange)
    this.strange = []
    const unsure = this.outbox.allUnsure()
    const remembered = limits?.dedupeSeconds ?? Infinity
    const { resendWhenUnsure, maxSends } = this.config
    if (status) {
      // asked early, as what is not asked for may have to wait for its turn
      const asked = unsure.filter((m) => m.ofBefore || this.#age(m) > remembered / 2)
      this.status.begin(asked, (limits ?? SERVER_LIMITS).frameBytes)
      this.outbox.hold(this.status.users)
    } else if (this.idempotent) {
      this.endInDoubt(unsure.filter((m) => this.#age(m) > remembered))
    } else {
      const enough = resendWhenUnsure ? maxSends : 0
      this.endInDoubt(unsure.filter((m) => m.unsureSends >= enough))
    }
  }

  /** Seconds since it was first handed over, by the clock that says more. */
  #age({ firstAt, handedAt }: Outgoing): number {
    const byWall = this.fx.wallUs / 1_000_000 - (handedAt ?? 0) / 1000
    return firstAt === null ? byWall : Math.max(byWall, this.fx.now - firstAt)
  }

  /** The link is gone. What was unanswered goes out again, or ends. */
  offline(blame: Blame): void {
    if (!this.isOnline) return
    this.isOnline = false
    this.#watched = null
    this.timers.cancel('ACK', 'RETRY')
    this.status.stop()
    this.outbox.hold(new Set())
    this.blame(blame)
    if (!this.idempotent) this.doubt()
    this.outbox.linkLost()
  }

  /**
   * At the end of each step: let messages expire, come in, be written down and go out as far as they
   * may, and keep the deadlines of all that.
   */
  pump(): void {
    const { fx, outbox, recording } = this
    this.left = []
    for (const ref of this.expiry.due(fx.now)) this.expire(ref)
    let message: Outgoing | null
    while ((message = this.admission.nextInLine())) this.#admit(message)
    const going = this.isOnline && !this.blocked
    if (going) {
      this.status.pump()
      while ((message = outbox.take(this.window))) recording.turnHasCome(message, !this.idempotent)
    }
    recording.pump()
    if (going) this.#handOver(outbox.toHandOver())
    if (this.isOnline) this.#watch()
    this.admission.tell()
    this.expiry.watch((ref) => this.expires(ref))
  }

  /**
   * Whose turn has come goes, if the journal has what it has to have first; nobody overtakes another
   * of the same conversation.
   */
  #handOver(ready: Outgoing[]): void {
    const { fx } = this
    const waits = new Set<UserId>()
    for (const message of ready) {
      const { ref, toUser } = message
      if (waits.has(toUser) || !this.recording.mayGo(message)) {
        waits.add(toUser)
        continue
      }
      this.outbox.handOver(message, fx.now)
      if (message.sends > 1) fx.counters.retransmitted++
      if (!this.idempotent) message.unsureSends++
      const { msgId, content, sessionId, messageType } = message
      fx.say({ type: 'ChatSendToOne', msgId, toUser, content, sessionId, messageType })
      fx.notify({ type: 'MessageHandedOver', ref, msgId, sends: message.sends })
    }
  }

  /**
   * The oldest message is unanswered for too long: probe first, then drop the link.
   *
   * Never sent again on the same connection (protocol.md section 2, "Order").
   */
  ackOverdue(probeTimeout: number, late: boolean): Trouble {
    if (!late && this.#probed) return Trouble.UNANSWERED
    this.#probed = true
    this.timers.set('ACK', this.fx.now + probeTimeout)
    return Trouble.PROBE
  }

  /** The server has not said what became of messages: as with the answer to one. */
  statusOverdue(probeTimeout: number, late: boolean): Trouble {
    return this.status.overdue(probeTimeout, late)
  }

  /** A conversation that rested after a server error may go on. */
  retryDue(): void {
    this.outbox.wake(this.fx.now)
  }

  // ------------------------------------------------------------ the server's answers

  /** CHAT_SEND_RESPONSE came, or the answer of a dialect without msgId. */
  answered(response: ChatSendResponse | ChatAnswer): Trouble | null {
    if (response.type === 'ChatAnswer') return this.#answeredUnnamed(response)
    const message = this.outbox.unanswered(response.msgId)
    return message ? this.#settle(message, response.code, response.message, response) : null
  }

  /** It speaks of the only message in flight; if there isn't one, nothing is guessed. */
  #answeredUnnamed({ code, message: text }: ChatAnswer): Trouble | null {
    if (outcome(code) !== 'success') return this.#refused(code, text || null, null)
    const message = this.outbox.oldest
    if (message && this.outbox.inFlight === 1) this.#accept(message, null)
    return null
  }

  /**
   * CHAT_ERROR_RESPONSE came.
   *
   * Without a msgId it speaks of a message only if exactly one is unanswered; else it is told as an
   * error, and nothing is guessed.
   */
  refused({ code, message, errorMsg, msgId }: ChatError): Trouble | null {
    return this.#refused(code, message || errorMsg, msgId)
  }

  #refused(code: number | null, text: string | null, msgId: Id | null): Trouble | null {
    const { outbox } = this
    let message: Outgoing | undefined
    if (msgId !== null) message = outbox.unanswered(msgId)
    else if (outbox.inFlight === 1) message = outbox.oldest
    const serverCode = code === null || outcome(code) === 'success' ? 400 : code
    if (message) return this.#settle(message, serverCode, text, null)
    if (outcome(serverCode) === 'auth') return Trouble.LOGIN_GONE
    this.fx.notify({
      type: 'ErrorOccurred',
      error: new IMError('SERVER_ERROR', 'the server reports an error that names no message', {
        serverCode,
        serverText: text,
      }),
      anotherWay: false,
    })
    return null
  }

  /** MESSAGE_STATUS_RESPONSE came: what was unsure is settled, and its conversations go on. */
  toldStatus(response: MessageStatusResponse): void {
    for (const [message, item] of this.status.answered(response)) {
      if (item === null || item.status === 'forgotten') this.endInDoubt([message])
      else if (item.status === 'never') message.unsure = message.ofBefore = false
      else this.#accept(message, item)
    }
    this.outbox.hold(this.status.users)
  }

  #settle(
    message: Outgoing,
    code: number | null,
    words: string | null,
    response: ChatSendResponse | null,
  ): Trouble | null {
    const kind = outcome(code)
    if (kind === 'success') {
      this.#accept(message, response)
    } else if (kind === 'auth') {
      // it was answered, so it was not taken: no doubt about it
      if (!this.idempotent) this.outbox.retry(message, null)
      return Trouble.LOGIN_GONE
    } else if (kind === 'conflict' && !message.renumbered) {
      this.outbox.renumber(message, this.#drawId())
    } else if (kind === 'server_error' && message.errors + 1 < this.config.maxSends) {
      message.errors++
      if (this.idempotent) return Trouble.SERVER_FAILED
      const rest = baseDelay(this.config.reconnect, message.errors)
      this.outbox.retry(message, this.fx.now + rest)
    } else {
      const error = kind === 'server_error' ? 'SERVER_ERROR' : 'MESSAGE_SEND_FAILED'
      this.fail(message, 'refused', error, 'the server refused it', code, words)
    }
    return null
  }

  #accept(
    message: Outgoing,
    response: { sessionId?: Id | null; timestamp: number | null } | null,
  ): void {
    this.outbox.finish(message, message.state === 'in_flight' ? 'acked' : 'found')
    this.fx.counters.accepted++
    const timestamp = response?.timestamp ?? null
    this.recording.accepted(message, timestamp)
    const { ref, msgId, toUser, content, sends } = message
    const sessionId = response?.sessionId ?? message.sessionId
    this.fx.notify({
      type: 'MessageAccepted',
      ref,
      msgId,
      toUser,
      content,
      sessionId,
      timestamp,
      sends,
    })
  }

  // ------------------------------------------------------------ small things

  /** Microseconds of wall clock, but always above the last (section 2, "Identity"). */
  #drawId(): number {
    const { recording } = this
    return (recording.highestId = Math.max(this.fx.wallUs, recording.highestId + 1))
  }

  #watch(): void {
    const { oldest } = this.outbox
    const watched = this.#watched
    if (!oldest) {
      if (watched !== null) {
        this.#watched = null
        this.timers.cancel('ACK')
      }
    } else if (watched?.ref !== oldest.ref || watched.sends !== oldest.sends) {
      this.#watched = { ref: oldest.ref, sends: oldest.sends }
      this.#probed = false
      const due = oldest.sentAt + this.config.timeouts.ack
      this.timers.set('ACK', Math.max(due, this.fx.now))
    }
    const wake = this.outbox.nextWake()
    if (wake === this.timers.get('RETRY')) return
    if (wake === null) this.timers.cancel('RETRY')
    else this.timers.set('RETRY', wake)
  }
}
