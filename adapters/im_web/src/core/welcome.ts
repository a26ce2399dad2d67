/**
 * What follows when a link is up: the log-in, its answer, and a new token on the way.
 *
 * The part of `ClientCore` in which a link becomes a log-in: state first, effect after.
 */

import { CAPABILITIES, LAST_PLAUSIBLE_ID } from '../generated/tables'
import type { Capability } from '../generated/types'
import { Deadlines } from './deadlines'
import { FRAME_LIMITS } from './ending'
import type { IMError } from './errors'
import type { LinkOpened } from './inputs'
import { authRequest } from './login'
import type { AuthData, AuthResponse, ClientMessage } from './wire/messages'

/** From an upgraded link to a log-in, or to none. */
export class Welcome extends Deadlines {
  protected onLinkOpened({ capable }: LinkOpened): void {
    const { fx, login, timers } = this
    this.connectionTo('handshake_accepted')
    timers.cancel('CONNECT')
    this.toldConnected = true
    fx.notify({ type: 'Connected' })
    login.linkOpened(capable)
    this.askedAt = fx.now
    timers.set('AUTH', fx.now + this.config.timeouts.auth)
    this.#sayAlone(login.requestMessage(this.receiving.inbox.resume()))
    this.reason = 'connected, logging in'
  }

  /** Alone, and never in a batch. */
  #sayAlone(message: ClientMessage): void {
    this.fx.say(message)
    this.fx.flush(this.transport, { batch: 1, frameBytes: 0 })
  }

  protected onAuthResponse(response: AuthResponse): void {
    const { login, refresh } = this
    if (refresh.out === null && login.state !== 'authenticating') {
      this.violated('AUTH_RESPONSE without a log-in')
      return
    }
    const stranger = login.otherUser(response)
    if (stranger) {
      this.#refused(stranger, stranger.text)
      return
    }
    if (refresh.out !== null) {
      refresh.answered(response)
      return
    }
    this.timers.cancel('AUTH')
    login.excused()
    const [answer, error] = login.judge(response)
    if (!error) {
      this.#welcome(response)
    } else if (answer === 'refused') {
      this.#refused(error, 'the server refused the log-in')
    } else {
      this.fx.notify({ type: 'AuthFailed', error })
      this.endLink(1000, '')
      if (answer === 'new_token') login.to('token_rejected')
      this.comeBack(error, error.text)
    }
  }

  /** This log-in can't be, and trying again won't help. */
  #refused(error: IMError, reason: string): void {
    this.login.excused()
    this.fx.notify({ type: 'AuthFailed', error })
    this.endLink(1000, '')
    this.login.to('login_refused')
    this.halt(error, reason)
  }

  #welcome(response: AuthResponse): void {
    const { config, fx, login, receiving } = this
    const { now } = fx
    const data = login.askedForExtensions ? response.data : null
    const granted = CAPABILITIES.filter((name) => data?.capabilities?.includes(name)).sort()
    const has = (name: Capability): boolean => granted.includes(name)
    this.capabilities = granted
    fx.inline = has('inline')
    this.limits = data?.limits ?? FRAME_LIMITS
    login.to('accepted')
    this.reconnectTo('succeeded')
    this.backoff.authenticated(now)
    this.lastError = null
    this.reason = 'logged in'
    if (login.welcomed()) fx.notify({ type: 'ExtensionsRefused', wsUrl: config.wsUrl })
    this.liveness.start(data?.heartbeat ?? null, now, now - this.askedAt)
    this.watch()
    const idempotent = data !== null && data.deviceId === this.deviceId
    this.sending.online({
      idempotent,
      status: has('status'),
      lastId: this.#lastId(data),
      limits: data?.limits ?? null,
    })
    fx.notify({
      type: 'Authenticated',
      userId: config.userId,
      username: response.data?.username ?? null,
      capabilities: granted,
    })
    this.refresh.online(data, has('refresh'))
    this.sessions.online(has('sessions'))
    this.life.online(has('typing'))
    const resumed = data !== null && receiving.online(data, has('seq'))
    if (this.wasAuthenticated) {
      fx.counters.reconnects++
      fx.notify({ type: 'Reconnected', resumed })
    }
    this.wasAuthenticated = true
    this.#tellGuarantee(idempotent)
  }

  /** The highest msgId that the server knows of this device; 0: none, or none that can be. */
  #lastId(data: AuthData | null): number {
    const lastId = data?.lastMsgId ?? 0
    if (typeof lastId === 'number' && lastId <= LAST_PLAUSIBLE_ID) return lastId
    this.violated('lastMsgId is too far ahead to be one of this device; it is ignored')
    return 0
  }

  #tellGuarantee(idempotent: boolean): void {
    const unsure = this.config.resendWhenUnsure ? 'at-least-once' : 'at-most-once'
    const guarantee = idempotent ? 'exactly-once' : unsure
    if (guarantee !== this.guarantee) {
      this.guarantee = guarantee
      this.fx.notify({ type: 'GuaranteeChanged', guarantee })
    }
  }

  /** Send a new token, if there is one for this link. */
  protected offerToken(): void {
    const accessToken = this.refresh.offer()
    if (accessToken !== null) this.#sayAlone(authRequest(accessToken))
  }
}
