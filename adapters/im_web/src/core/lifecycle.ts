/**
 * Does the client want a link, and what it does to get one: a token, a transport, an upgrade.
 *
 * With `ending` the part of `ClientCore` that knows transports, tokens and delays, and nothing of
 * messages. State first, effect after.
 */

import { AUTH_REFUSALS, HURRY_PACE } from '../generated/tables'
import { among, Ending } from './ending'
import { IMError, LocalProtocolError, printable } from './errors'
import type {
  LinkRefused,
  TokenFailed,
  TokenReady,
  TransportFailed,
  TransportOpened,
  UpdateToken,
} from './inputs'
import { verdictOfHttp } from './wire/closes'
import { isToken } from './wire/types'

/** From the wish for a connection to an upgraded link. */
export class Lifecycle extends Ending {
  // ------------------------------------------------------------ the application's wishes

  protected onConnect(): void {
    if (this.reconnect === 'waiting') {
      this.#tryNow()
    } else if (this.#stopped) {
      if (this.login.state === 'refused') this.login.startOver()
      this.#startOver()
    }
  }

  get #stopped(): boolean {
    return ['idle', 'exhausted', 'halted'].includes(this.reconnect)
  }

  #startOver(): void {
    this.reconnectTo('connect_requested')
    this.backoff.startOver()
    this.attempt()
  }

  protected onDisconnect(): void {
    this.sessions.end(new IMError('NETWORK_ERROR', 'disconnect() was called meanwhile'))
    this.#stopFetching()
    if (this.reconnect === 'idle') return
    const wasOpen = this.connection === 'open'
    this.login.excused()
    this.timers.cancel('RECONNECT', 'WATCH')
    this.linkEnds('nobody', true)
    this.reconnectTo('disconnect_requested')
    if (this.login.state === 'refused') this.login.startOver()
    if (wasOpen) this.close(1000, '')
    else if (this.connection !== 'closing') this.drop()
    this.reason = 'disconnected by the application'
    this.wasAuthenticated = false
    this.tellDisconnected(null)
  }

  protected onUpdateToken({ token }: UpdateToken): void {
    if (!isToken(token)) {
      throw new LocalProtocolError('UpdateToken: a token has 1 to 8192 characters, and is text')
    }
    this.login.replace(token)
    this.#cancelFetch()
    this.refresh.tokenHeld()
    if (this.login.state === 'fetching_token') {
      this.#open()
    } else if (this.login.state === 'refused') {
      this.login.to('reset')
      this.#startOver()
    }
  }

  // ------------------------------------------------------------ an attempt

  /** Start one attempt: a token first, then a transport. */
  protected attempt(): void {
    this.drop()
    this.reason = this.backoff.retries ? 'trying again' : 'connecting'
    if (this.login.needsFetch) {
      this.login.to('fetch_started')
      this.fetchToken()
    } else {
      this.#open()
    }
  }

  /** There is a token: ask for a transport. */
  #open(): void {
    this.login.to('token_ready')
    this.transport++
    this.kick = null
    this.sending.blocked = this.half = false
    this.capabilities = [] // nothing is granted on this link yet
    this.fx.inline = false
    this.connectionTo('open_requested')
    const { host, port, secure, timeouts } = this.config
    const { transport } = this
    this.timers.set('CONNECT', this.fx.now + timeouts.connect)
    this.fx.do({ type: 'OpenTransport', transport, host, port, secure, unixPath: null })
  }

  /**
   * There is a network: try soon, unless the server said when. At a pace, as a system may tell of it
   * many times.
   */
  protected hurry(): void {
    const { now } = this.fx
    const retryAt = this.timers.get('RECONNECT')
    const soon = Math.max(now, this.hurriedAt + HURRY_PACE)
    if (this.backoff.asked || retryAt === null || soon >= retryAt) return
    this.backoff.early = true
    this.hurriedAt = soon
    if (soon > now) this.timers.set('RECONNECT', soon)
    else this.#tryNow()
  }

  #tryNow(): void {
    this.timers.cancel('RECONNECT')
    this.retry()
  }

  /** The delay is over. */
  protected retry(): void {
    this.reconnectTo('retry_due')
    this.attempt()
  }

  /** Ask the token function, unless it is being asked: whoever needs a token gets that one. */
  protected fetchToken(): void {
    const { login } = this
    if (!login.asking) {
      login.asking = true
      login.request++
      this.timers.set('TOKEN', this.fx.now + this.config.timeouts.token)
      this.fx.do({ type: 'FetchToken', request: login.request })
    }
  }

  protected onTokenReady({ request, token }: TokenReady): void {
    if (!this.#fetching(request)) return
    if (!isToken(token)) {
      this.tokenFailed('it returned no token of 1 to 8192 characters of text')
      return
    }
    this.timers.cancel('TOKEN')
    this.login.take(token)
    this.refresh.tokenHeld()
    this.sessions.tokenReady()
    if (this.login.state === 'fetching_token') this.#open()
  }

  protected onTokenFailed({ request, reason }: TokenFailed): void {
    if (this.#fetching(request)) this.tokenFailed(printable(reason))
  }

  #fetching(request: number): boolean {
    return this.login.asking && request === this.login.request
  }

  protected tokenFailed(why: string): void {
    const error = new IMError('AUTH_FAILED', `the token function failed: ${why}`, {
      retryable: true,
      terminal: false,
    })
    this.timers.cancel('TOKEN')
    this.login.asking = false
    this.sessions.tokenFailed(error)
    if (this.refresh.fetchFailed()) this.fx.notify({ type: 'AuthFailed', error })
    if (this.login.state === 'fetching_token') {
      this.login.to('fetch_failed')
      this.fx.notify({ type: 'AuthFailed', error })
      this.comeBack(error, 'the token function failed')
    }
  }

  #stopFetching(): void {
    this.#cancelFetch()
    if (this.login.state === 'fetching_token') this.login.to('reset')
  }

  #cancelFetch(): void {
    const { login } = this
    if (login.asking) {
      login.asking = false
      this.timers.cancel('TOKEN')
      this.fx.do({ type: 'CancelToken', request: login.request })
    }
  }

  protected onTransportOpened({ transport }: TransportOpened): void {
    this.#isTo('opening', 'TransportOpened')
    this.connectionTo('transport_opened')
    this.fx.do({ type: 'StartLink', transport })
  }

  protected onTransportFailed({ kind, reason }: TransportFailed): void {
    this.#isTo('opening', 'TransportFailed')
    const where = `could not reach ${this.config.host}:${this.config.port}`
    const error = new IMError(
      'CONNECTION_FAILED',
      `${where}: ${printable(reason) || kind} (${kind})`,
    )
    this.gone()
    this.comeBack(error, `${where} (${kind})`)
  }

  protected onLinkRefused({ status, reason, retryAfter }: LinkRefused): void {
    this.#isTo('handshaking', 'LinkRefused')
    const verdict = verdictOfHttp(status)
    const refused = among(AUTH_REFUSALS, status)
    const error = new IMError(refused ? 'AUTH_FAILED' : 'CONNECTION_FAILED', verdict.reason, {
      serverCode: status,
      serverText: reason || null,
      retryable: verdict.reconnect,
      terminal: !verdict.reconnect,
    })
    this.drop()
    if (refused) {
      this.fx.notify({ type: 'AuthFailed', error })
      this.login.to('login_refused')
    }
    this.comeBack(error, verdict.reason, verdict, retryAfter)
  }

  /** @throws LocalProtocolError: the connection is in another state. */
  #isTo(state: string, input: string): void {
    if (this.connection !== state) {
      throw new LocalProtocolError(`${input}: the connection is ${this.connection}`)
    }
  }
}
