/** A message on its way out, as an application sees it. */

import { IMError } from '../core/errors'
import type { OutgoingRecord } from '../core/journal'
import type { MessageError, SentMessage, SentStatus } from '../types'
import type { Event, Id, UserId } from '../generated/types'

/** What is known of it: plain data, so that another tab can have it too. */
export interface SentData {
  key: string
  msgId: Id | null
  toUserId: UserId
  content: string
  messageType: string
  sessionId: Id | null
  status: SentStatus
  receipt: null | 'delivered' | 'read'
  timestamp: number
  error: IMError | null
}

const ENDS: Partial<Record<string, SentStatus>> = {
  MESSAGE_CANCELLED: 'cancelled',
  MESSAGE_EXPIRED: 'expired',
  IN_DOUBT: 'in_doubt',
}

/** An error with the message that it is about. */
export function errorOf(error: IMError, sent: SentMessage): MessageError {
  const own = new IMError(error.code, error.text, error)
  own.cause = error.cause
  return Object.assign(own, { sent })
}

/** How a message stands that has ended with this error. */
export function statusOf(error: IMError): SentStatus {
  return ENDS[error.code] ?? 'failed'
}

// No `#private` in here: an application may put it into something reactive, which wraps it in a
// Proxy, and that can't reach those.
export class Sent implements SentMessage {
  key!: string
  msgId!: Id | null
  toUserId!: UserId
  content!: string
  messageType!: string
  sessionId!: Id | null
  status!: SentStatus
  receipt!: null | 'delivered' | 'read'
  timestamp!: number
  error: MessageError | null = null
  private waiters: { resolve: (sent: Sent) => void; reject: (error: IMError) => void }[] = []

  /**
   * @param data - what is known of it.
   * @param withdraw - does what `cancel` says.
   */
  constructor(
    data: SentData,
    private readonly withdraw: (sent: Sent) => boolean,
  ) {
    this.update(data)
  }

  /** It has its end, whichever. */
  get done(): boolean {
    return this.status !== 'queued' && this.status !== 'in_flight'
  }

  accepted(): Promise<SentMessage> {
    if (this.error) return Promise.reject(this.error)
    if (this.done) return Promise.resolve(this)
    return new Promise((resolve, reject) => this.waiters.push({ resolve, reject }))
  }

  cancel(): boolean {
    return this.withdraw(this)
  }

  /** This is known of it now. */
  update(data: Partial<SentData>): void {
    const { error, ...rest } = data
    Object.assign(this, rest)
    if (error && !this.error) this.error = errorOf(error, this)
    if (!this.done) return
    const waiters = this.waiters.splice(0)
    for (const { resolve, reject } of waiters) {
      if (this.error) reject(this.error)
      else resolve(this)
    }
  }

  /** The client has given up, or is closed: nobody waits any more; the message stays queued. */
  giveUp(error: IMError): void {
    for (const { reject } of this.waiters.splice(0)) reject(errorOf(error, this))
  }

  /** What another tab may know of it. */
  data(): SentData {
    const { key, msgId, toUserId, content, messageType, sessionId } = this
    const { status, receipt, timestamp, error } = this
    return {
      ...{ key, msgId, toUserId, content, messageType, sessionId },
      ...{ status, receipt, timestamp, error },
    }
  }
}

/** What an engine's event changes of a message; null: it is about none. */
export function changeOf(event: Event): Partial<SentData> | null {
  switch (event.type) {
    case 'MessageQueued':
      return {}
    case 'MessageHandedOver':
      return { msgId: event.msgId, status: 'in_flight' }
    case 'MessageAccepted': {
      const { msgId, sessionId, timestamp } = event
      return {
        ...{ msgId, status: 'accepted' },
        ...(sessionId === null ? {} : { sessionId }),
        ...(timestamp === null ? {} : { timestamp }),
      }
    }
    case 'MessageFailed': {
      const { msgId, error } = event
      return { ...(msgId === null ? {} : { msgId }), status: statusOf(error), error }
    }
    default:
      return null
  }
}

/** What an earlier life has left. */
export function restored(record: OutgoingRecord, key: string, now: number): SentData {
  const { toUser, content, messageType, sessionId, end, handedAt } = record
  const code = (record.errorCode ?? 'UNKNOWN_ERROR') as IMError['code']
  const error =
    end === null || end === 'accepted' ? null : new IMError(code, record.errorText ?? '', record)
  const open: SentStatus = handedAt === null ? 'queued' : 'in_flight'
  return {
    ...{ key, toUserId: toUser, content, messageType, sessionId, error, receipt: null },
    msgId: handedAt === null && end !== 'accepted' ? null : record.msgId,
    status: end === null ? open : error ? statusOf(error) : 'accepted',
    timestamp: record.timestamp ?? handedAt ?? now,
  }
}
