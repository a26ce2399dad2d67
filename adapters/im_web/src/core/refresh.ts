/**
 * A new token on the live connection, before the old one expires (protocol.md section 2,
 * `refresh`).
 *
 * Everything here is a decision; the core fetches, sends and tells.
 */

import { LEAST_MARGIN, MARGIN, PACE } from '../generated/tables'
import { Backoff } from './backoff'
import type { CoreConfig } from './config'
import { Trouble } from './effects'
import type { Effects } from './effects'
import { IMError } from './errors'
import type { Login } from './login'
import type { Rng } from './rng'
import { fixed } from './text'
import type { Timers } from './timers'
import { outcome } from './wire/codes'
import type { AuthData, AuthResponse } from './wire/messages'

/** The token that the present link is logged in with, and the one that shall take its place. */
export class Refresh {
  /** the token whose AUTH_REQUEST is unanswered */
  out: string | null = null
  /** the token function is to be asked, or is being asked, for a new one */
  wanted = false
  readonly #config: CoreConfig
  readonly #login: Login
  readonly #fx: Effects
  readonly #timers: Timers
  readonly #rng: Rng
  readonly #backoff: Backoff
  /** the server takes a new token on this link */
  #granted = false
  #expiresAt: number | null = null
  /** the token that is held is to be sent */
  #offering = false
  /** nobody is asked or told again before */
  #notBefore = 0
  /** the peer was asked whether it lives, as it does not answer */
  #probed = false
  /** it was told that this one can't be renewed */
  #told: string | null = null

  /**
   * @param config how long to wait.
   * @param login holds the token of the next log-in.
   * @param fx takes what is to be told.
   * @param timers gets the deadlines.
   * @param rng where delays are drawn from.
   */
  constructor(config: CoreConfig, login: Login, fx: Effects, timers: Timers, rng: Rng) {
    this.#config = config
    this.#login = login
    this.#fx = fx
    this.#timers = timers
    this.#rng = rng
    this.#backoff = new Backoff(config.reconnect)
  }

  // ------------------------------------------------------------ the link

  /** Logged in. What was given meanwhile goes out at once. */
  online(data: AuthData | null, granted: boolean): void {
    this.#granted = granted
    this.#expiresAt = null
    this.#backoff.startOver()
    if (granted && data) this.#plan(data.expiresIn)
    this.tokenHeld()
  }

  /** The link is gone, and its deadlines with it. The next log-in takes what is held. */
  offline(): void {
    this.#granted = this.#offering = this.wanted = false
    this.out = null
  }

  // ------------------------------------------------------------ when

  /** The server says how long its token lasts, or nothing of it. */
  #plan(expiresIn: number | null): void {
    const before = this.#expiresAt
    if (expiresIn === null) {
      this.#expiresAt = null
      return
    }
    const { now } = this.#fx
    this.#expiresAt = now + expiresIn
    const margin = Math.min(Math.max(expiresIn * MARGIN, LEAST_MARGIN), expiresIn / 2)
    let wait = Math.max(expiresIn - margin, PACE)
    if (before !== null && this.#expiresAt < before + PACE) {
      // no better than the one before: the function has no newer one yet
      wait = Math.max(wait, this.#backoff.nextDelay(this.#fx.now, this.#rng, null))
    } else {
      this.#backoff.startOver()
    }
    this.#timers.set('REFRESH', now + wait)
  }

  /** AUTH_EXPIRING came. */
  expiring(expiresIn: number): void {
    if (!this.#granted) return
    this.#expiresAt = this.#fx.now + expiresIn
    if (this.#busy) return
    if (this.#fx.now < this.#notBefore) this.#timers.set('REFRESH', this.#notBefore)
    else this.due()
  }

  /** It is time for a new token. */
  due(): void {
    const login = this.#login
    this.#timers.cancel('REFRESH')
    if (this.#busy) return
    this.#notBefore = this.#fx.now + PACE
    if (login.token !== login.used) {
      this.#offering = true
    } else if (login.fetches) {
      this.wanted = true
    } else if (this.#told !== login.used) {
      this.#told = login.used
      this.#fx.notify({ type: 'ErrorOccurred', error: this.#cannot(), anotherWay: false })
    }
  }

  /** A new token is on its way to the server, or about to be. */
  get awaited(): boolean {
    return this.#offering || this.out !== null
  }

  get #busy(): boolean {
    return this.wanted || this.awaited
  }

  #cannot(): IMError {
    const at = this.#expiresAt
    const when = at === null ? '' : ` in ${fixed(Math.max(0, at - this.#fx.now), 0)} s`
    return new IMError(
      'TOKEN_INVALID',
      `the token expires${when}, and nothing can get another: give the ` +
        'client one, or configure a function as `token`',
      { terminal: false },
    )
  }

  /** The machine has slept so long, and the token went on to grow old. */
  slept(seconds: number): void {
    const at = this.#timers.get('REFRESH')
    if (at !== null) this.#timers.set('REFRESH', Math.max(this.#fx.now, at - seconds))
    if (this.#expiresAt !== null) this.#expiresAt -= seconds
  }

  // ------------------------------------------------------------ the new token

  /** A token came: of the token function, or of the application. */
  tokenHeld(): void {
    if (this.#granted && (this.wanted || this.#login.token !== this.#login.used)) {
      this.#offering = true
    }
    this.wanted = false
  }

  /** The token function has failed. Was it asked for this? Then it will be again. */
  fetchFailed(): boolean {
    const { wanted } = this
    this.wanted = false
    if (wanted) this.#rest()
    return wanted
  }

  #rest(): void {
    const wait = Math.max(this.#backoff.nextDelay(this.#fx.now, this.#rng, null), PACE)
    this.#timers.set('REFRESH', this.#fx.now + wait)
  }

  /** The token to be sent now, if there is one. */
  offer(): string | null {
    if (!this.#offering || this.out !== null) return null
    this.#offering = this.#probed = false
    this.out = this.#login.token
    this.#timers.cancel('REFRESH')
    this.#timers.set('AUTH', this.#fx.now + this.#config.timeouts.auth)
    return this.out
  }

  // ------------------------------------------------------------ the answer

  /** AUTH_RESPONSE came for the token that is out. */
  answered(response: AuthResponse): void {
    const login = this.#login
    const token = this.out!
    this.out = null
    this.#timers.cancel('AUTH')
    const kind = outcome(response.code)
    if (kind === 'success') {
      login.renewed(token)
      const expiresIn = response.data ? response.data.expiresIn : null
      this.#plan(expiresIn)
      this.#fx.notify({ type: 'TokenRefreshed', expiresIn })
    } else {
      const failed = kind === 'server_error'
      if (!failed && login.token === token) login.token = login.used
      const error = new IMError(
        failed ? 'SERVER_ERROR' : kind === 'auth' ? 'TOKEN_INVALID' : 'AUTH_FAILED',
        'the server did not take the new token; the old one serves until it expires',
        {
          serverCode: response.code,
          serverText: response.message,
          retryable: true,
          terminal: false,
        },
      )
      this.#fx.notify({ type: 'AuthFailed', error })
      if (login.fetches || login.token !== login.used) this.#rest()
    }
    // a newer one may have come meanwhile
    this.#offering = login.token !== token && login.token !== login.used
  }

  /** There is no answer: probe first, then drop the link. */
  overdue(probeTimeout: number, late: boolean): Trouble {
    if (late || !this.#probed) {
      this.#probed = true
      this.#timers.set('AUTH', this.#fx.now + probeTimeout)
      return Trouble.PROBE
    }
    return Trouble.NO_REFRESH
  }
}
