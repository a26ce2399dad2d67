/**
 * What time brings to a client: deadlines that come, clocks that jump, and what trouble leads to.
 *
 * The part of `ClientCore` between the life of its links and what comes in on them.
 */

import { GRACE, LATE, OF_THE_LINK } from '../generated/tables'
import { Trouble } from './effects'
import { IMError } from './errors'
import { Lifecycle } from './lifecycle'
import type { Beat } from './liveness'
import { g } from './text'
import type { Timer } from './timers'

/** A lifecycle that knows what each deadline means. */
export class Deadlines extends Lifecycle {
  protected onTime(wall: number | null): void {
    this.lookAtClocks(wall)
    const { transport } = this
    for (const [timer, late] of this.timers.popDue(this.fx.now)) {
      // an earlier one of this round may have ended the link that this one was about, or have
      // opened another
      const same = this.transport === transport
      const closing = this.connection === 'closing'
      const wanted =
        timer === 'CLOSE'
          ? same && closing
          : OF_THE_LINK.includes(timer)
            ? same && !closing && this.connection !== 'disconnected'
            : true
      if (wanted) this.#onDeadline(timer, late)
    }
  }

  #onDeadline(timer: Timer, late: boolean): void {
    const { fx, liveness, login, receiving, sending } = this
    const { now } = fx
    switch (timer) {
      case 'RECONNECT':
        return this.retry()
      case 'HEARTBEAT_DUE':
        return this.#beat(liveness.due(now))
      case 'HEARTBEAT_ANSWER':
        return this.#beat(liveness.unanswered(late))
      case 'WATCH':
        return this.watch()
      case 'ACK':
        return this.inTrouble(sending.ackOverdue(liveness.timeout, late))
      case 'ACK_OUT':
        if (!sending.blocked) receiving.acknowledge(true) // else when it reads
        return
      case 'TYPING':
        return this.life.typingDue()
      case 'STATUS':
        return this.inTrouble(sending.statusOverdue(liveness.timeout, late))
      case 'RETRY':
        return sending.retryDue()
      case 'SESSION':
        return this.sessions.overdue(late)
      case 'SESSION_RETRY':
        return this.sessions.retryDue()
      case 'REFRESH':
        return this.refresh.due()
      case 'JOURNAL':
      case 'EXPIRY':
        return // every step ends with a look at both
      case 'CLOSE':
        return this.drop()
      case 'TOKEN':
        fx.do({ type: 'CancelToken', request: login.request })
        return this.tokenFailed(`no answer within ${g(this.config.timeouts.token)} s`)
    }
    if (timer === 'AUTH' && login.state === 'authenticated') {
      this.inTrouble(this.refresh.overdue(liveness.timeout, late))
    } else if (late) {
      // CONNECT, AUTH, PARTIAL, SYNC: read the socket once before anybody is judged
      this.timers.set(timer, now + GRACE)
      if (liveness.state === 'resting') this.probe()
    } else if (timer === 'CONNECT') {
      this.#connectOverdue()
    } else if (timer === 'AUTH') {
      const text = `no answer to the log-in within ${g(this.config.timeouts.auth)} s`
      this.endLink(1000, 'no answer to the log-in')
      this.comeBack(new IMError('AUTH_TIMEOUT', text), text)
    } else if (timer === 'PARTIAL') {
      this.lost('half a message, and then nothing', true)
    } else {
      this.inTrouble(receiving.syncOverdue())
    }
  }

  #connectOverdue(): void {
    const { host, port, timeouts } = this.config
    const text =
      `no WebSocket at ${host}:${port} within ${g(timeouts.connect)} s ` +
      `(stuck ${this.connection})`
    this.drop()
    this.comeBack(new IMError('CONNECTION_TIMEOUT', text), text)
  }

  /**
   * Was the machine asleep, or this process stalled? Then the link is in doubt.
   *
   * Some monotonic clocks stop while a machine sleeps: the wall clock runs ahead of them. Others go
   * on: the look comes late, as after a stall.
   *
   * @param wall what the wall clock says, in seconds since 1970; null: nobody looked.
   */
  protected lookAtClocks(wall: number | null): void {
    const { fx, timers } = this
    const { now } = fx
    let slept = 0
    if (wall !== null) {
      slept = wall - now - fx.wallOffset
      fx.wallOffset = wall - now
    }
    const watch = timers.get('WATCH')
    if (this.config.sleepWatch === null) return
    const asleep = slept > LATE
    if (asleep) this.sending.slept(slept)
    if (asleep || (watch !== null && now - watch > LATE)) {
      const retryAt = timers.get('RECONNECT')
      if (retryAt !== null && asleep) timers.set('RECONNECT', Math.max(now, retryAt - slept))
      if (asleep) this.refresh.slept(slept)
      this.#doubtLink()
    }
  }

  #beat(beat: Beat): void {
    if (beat === 'probe') {
      this.probe()
    } else if (beat === 'dead') {
      const { missed } = this.liveness
      this.lost(`the server is silent: ${missed} heartbeats unanswered`, true)
    }
  }

  protected probe(): void {
    this.liveness.probed(this.fx.now)
    this.fx.say({ type: 'HeartbeatRequest', timestamp: null })
    this.fx.notify({ type: 'HeartbeatSent' })
  }

  protected onNetworkChanged(): void {
    if (this.reconnect === 'waiting') this.hurry()
    this.#doubtLink()
  }

  /** The link may be dead without a sign of it: one probe decides, soon. */
  #doubtLink(): void {
    if (this.login.state !== 'authenticated' || this.liveness.inDoubt) return
    this.liveness.inDoubt = true
    if (!this.paused) this.probe() // else when reading goes on
  }

  // ------------------------------------------------------------ what a part can't settle itself

  protected inTrouble(trouble: Trouble | null): void {
    if (trouble === null || this.connection !== 'open') return
    if (trouble === Trouble.PROBE) {
      if (this.liveness.state === 'resting') this.probe()
    } else if (trouble === Trouble.LOGIN_GONE) {
      this.#loginIsGone()
    } else {
      this.lost(trouble, true)
    }
  }

  /** A message was answered with an auth code: log in again, once per token. */
  #loginIsGone(): void {
    const { login } = this
    const text = 'the server no longer accepts the log-in'
    const error = new IMError('TOKEN_INVALID', text, { retryable: true, terminal: false })
    this.fx.notify({ type: 'AuthFailed', error })
    this.endLink(1000, '', 'nobody', true)
    if (login.loginIsGone()) {
      if (login.token === null) login.to('token_rejected')
      this.comeBack(error, text)
    } else {
      login.to('login_refused')
      this.halt(error, 'the server no longer accepts the token')
    }
  }
}
