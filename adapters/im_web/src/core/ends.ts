/**
 * How messages end of which the server has said nothing: refused over a close, in doubt, expired,
 * dropped, withdrawn, or never on disk.
 *
 * An end is noted in the journal, if there is one; see `recording` for when it is told.
 */

import { POISON_AFTER } from '../generated/tables'
import { Admission } from './admission'
import type { CoreConfig } from './config'
import type { Effects } from './effects'
import { IMError } from './errors'
import type { IMErrorCode } from './errors'
import { Expiry } from './expiry'
import type { Change, JournalState, OutgoingRecord } from './journal'
import type { Journaling } from './journaling'
import { Keys } from './keys'
import { Outgoing } from './message'
import { Outbox } from './outgoing'
import { Recording } from './recording'
import { Status } from './status'
import type { Timers } from './timers'
import type { Blame } from './wire/closes'

/** The outgoing half of a client, what it is made of, and the ends that it makes itself. */
export class Ends {
  /** the ref of the oldest unanswered message, at so many ends of links in a row */
  #poison: [ref: number, count: number] = [0, 0]
  protected readonly most: number
  protected isOnline = false
  protected window: number
  /** what an earlier process sent as another device: no server can tell us what became of it */
  protected strange: Outgoing[] = []
  /** with a journal: no ref up to this one is taken */
  protected lastRef: number | null = null
  /** what an earlier process has left, until the first step */
  protected left: OutgoingRecord[] = []
  readonly outbox = new Outbox()
  readonly keys: Keys
  readonly admission: Admission
  readonly recording: Recording
  readonly status: Status
  readonly expiry: Expiry
  blocked = false
  /** the server knows the identity of a send */
  idempotent = false

  /**
   * @param config what to do.
   * @param fx takes what is to be done.
   * @param timers for answers, retries and expiries.
   * @param journaling the way to the journal.
   * @param deviceId whose sends these are.
   * @param journal what an earlier process has kept; null: nothing is kept.
   */
  constructor(
    protected readonly config: CoreConfig,
    protected readonly fx: Effects,
    protected readonly timers: Timers,
    journaling: Journaling,
    deviceId: string,
    journal: JournalState | null,
  ) {
    this.window = this.most = Math.min(config.inFlight, fx.dialect.inFlight ?? config.inFlight)
    this.keys = new Keys(config.keysKept)
    this.admission = new Admission(config, fx, this.outbox, this.keys)
    this.recording = new Recording(fx, journaling, this.keys, deviceId)
    this.status = new Status(fx, timers, config.timeouts.ack)
    this.expiry = new Expiry(timers)
    if (journal !== null) this.#restore(journal, deviceId)
  }

  #restore({ identity, outgoing }: JournalState, deviceId: string): void {
    this.left = this.recording.restore(identity, outgoing.values())
    this.lastRef = this.left.at(-1)?.ref ?? 0
    for (const record of this.left) {
      if (record.end !== null) continue
      const message = Outgoing.restored(record)
      this.outbox.add(message)
      if (message.key !== null) this.keys.take(message.key, message.ref)
      if (message.handedAt === null) this.willExpire(message)
    }
    if (identity !== null && identity.deviceId !== deviceId) {
      this.strange = this.outbox.allUnsure()
    }
  }

  /** Note when a message expires, if it does. */
  protected willExpire({ ref, expiresAt }: Outgoing): void {
    if (expiresAt !== null) this.expiry.add(expiresAt / 1000 - this.fx.wallOffset, ref)
  }

  // ------------------------------------------------------------ over the end of a link

  /** An end of the link may be a message's fault (protocol.md section 2, "Closes"). */
  protected blame(blame: Blame): void {
    const { oldest } = this.outbox
    const [ref, before] = this.#poison
    this.#poison = [0, 0]
    if (!oldest) return
    if (blame === 'largest') {
      const largest = this.outbox
        .allUnanswered()
        .reduce((most, message) => (message.size > most.size ? message : most))
      this.fail(
        largest,
        'refused',
        'MESSAGE_SEND_FAILED',
        'the server closed the connection because a message was too big; this was the largest',
        1009,
      )
    } else if (blame === 'oldest') {
      const count = ref === oldest.ref ? before + 1 : 1
      if (count < POISON_AFTER) {
        this.#poison = [oldest.ref, count]
        return
      }
      this.fail(
        oldest,
        'refused',
        'MESSAGE_SEND_FAILED',
        `the server closed the connection ${count} times in a row over it`,
      )
    }
  }

  protected doubt(): void {
    const { resendWhenUnsure, maxSends } = this.config
    this.endInDoubt(
      this.outbox
        .allUnanswered()
        .filter((message) => !resendWhenUnsure || message.unsureSends >= maxSends),
    )
  }

  protected endInDoubt(messages: Outgoing[]): void {
    for (const message of messages) {
      this.fail(
        message,
        'certainty_lost',
        'IN_DOUBT',
        'the link was lost before the server answered; it may or may not have arrived',
      )
    }
  }

  protected fail(
    message: Outgoing,
    event: string,
    code: IMErrorCode,
    text: string,
    serverCode: number | null = null,
    serverText: string | null = null,
  ): void {
    this.outbox.finish(message, event)
    this.recording.failed(message, new IMError(code, text, { serverCode, serverText }))
  }

  // ------------------------------------------------------------ ends before the journal had it

  protected failInLine(message: Outgoing, event: string, code: IMErrorCode, text: string): void {
    this.admission.line.delete(message.ref)
    message.to(event)
    this.#tellUnsent(message, new IMError(code, text))
  }

  /**
   * The journal could not take these; returns those of them that it must take all the same.
   *
   * New messages among them fail with `error`.
   */
  unrecorded(changes: Change[], ticket: number, error: IMError): Change[] {
    const [lost, rest] = this.recording.notWritten(changes, ticket)
    for (const message of lost) {
      this.outbox.finish(message, 'refused')
      this.recording.withdraw(message, ticket)
      this.#tellUnsent(message, new IMError(error.code, error.text))
    }
    return rest
  }

  /** It never got into the outbox, or not onto the disk: its key is free, and it is told. */
  #tellUnsent({ ref, msgId, toUser, content, key }: Outgoing, error: IMError): void {
    if (key !== null) this.keys.free(key)
    this.fx.notify({ type: 'MessageFailed', ref, msgId: msgId || null, toUser, content, error })
  }

  // ------------------------------------------------------------ times to live

  /** May that message still expire? */
  protected expires(ref: number): boolean {
    const message = this.outbox.get(ref) ?? this.admission.line.get(ref)
    return message?.handedAt === null
  }

  protected expire(ref: number): void {
    if (!this.expires(ref)) return
    const text = 'its time to live was over before it could be sent'
    const inLine = this.admission.line.get(ref)
    if (inLine) this.failInLine(inLine, 'expire', 'MESSAGE_EXPIRED', text)
    else this.fail(this.outbox.get(ref)!, 'expire', 'MESSAGE_EXPIRED', text)
  }

  /** The machine was asleep, and the clock with it. */
  slept(seconds: number): void {
    this.expiry.slept(seconds)
  }
}
