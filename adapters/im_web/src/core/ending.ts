/**
 * The state of a client's link, how the link ends, and what follows: a delay, or giving up.
 *
 * State first, effect after.
 */

import {
  AUTH_REFUSALS,
  KICK_LASTS,
  NEVER_SENT,
  OF_THE_LINK,
  UNSUSPICIOUS,
} from '../generated/tables'
import { Backoff } from './backoff'
import type { CoreConfig } from './config'
import { Effects } from './effects'
import { IMError, LocalProtocolError, printable } from './errors'
import type { Guarantee } from './events'
import type { FramingViolated, PeerClosed, TransportLost } from './inputs'
import type { JournalState } from './journal'
import { Journaling } from './journaling'
import { Life } from './life'
import { Liveness } from './liveness'
import { Login } from './login'
import { CONNECTION, RECONNECT } from './machines'
import { Receiving } from './receiving'
import { Refresh } from './refresh'
import type { Rng } from './rng'
import { Sending } from './sending'
import { Sessions } from './sessions'
import { Timers } from './timers'
import { verdictOfClose } from './wire/closes'
import type { Blame, Verdict } from './wire/closes'
import { Invocation } from './wire/invocation'
import type { Kick, ServerLimits } from './wire/messages'
import { Typed } from './wire/typed'

/** The kinds of error that some closes are. */
const KINDS: Partial<Record<number, 'AUTH_FAILED' | 'TOKEN_INVALID' | 'AUTH_TIMEOUT'>> = {
  4001: 'AUTH_FAILED',
  4003: 'TOKEN_INVALID',
  4002: 'AUTH_TIMEOUT',
}

/** What of a server's limits counts for frames. */
type FrameLimits = Pick<ServerLimits, 'batch' | 'frameBytes'>
/** … where it tells none. */
export const FRAME_LIMITS: FrameLimits = { batch: 64, frameBytes: 65_536 }

/** Is it one of these codes? */
export function among(codes: readonly number[], code: number): boolean {
  return codes.includes(code)
}

/** What an engine starts with. */
export interface Start {
  /** seconds on any monotonic clock; the same clock as in every later call */
  now: number
  /** seconds since 1970 at `now` */
  wall: number
  /** where delays and the device id are drawn from */
  rng: Rng
  /** what an earlier process has kept; null: nothing is kept */
  journal?: JournalState | null
}

/** What is known of the link, and every way out of it. */
export class Ending {
  readonly deviceId: string
  connection = CONNECTION.initial
  reconnect = RECONNECT.initial
  /** the present transport, or the last one */
  transport = 0
  readonly timers = new Timers()
  readonly backoff: Backoff
  readonly liveness: Liveness
  readonly login: Login
  readonly fx: Effects
  readonly journaling: Journaling
  readonly sending: Sending
  readonly receiving: Receiving
  readonly life: Life
  readonly sessions: Sessions
  readonly refresh: Refresh
  /** what the server has granted on this link, sorted */
  capabilities: string[] = []
  guarantee: Guarantee | null = null
  reason = 'connect() was not called yet'
  lastError: IMError | null = null
  /** nothing is read from the transport: the application is behind */
  paused = false
  protected readonly rng: Rng
  protected limits: FrameLimits = FRAME_LIMITS
  protected kick: Kick | null = null
  protected wasAuthenticated = false
  protected toldConnected = false
  /** when the last attempt came before its time */
  protected hurriedAt = -Infinity
  /** when AUTH_REQUEST went out */
  protected askedAt = 0
  /** when KICK came */
  protected kickedAt = 0
  /** a message has begun to come in and is not complete */
  protected half = false

  /** @param config what to do. */
  constructor(
    readonly config: CoreConfig,
    { now, wall, rng, journal = null }: Start,
  ) {
    this.rng = rng
    this.deviceId = config.deviceId ?? journal?.identity?.deviceId ?? rng.hex64()
    this.backoff = new Backoff(config.reconnect)
    this.liveness = new Liveness(config.heartbeat, this.timers)
    const dialect = config.dialect === 'typed' ? new Typed() : new Invocation()
    this.login = new Login(config, this.deviceId, config.extensions && dialect.extensions)
    this.fx = new Effects(dialect, now, wall - now)
    this.journaling = new Journaling(this.fx, journal !== null, config.knownPairs)
    const { fx, timers, journaling, deviceId } = this
    this.sending = new Sending(config, fx, timers, journaling, deviceId, journal)
    this.receiving = new Receiving(config, deviceId, fx, timers, journaling, journal)
    this.life = new Life(fx, timers)
    this.sessions = new Sessions(config, this.login, fx, timers, rng)
    this.refresh = new Refresh(config, this.login, fx, timers, rng)
  }

  // ------------------------------------------------------------ how a link ends

  /** The peer broke the protocol; with a close code the link ends over it. */
  protected violated(reason: string, closeCode: number | null = null): void {
    this.fx.notify({ type: 'ProtocolViolation', reason, closeCode })
    if (closeCode === null) return
    const why = `the server broke the protocol: ${reason}`
    const error = new IMError('NETWORK_ERROR', why, { serverCode: closeCode })
    this.endLink(closeCode, [...reason].slice(0, 100).join(''))
    this.comeBack(error, why, { reconnect: true, counts: true, failedDelay: true })
  }

  protected onPeerClosed(closed: PeerClosed): void {
    if (this.connection === 'closing') {
      this.fx.do({ type: 'CloseTransport', transport: this.transport })
      return
    }
    if (this.connection !== 'open') {
      throw new LocalProtocolError(`PeerClosed: the connection is ${this.connection}`)
    }
    const { code } = closed
    const verdict = verdictOfClose(code)
    const words = printable(closed.reason)
    if (among(UNSUSPICIOUS, code)) this.login.excused()
    this.endLink(among(NEVER_SENT, code) ? 1000 : code, '', verdict.blame)
    this.#afterClose(verdict, code, words)
  }

  protected onTransportLost(lost: TransportLost): void {
    if (this.connection === 'closing') {
      this.gone()
    } else if (this.connection === 'open') {
      this.lost(printable(lost.reason) || 'the connection was lost')
    } else {
      const text = 'the connection was lost before the WebSocket upgrade was answered'
      this.gone()
      this.comeBack(new IMError('CONNECTION_FAILED', text), text)
    }
  }

  protected onFramingViolated({ reason, code }: FramingViolated): void {
    if (this.connection === 'closing') {
      this.drop()
    } else if (this.connection === 'open') {
      this.violated(reason, code)
    } else {
      const text = `the WebSocket upgrade failed: ${reason}`
      this.violated(reason)
      this.drop()
      this.comeBack(new IMError('CONNECTION_FAILED', text), text)
    }
  }

  /** The link went without a close frame: 1006. */
  protected lost(why: string, abort = false): void {
    this.linkEnds()
    if (abort) this.drop()
    else this.gone()
    this.#afterClose(verdictOfClose(1006), 1006, why)
  }

  /** Tell about the end of a link that was up, and decide what follows. */
  #afterClose(verdict: Verdict, code: number, words: string): void {
    const { kick, login } = this
    this.kick = null
    const unseen = code === 1006
    let reason = unseen ? words || verdict.reason : `${verdict.reason} (${code})`
    let retryAfter: number | null = null
    if (kick !== null && this.fx.now - this.kickedAt <= KICK_LASTS) {
      reason = printable(kick.reason ?? '') || reason
      retryAfter = kick.retryAfter
      const reconnect = kick.reconnect && (verdict.reconnect || code !== 4004)
      verdict = { ...verdict, reconnect, reason }
    }
    const { reconnect } = verdict
    const error = new IMError(KINDS[code] ?? 'CONNECTION_LOST', reason, {
      serverCode: unseen ? null : code,
      serverText: unseen ? null : words || null,
      retryable: reconnect,
      terminal: !reconnect,
    })
    if (among(AUTH_REFUSALS, code) && !reconnect) {
      this.fx.notify({ type: 'AuthFailed', error })
      login.to('login_refused')
    } else if (verdict.refreshToken) {
      if (!login.doubt()) {
        this.fx.notify({ type: 'AuthFailed', error })
        login.to('login_refused')
        this.halt(error, 'the token has expired; give a new one')
        return
      }
      login.to('token_rejected')
    }
    this.comeBack(error, reason, verdict, retryAfter)
  }

  /** End an open link with a close frame. */
  protected endLink(code: number, reason: string, blame?: Blame, lastWords?: boolean): void {
    this.linkEnds(blame, lastWords)
    this.close(code, reason)
    this.fx.do({ type: 'CloseTransport', transport: this.transport })
  }

  /**
   * Whatever lived on the link ends; the transport may still be closing.
   *
   * @param lastWords the peer still reads; nothing may follow its own close, or a broken frame.
   */
  protected linkEnds(blame: Blame = 'nobody', lastWords = false): void {
    const { fx, login } = this
    if (lastWords) {
      this.receiving.acknowledge(true)
      this.flush()
    }
    fx.envelopes = []
    this.timers.cancel(...OF_THE_LINK)
    this.liveness.stop()
    this.sending.offline(blame)
    this.receiving.offline()
    this.life.offline()
    this.refresh.offline()
    this.sessions.offline()
    if (login.state === 'authenticating' || login.state === 'authenticated') {
      if (login.state === 'authenticating') login.ended()
      login.to('link_lost')
    }
  }

  /** Read again, if we don't. */
  protected resumeReading(): void {
    if (this.paused) {
      this.paused = this.liveness.deaf = false
      this.fx.do({ type: 'ResumeReading', transport: this.transport })
    }
  }

  /** Send a close frame and wait, not for ever, for the peer's. */
  protected close(code: number, reason: string): void {
    this.connectionTo('close_started')
    this.resumeReading() // for the peer's close
    this.timers.set('CLOSE', this.fx.now + this.config.timeouts.close)
    this.fx.do({ type: 'SendClose', transport: this.transport, code, reason })
  }

  /** Let the transport go without another word. */
  protected drop(): void {
    if (this.connection !== 'disconnected') {
      this.fx.do({ type: 'AbortTransport', transport: this.transport })
      this.gone()
    }
  }

  /** The transport is no more. */
  protected gone(): void {
    this.connectionTo('transport_ended')
    this.paused = this.liveness.deaf = false
    this.timers.cancel('CONNECT', 'PARTIAL', 'CLOSE')
  }

  // ------------------------------------------------------------ what follows

  /** An attempt or a link has ended: schedule the next attempt, or give up. */
  protected comeBack(
    error: IMError,
    reason: string,
    verdict: Pick<Verdict, 'reconnect' | 'counts' | 'failedDelay'> | null = null,
    retryAfter: number | null = null,
  ): void {
    const { backoff, fx } = this
    this.reason = reason
    this.lastError = error
    if (verdict && !verdict.reconnect) {
      this.halt(error, reason)
      return
    }
    if (this.reconnect === 'established') {
      backoff.linkLost(fx.now, verdict?.failedDelay ?? false)
    } else if (verdict?.counts ?? true) {
      backoff.attemptFailed()
    }
    this.tellDisconnected(error)
    fx.notify({ type: 'ErrorOccurred', error, anotherWay: this.login.anotherWay })
    if (backoff.exhausted) {
      this.reconnectTo('retries_exhausted')
      this.reason = `gave up after ${backoff.failed} failed attempts: ${reason}`
      this.lastError = new IMError(
        'RECONNECT_FAILED',
        `${this.reason}; what is queued is kept, connect() goes on`,
      )
      fx.notify({ type: 'ErrorOccurred', error: this.lastError, anotherWay: false })
      return
    }
    const delay = backoff.nextDelay(this.fx.now, this.rng, retryAfter)
    this.reconnectTo('retry_scheduled')
    this.timers.set('RECONNECT', fx.now + delay)
    this.watch()
    fx.notify({ type: 'Reconnecting', attempt: backoff.retries, delay })
  }

  /** Trying again can't help. Only connect() or a new token goes on. */
  protected halt(error: IMError, reason: string): void {
    Object.assign(error, { terminal: true, retryable: false })
    this.reason = reason
    this.lastError = error
    this.tellDisconnected(error)
    this.reconnectTo('halt')
    this.fx.notify({ type: 'ErrorOccurred', error, anotherWay: false })
  }

  // ------------------------------------------------------------ small things

  /** Look at the clocks now and then, while logged in or waiting for an attempt. */
  protected watch(): void {
    const { sleepWatch } = this.config
    if (sleepWatch !== null && (this.reconnect === 'waiting' || this.reconnect === 'established')) {
      this.timers.set('WATCH', this.fx.now + sleepWatch)
    }
  }

  /** Every Connected is followed by one Disconnected. */
  protected tellDisconnected(error: IMError | null): void {
    if (this.toldConnected) {
      this.toldConnected = false
      this.fx.notify({ type: 'Disconnected', error })
    }
  }

  protected flush(): void {
    const batch = this.capabilities.includes('batch') ? this.limits.batch : 1
    this.fx.flush(this.transport, { batch, frameBytes: this.limits.frameBytes })
  }

  protected connectionTo(event: string): void {
    this.connection = CONNECTION.next(this.connection, event)
  }

  protected reconnectTo(event: string): void {
    this.reconnect = RECONNECT.next(this.reconnect, event)
  }
}
