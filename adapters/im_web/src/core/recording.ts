/**
 * What the journal keeps of the outbox, and what is told, or done, only when it is there.
 *
 * A message is in the outbox, for the application, when its record is on disk; it is handed to a
 * transport when that is on disk. A failure is told when it is on disk: who hears of it may send the
 * message again, so a later process may not send it too. And only what was told is forgotten: if the
 * process ends in between, the next one tells. Without a journal all of that is at once.
 */

import type { Effects } from './effects'
import { IMError } from './errors'
import type { IMErrorCode } from './errors'
import type { MessageFailed } from './events'
import type { Change, Identity, OutgoingRecord } from './journal'
import type { Journaling } from './journaling'
import type { Keys } from './keys'
import type { Outgoing } from './message'

/** The outbox's side of the journal. */
export class Recording {
  readonly #fx: Effects
  readonly #journaling: Journaling
  readonly #keys: Keys
  readonly #deviceId: string
  /** no msgId up to this one is drawn again, whatever is forgotten */
  #keptId = 0
  /** messages that the journal was told nothing of */
  #new: Outgoing[] = []
  /** … and those whose first record is not on disk, with its ticket */
  readonly #unsafe: [number, Outgoing][] = []
  /** failures that are not on disk, or that an earlier process may not have told */
  readonly #untold: [number, OutgoingRecord][] = []
  /** the highest msgId that was drawn */
  highestId = 0

  constructor(fx: Effects, journaling: Journaling, keys: Keys, deviceId: string) {
    this.#fx = fx
    this.#journaling = journaling
    this.#keys = keys
    this.#deviceId = deviceId
  }

  // ------------------------------------------------------------ from an earlier process

  /**
   * Go on from there: ids that were drawn, messages that have an end. Returns what still counts, in
   * the order of refs.
   */
  restore(identity: Identity | null, outgoing: Iterable<OutgoingRecord>): OutgoingRecord[] {
    const records = [...outgoing].sort((one, other) => one.ref - other.ref)
    this.#keptId = this.highestId = Number(identity?.highestMsgId ?? 0)
    for (const { msgId } of records) this.highestId = Math.max(this.highestId, Number(msgId))
    if (identity?.deviceId !== this.#deviceId) this.#noteIdentity()
    const ended = records.filter((record) => record.end !== null)
    for (const record of ended.sort((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0))) {
      if (record.key === null) this.#untold.push([0, record])
      else this.#keys.keep(record)
    }
    const tooOld = new Set(this.forgetOldKeys())
    return records.filter((record) => !tooOld.has(record))
  }

  /** Keys whose time is over: of which messages. */
  forgetOldKeys(): OutgoingRecord[] {
    const tooOld = this.#keys.forgetOld(this.#fx.wallMs)
    for (const record of tooOld) this.#noteGone(record)
    return tooOld
  }

  // ------------------------------------------------------------ on the way

  /** It is in the outbox. */
  added(message: Outgoing): void {
    if (this.#journaling.on) {
      this.#new.push(message)
    } else {
      message.ticket = 0
      this.#tellQueued(message)
    }
  }

  /**
   * It is about to be handed to a transport, to a server that may take it twice (`unsure`) or not:
   * whatever happens from here on, it may have been sent.
   */
  turnHasCome(message: Outgoing, unsure: boolean): void {
    if (message.handedAt === null) {
      message.handedAt = this.#fx.wallMs
      message.dirty = true
    }
    if (this.#journaling.on && (message.dirty || unsure)) {
      message.dirty = false
      this.#note(message, unsure)
    }
  }

  /** Is on disk what has to be, before it is handed over? */
  mayGo(message: Outgoing): boolean {
    return (message.ticket ?? 0) <= this.#journaling.written
  }

  /** Note what is new; tell what is on disk. */
  pump(): void {
    if (!this.#journaling.on) return
    for (const message of this.#new) {
      if (message.ended) continue
      if (message.ticket === null) this.#note(message)
      this.#unsafe.push([message.ticket ?? 0, message])
    }
    this.#new = []
    for (const message of this.#upTo(this.#unsafe, this.#journaling.written)) {
      if (!message.ended) this.#tellQueued(message)
    }
    this.#tell()
  }

  #tellQueued({ ref, msgId }: Outgoing): void {
    this.#fx.notify({ type: 'MessageQueued', ref, msgId })
  }

  #tell(): void {
    for (const record of this.#upTo(this.#untold, this.#journaling.written)) {
      this.#fx.notify(failure(record))
      if (record.key === null) this.#noteGone(record)
    }
  }

  /** Take out those up to a ticket. */
  #upTo<T>(queue: [number, T][], ticket: number): T[] {
    const end = queue.findIndex((entry) => entry[0] > ticket)
    return queue.splice(0, end < 0 ? queue.length : end).map((entry) => entry[1])
  }

  // ------------------------------------------------------------ the end

  /** The server has it. */
  accepted(message: Outgoing, timestamp: number | null): void {
    if (message.key === null) this.#noteGone(message)
    else this.#noteEnd(this.#endOf(message, { timestamp }))
  }

  /** It has its end otherwise; that is told when it is on disk. */
  failed(message: Outgoing, error: IMError): void {
    const record = this.#endOf(message, {
      errorCode: error.code,
      errorText: error.text,
      serverCode: error.serverCode,
      serverText: error.serverText,
    })
    this.#untold.push([this.#noteEnd(record), record])
    if (!this.#journaling.on) this.#tell()
  }

  #endOf(message: Outgoing, how: Partial<OutgoingRecord>): OutgoingRecord {
    // the machine's final states are the journal's ends
    const end = message.state as OutgoingRecord['end']
    return { ...message.record(), end, endedAt: this.#fx.wallMs, ...how }
  }

  #noteEnd(record: OutgoingRecord): number {
    if (record.key !== null) {
      this.#keys.keep(record)
      this.forgetOldKeys()
    }
    return this.#journaling.note(record)
  }

  /**
   * The journal could not take these, up to that ticket: which messages never got into it, and what
   * it has to take all the same.
   */
  notWritten(changes: Change[], ticket: number): [Outgoing[], Change[]] {
    const lost = this.#upTo(this.#unsafe, ticket)
    const refs = new Set(lost.map((message) => message.ref))
    const rest = changes.filter(
      (change) => change.type !== 'OutgoingRecord' || change.end !== null || !refs.has(change.ref),
    )
    return [lost.filter((message) => !message.ended), rest]
  }

  /** It never got into the journal: nothing noted later than this ticket may bring it back. */
  withdraw(message: Outgoing, ticket: number): void {
    if ((message.ticket ?? 0) > ticket) {
      this.#journaling.note({ type: 'OutgoingGone', ref: message.ref })
    }
  }

  // ------------------------------------------------------------ small things

  #note(message: Outgoing, unsure = false): void {
    message.ticket = this.#journaling.note(message.record(unsure))
  }

  /** With the record its msgId is forgotten: the highest is kept in another way. */
  #noteGone({ ref, msgId }: Pick<OutgoingRecord, 'ref' | 'msgId'>): void {
    if (!this.#journaling.on) return
    if (Number(msgId) > this.#keptId) this.#noteIdentity()
    this.#journaling.note({ type: 'OutgoingGone', ref })
  }

  #noteIdentity(): void {
    this.#keptId = this.highestId
    this.#journaling.note({
      type: 'Identity',
      deviceId: this.#deviceId,
      highestMsgId: this.highestId,
    })
  }
}

function failure(record: OutgoingRecord): MessageFailed {
  const { ref, msgId, toUser, content, serverCode, serverText } = record
  const code = (record.errorCode ?? 'UNKNOWN_ERROR') as IMErrorCode
  const error = new IMError(code, record.errorText ?? '', { serverCode, serverText })
  return { type: 'MessageFailed', ref, msgId, toUser, content, error }
}
