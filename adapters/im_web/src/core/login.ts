/**
 * The log-in: what is asked, what the answer means, and which token is used.
 *
 * Everything here is a decision; `core` carries it out.
 */

import { CAPABILITIES, STRICT_AFTER, TOKEN_INVALID } from '../generated/tables'
import type { CoreConfig } from './config'
import { IMError } from './errors'
import type { IMErrorCode } from './errors'
import { AUTH } from './machines'
import { repr } from './text'
import { outcome } from './wire/codes'
import type { AuthRequest, AuthResponse, ResumeFrom } from './wire/messages'
import { asId } from './wire/types'
import type { UserId } from './wire/types'

/**
 * What an AUTH_RESPONSE comes down to.
 *
 * - `new_token`: with another token it may work, and another token can be had
 * - `failed`: trying again, as after any failure, may work
 * - `refused`: trying again won't help
 */
export type LoginAnswer = 'welcome' | 'new_token' | 'failed' | 'refused'

/** The answer, and the error to tell if it isn't `welcome`. */
export type Judgement = [answer: LoginAnswer, error: IMError | null]

/** A log-in that says nothing but a token. */
export function authRequest(accessToken: string): AuthRequest {
  return {
    type: 'AuthRequest',
    accessToken,
    userId: null,
    capabilities: null,
    deviceId: null,
    limits: null,
    resume: null,
  }
}

/** The client's token and its log-in on the present link. */
export class Login {
  /** there is a function that gets a token */
  readonly fetches: boolean
  state = AUTH.initial
  token: string | null
  /** the token that the present log-in, or the last one, is made with; a renewal changes it */
  used: string | null = null
  /** the FetchToken that is, or was last, waited for */
  request = 0
  /** it is waited for: by the log-in, by session calls, or by both */
  asking = false
  /** this server can't take section 2 */
  plain: boolean
  readonly #config: CoreConfig
  readonly #deviceId: string
  /** the token whose log-in was gone when a message came; it is not tried a third time */
  #doubted: string | null = null
  /** a token that came meanwhile takes the place of a refused one */
  #tryingNewer = false
  /** a token is wanted in place of a refused one */
  #replacing = false
  /** the token came in place of a refused one, and has not logged in yet */
  #fresh = false
  /** … and no message was accepted with it yet */
  #unproven = false
  /** the next log-in is a plain one, to find out whether the server is strict */
  #tryingPlain = false
  /** it was never meant to be asked for section 2 */
  readonly #neverAsks: boolean
  #unanswered = 0
  /** the end of this log-in, if it comes without an answer, is no sign of a strict server */
  #excused = false
  /** this server has taken a log-in that asked for section 2 */
  #takesExtensions = false

  /**
   * @param config whose token and user.
   * @param deviceId this client's name at the server.
   * @param extensions section 2 may be asked for, until a server turns out to be strict.
   */
  constructor(config: CoreConfig, deviceId: string, extensions: boolean) {
    this.#config = config
    this.#deviceId = deviceId
    this.token = config.token
    this.fetches = config.token === null
    this.plain = this.#neverAsks = !extensions
  }

  /** Move on in the auth machine. */
  to(event: string): void {
    this.state = AUTH.next(this.state, event)
  }

  // ------------------------------------------------------------ the token

  /** Is there no token, and a function that gets one? */
  get needsFetch(): boolean {
    return this.token === null && this.fetches
  }

  /** The token function has answered. */
  take(token: string): void {
    this.token = token
    this.asking = false
    if (this.#replacing) {
      this.#fresh = this.#unproven = true
      this.#replacing = false
    }
  }

  /** The application's own new token clears every doubt. */
  replace(token: string): void {
    this.token = token
    this.#clearDoubts()
  }

  /** connect() after a refusal: another token, if there is a function that gets one. */
  startOver(): void {
    this.to('reset')
    if (this.fetches) this.token = null
    this.#clearDoubts()
  }

  #clearDoubts(): void {
    this.#doubted = null
    this.#replacing = this.#fresh = this.#unproven = false
  }

  /**
   * The token was refused. Is there a way on: another that was given meanwhile, or a function that
   * can still be asked for one?
   *
   * A token that came in place of a refused one and is refused as well ends the asking.
   */
  doubt(): boolean {
    if (this.#newer) {
      this.#tryingNewer = true
      return true
    }
    if (!this.fetches || this.#fresh) return false
    this.#askForAnother()
    return true
  }

  /** A message was answered with an auth code. May we log in again? Once per token. */
  loginIsGone(): boolean {
    if (this.#newer) return true
    if (this.#unproven || this.token === this.#doubted) return false
    this.#doubted = this.token
    if (this.fetches) this.#askForAnother()
    return true
  }

  /** Is there a token that came since the log-in? */
  get #newer(): boolean {
    return this.token !== null && this.token !== this.used
  }

  #askForAnother(): void {
    this.token = null
    this.#replacing = true
  }

  /** The server has taken a message under this log-in: the token is good. */
  messageAccepted(): void {
    this.#unproven = false
  }

  /** The server has taken a new token on the live connection. It has its own chance. */
  renewed(token: string): void {
    this.used = token
    this.#fresh = this.#unproven = false
  }

  /** Will the next attempt do something else about what ended the last one? */
  get anotherWay(): boolean {
    const looking = this.#tryingPlain || (this.#unanswered > 0 && this.#unanswered < STRICT_AFTER)
    return this.#replacing || this.#tryingNewer || (looking && !this.plain)
  }

  // ------------------------------------------------------------ the request

  /** The link is up and AUTH_REQUEST goes out; a `capable` server is no strict one. */
  linkOpened(capable: boolean): void {
    if (capable) {
      this.#takesExtensions = true
      this.#tryingPlain = false
    }
    this.to('request_sent')
  }

  /** AUTH_REQUEST as this server can take it (protocol.md section 1, "Strict servers"). */
  requestMessage(resume: ResumeFrom | null): AuthRequest {
    this.#excused = false
    this.used = this.token
    this.#tryingNewer = false
    const { userId, messageBytes } = this.#config
    const request = authRequest(this.token!)
    // to a server that is, or may be, strict about unknown keys: accessToken alone
    const bare = !this.#neverAsks && !this.askedForExtensions
    if (bare) return request
    request.userId = userId
    if (this.plain) return request
    return {
      ...request,
      capabilities: [...CAPABILITIES],
      deviceId: this.#deviceId,
      limits: { frameBytes: messageBytes, batch: 64 },
      resume,
    }
  }

  /** Did, or will, the log-in of this link ask for section 2? */
  get askedForExtensions(): boolean {
    return !this.plain && !this.#tryingPlain
  }

  // ------------------------------------------------------------ the answer

  /** The log-in of this link was answered, or the end of the link says why it was not. */
  excused(): void {
    this.#excused = true
  }

  /** The link ended while AUTH_REQUEST was out. */
  ended(): void {
    if (!this.#excused) this.#noAnswer()
  }

  /** The log-in of this link ended without AUTH_RESPONSE, or with 400. */
  #noAnswer(): void {
    if (this.plain || this.#takesExtensions) return
    if (this.#tryingPlain) {
      this.#tryingPlain = false
      this.#unanswered = 0
      return
    }
    this.#tryingPlain = ++this.#unanswered >= STRICT_AFTER
  }

  /** The log-in worked. Was it the plain one that was tried for lack of an answer? */
  welcomed(): boolean {
    this.#unanswered = 0
    this.#fresh = false
    if (this.askedForExtensions) this.#takesExtensions = true
    const strict = this.#tryingPlain
    this.#tryingPlain = false
    this.plain ||= strict
    return strict
  }

  /** The server takes us for somebody else: whatever followed would be of another user. */
  otherUser(response: AuthResponse): IMError | null {
    const told = response.data?.userId ?? null
    const { userId } = this.#config
    if (outcome(response.code) !== 'success' || told === null || told === userId) return null
    return new IMError(
      'AUTH_FAILED',
      `the token is of user ${written(told)}, and user_id is ${written(userId)}: the server ` +
        'logged in another user than the one who was asked for',
    )
  }

  /** What an answer comes down to. */
  judge(response: AuthResponse): Judgement {
    const kind = outcome(response.code)
    if (kind === 'success') return ['welcome', null]
    const error = (code: IMErrorCode, text: string, again?: boolean): IMError =>
      new IMError(code, text, {
        serverCode: response.code,
        serverText: response.message,
        ...(again && { retryable: true, terminal: false }),
      })
    if (kind === 'auth') {
      if (this.doubt()) {
        const text = 'the token was refused; another takes its place'
        return ['new_token', error('TOKEN_INVALID', text, true)]
      }
      const code = response.code === TOKEN_INVALID ? 'TOKEN_INVALID' : 'AUTH_FAILED'
      const text = 'the server refused the token; give the client a new one'
      return ['refused', error(code, text)]
    }
    if (kind === 'server_error') {
      return ['failed', error('SERVER_ERROR', 'the server failed while logging in')]
    }
    if (response.code === 400 && this.askedForExtensions) {
      this.#noAnswer()
      return ['failed', error('AUTH_FAILED', 'the server could not read the log-in', true)]
    }
    return ['refused', error('AUTH_FAILED', 'the server refused the log-in')]
  }
}

/** A name in quotes, or an id. */
function written(user: UserId): string {
  return asId(user) === null ? repr(user) : `${user}`
}
