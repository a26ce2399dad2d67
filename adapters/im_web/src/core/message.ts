/** One message on its way out, from the application's hand to its end. */

import type { OutgoingRecord } from './journal'
import { DELIVERY } from './machines'
import { utf8Length } from './text'
import type { Priority } from './turns'
import type { Id, UserId } from './wire/types'

/** What the application says of a message. */
export type Wanted = Pick<
  OutgoingRecord,
  'ref' | 'toUser' | 'content' | 'messageType' | 'sessionId' | 'priority' | 'key' | 'expiresAt'
>

/** One message that has no end yet. */
export class Outgoing {
  readonly ref: number
  msgId = 0
  readonly toUser: UserId
  readonly content: string
  readonly messageType: string
  readonly sessionId: Id | null
  readonly priority: Priority
  readonly key: string | null
  /** milliseconds since 1970, for the journal */
  readonly expiresAt: number | null
  state = DELIVERY.initial
  /** UTF-8 bytes of the content */
  readonly size: number
  /** among all messages of this outbox, in the order they were given */
  place = 0
  /** how often it was handed to a transport, at least */
  sends = 0
  /** how often to a server that might take it twice */
  unsureSends = 0
  /** how often a server failed on it, and said so */
  errors = 0
  /** a link was lost while it was unanswered: it may have arrived */
  unsure = false
  /** … and that was in an earlier process */
  ofBefore = false
  sentAt = 0
  /** when it was first handed over by this process; null: never */
  firstAt: number | null = null
  /**
   * the same, or a little earlier, in milliseconds since 1970, and by any process: from here on it is
   * not withdrawn by us, as it may have been sent
   */
  handedAt: number | null = null
  /** a plain server asked for patience until then */
  notBefore: number | null = null
  /** it has a new msgId after a 40900; that happens once */
  renumbered = false
  /** the last thing noted of it in the journal; null: nothing is */
  ticket: number | null = null
  /** the journal has it otherwise, so it has to be written before it is handed over */
  dirty = false

  constructor(wanted: Wanted) {
    this.ref = wanted.ref
    this.toUser = wanted.toUser
    this.content = wanted.content
    this.messageType = wanted.messageType
    this.sessionId = wanted.sessionId
    this.priority = wanted.priority
    this.key = wanted.key
    this.expiresAt = wanted.expiresAt
    this.size = utf8Length(wanted.content)
  }

  /**
   * A message of an earlier process. What was, or was about to be, handed to a transport there may
   * have arrived; what was not certainly has not.
   */
  static restored(record: OutgoingRecord): Outgoing {
    const message = new Outgoing(record)
    message.msgId = Number(record.msgId)
    message.renumbered = record.renumbered
    message.unsureSends = record.unsureSends
    message.ticket = 0
    if (record.handedAt !== null) {
      message.handedAt = record.handedAt
      message.state = 'unconfirmed'
      message.unsure = message.ofBefore = true
      message.sends = Math.max(1, record.unsureSends)
    }
    return message
  }

  /**
   * Move on in its machine.
   *
   * @throws LocalProtocolError: the machine doesn't allow it.
   */
  to(event: string): void {
    this.state = DELIVERY.next(this.state, event)
  }

  /** It has its end. */
  get ended(): boolean {
    return DELIVERY.final.has(this.state)
  }

  /** What the journal keeps of it; `unsure`: as one that a plain server gets once more. */
  record(unsure = false): OutgoingRecord {
    return {
      type: 'OutgoingRecord',
      ref: this.ref,
      msgId: this.msgId,
      toUser: this.toUser,
      content: this.content,
      messageType: this.messageType,
      sessionId: this.sessionId,
      priority: this.priority,
      key: this.key,
      expiresAt: this.expiresAt,
      handedAt: this.handedAt,
      renumbered: this.renumbered,
      unsureSends: this.unsureSends + Number(unsure),
      end: null,
      endedAt: null,
      timestamp: null,
      errorCode: null,
      errorText: null,
      serverCode: null,
      serverText: null,
    }
  }
}
