/**
 * Is the peer alive? When to probe it, and when to give it up (protocol.md, "Liveness").
 *
 * After a sleep of the machine, or a change of the network, the link is in doubt: one probe, with
 * little time for its answer, decides. While the application is so far behind that nothing is read,
 * nothing can be heard either: probes go out, for the server to see us alive, and nobody is judged.
 */

import {
  DEFAULT_INTERVAL,
  DEFAULT_MAX_MISSED,
  DEFAULT_TIMEOUT,
  DOUBT_ROUND_TRIPS,
  DOUBT_TIMEOUT,
  LEAST_HINT,
} from '../generated/tables'
import type { HeartbeatConfig } from '../generated/types'
import { HEARTBEAT } from './machines'
import type { Timers } from './timers'
import type { HeartbeatHint } from './wire/messages'

/** What a heartbeat's deadline asks for. */
export type Beat = 'nothing' | 'probe' | 'dead'

/** Probes at a steady pace. Any complete frame is life; a byte is not. */
export class Liveness {
  state = HEARTBEAT.initial
  missed = 0
  interval: number = DEFAULT_INTERVAL
  timeout: number = DEFAULT_TIMEOUT
  readonly maxMissed: number
  /** the next probe that is unanswered is the last */
  inDoubt = false
  /** nothing is read from the transport */
  deaf = false
  readonly #config: HeartbeatConfig
  readonly #timers: Timers
  #probesOut = 0
  #probedAt = 0
  #rtt = 0

  constructor(config: HeartbeatConfig, timers: Timers) {
    this.#config = config
    this.#timers = timers
    this.maxMissed = config.maxMissed ?? DEFAULT_MAX_MISSED
  }

  /**
   * Logged in: the configuration wins over the server's hint, the hint over the default.
   *
   * @param rtt what the log-in took, in seconds, until a probe shows better.
   */
  start(hint: HeartbeatHint | null, now: number, rtt: number): void {
    const { interval, timeout } = this.#config
    this.interval = interval ?? (hint ? Math.max(hint.interval, LEAST_HINT) : DEFAULT_INTERVAL)
    this.timeout = timeout ?? (hint ? Math.max(hint.timeout, LEAST_HINT) : DEFAULT_TIMEOUT)
    this.#to('started')
    this.missed = this.#probesOut = 0
    this.inDoubt = this.deaf = false
    this.#rtt = rtt
    this.#timers.set('HEARTBEAT_DUE', now + this.interval)
  }

  /** The link is gone, or going. */
  stop(): void {
    if (this.state !== 'stopped') this.#to('stopped_probing')
    this.#timers.cancel('HEARTBEAT_DUE', 'HEARTBEAT_ANSWER')
  }

  /** HEARTBEAT_DUE came. */
  due(now: number): Beat {
    this.#timers.set('HEARTBEAT_DUE', now + this.interval)
    return this.state === 'resting' ? 'probe' : 'nothing'
  }

  /** HEARTBEAT_ANSWER came. If we were late ourselves, the peer gets another chance. */
  unanswered(late: boolean): Beat {
    if (!late) {
      this.missed++
      if (this.inDoubt || this.missed >= this.maxMissed) return 'dead'
    }
    return 'probe'
  }

  /** A probe goes out now. */
  probed(now: number): void {
    if (this.deaf) return
    this.#to(this.state === 'resting' ? 'probe_sent' : 'missed')
    this.#probesOut++
    this.#probedAt = now
    let { timeout } = this
    if (this.inDoubt) {
      timeout = Math.min(timeout, Math.max(DOUBT_TIMEOUT, this.#rtt * DOUBT_ROUND_TRIPS))
    }
    this.#timers.set('HEARTBEAT_ANSWER', now + timeout)
  }

  /** Nothing is read from now on, so nothing can be missed. */
  deafen(): void {
    this.life()
    this.#probesOut = 0 // when its answer is read says nothing
    this.deaf = true
  }

  /** A complete frame came in. */
  life(): void {
    if (this.state === 'awaiting') {
      this.#to('life_seen')
      this.missed = 0
      this.inDoubt = false
      this.#timers.cancel('HEARTBEAT_ANSWER')
    }
  }

  /** A probe's own answer: the round-trip time in seconds, if only one was out. */
  answered(now: number): number | null {
    const out = this.#probesOut
    this.#probesOut = 0
    if (out !== 1) return null
    this.#rtt = now - this.#probedAt
    return this.#rtt
  }

  #to(event: string): void {
    this.state = HEARTBEAT.next(this.state, event)
  }
}
