/** What one `step` brings about: the list of actions in the making, and the clock it happens at. */

import type { CoreAction } from './actions'
import type { Event } from './events'
import type { Dialect } from './wire/dialect'
import type { ClientMessage } from './wire/messages'
import { pack } from './wire/packing'

/** What a part can't settle by itself. */
export const Trouble = {
  /** The peer may be gone: ask it. */
  PROBE: 'probe',
  /** The server has forgotten, or no longer accepts, our log-in. */
  LOGIN_GONE: 'login_gone',
  // The link is of no use any more: drop it and come back. The value says why.
  UNANSWERED: 'the server stopped answering messages',
  SERVER_FAILED: 'the server failed on a message',
  NO_REFRESH: 'the server did not answer a new token',
  FLOOD: 'the server sends far more than it may before it is acknowledged',
  HOLE: 'the server left out messages, and did not bring them when asked',
} as const
export type Trouble = (typeof Trouble)[keyof typeof Trouble]

/** What has happened so far, for reports. */
export class Counters {
  /** Links lost after a log-in and logged in again. */
  reconnects = 0
  /** Log-ins that the server answered with "recovered". */
  resumed = 0
  /** Messages handed over a second or later time. */
  retransmitted = 0
  /** Messages that came again and were not delivered again. */
  duplicatesSuppressed = 0
  /** Messages that the server has accepted. */
  accepted = 0
  /** Messages delivered to the application. */
  received = 0
}

/** Collects actions. Messages are written at once and put into frames when they are due. */
export class Effects {
  /** The server has granted `inline` on this link. */
  inline = false
  readonly counters = new Counters()
  actions: CoreAction[] = []
  envelopes: string[] = []

  /**
   * @param dialect - how messages are written.
   * @param now - the clock of the engine, in seconds.
   * @param wallOffset - wall clock minus `now`, in seconds.
   */
  constructor(
    readonly dialect: Dialect,
    public now: number,
    public wallOffset: number,
  ) {}

  /** Microseconds since 1970. */
  get wallUs(): number {
    return Math.trunc((this.now + this.wallOffset) * 1_000_000)
  }

  /** Milliseconds since 1970. */
  get wallMs(): number {
    return Math.floor(this.wallUs / 1000)
  }

  /** Append an action. */
  do(action: CoreAction): void {
    this.actions.push(action)
  }

  /** Append an event for the application. */
  notify(event: Event): void {
    this.actions.push({ type: 'Notify', event })
  }

  /** Write a message; it goes out with the next `flush`. */
  say(message: ClientMessage): void {
    this.envelopes.push(this.dialect.encode(message, { wallMs: this.wallMs, inline: this.inline }))
  }

  /** Put what was said into as few frames as the peer allows, in order. */
  flush(transport: number, limits: { batch: number; frameBytes: number }): void {
    if (!this.envelopes.length) return
    const envelopes = this.envelopes
    this.envelopes = []
    for (const frame of pack(envelopes, limits)) {
      this.do({ type: 'SendText', transport, text: this.dialect.join(frame) })
    }
  }

  /** The finished list. */
  take(): CoreAction[] {
    const actions = this.actions
    this.actions = []
    return actions
  }
}
