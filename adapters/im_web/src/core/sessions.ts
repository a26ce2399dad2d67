/**
 * Calls about sessions: which way they go, what an answer leads to, what is tried again
 * (protocol.md section 3).
 *
 * They go over the WebSocket where the server takes them there, and wait for it while it is lost;
 * else over HTTP, which needs a token and no connection. `Sessions` decides; the core carries out,
 * and gets a token for it where none is held.
 */

import { ACTIVE, GRACE, MAX_CALLS } from '../generated/tables'
import { Backoff } from './backoff'
import { Call } from './calling'
import type { CoreConfig } from './config'
import { Trouble } from './effects'
import type { Effects } from './effects'
import { IMError, LocalProtocolError, printable } from './errors'
import type { HttpAnswered, HttpFailed, SessionCall } from './inputs'
import type { Login } from './login'
import type { Rng } from './rng'
import { SessionCache } from './session-cache'
import { checked, is404, overLink, readResponse, refusal, serverError } from './session-calls'
import type { Reply } from './session-calls'
import { fitsAHeader, readReply, request } from './session-http'
import { g } from './text'
import type { Timers } from './timers'
import type { SessionResponse } from './wire/extensions'
import { BadAnswer, readHistory, readSession, readSessions } from './wire/session'
import type { Answer, SessionVO } from './wire/session'

/** The calls under way, and (`cache`) the sessions that are known. */
export class Sessions {
  readonly cache = new SessionCache()
  readonly #config: CoreConfig
  readonly #login: Login
  readonly #fx: Effects
  readonly #timers: Timers
  readonly #rng: Rng
  readonly #calls = new Map<string, Call>()
  #requests = 0
  /** calls go over the present link */
  #online = false
  /** … and will over the next one, as far as we know */
  #takesCalls = false

  /**
   * @param config where to ask.
   * @param login whose token is used.
   * @param fx takes what is to be done.
   * @param timers gets the deadlines.
   * @param rng where delays are drawn from.
   */
  constructor(config: CoreConfig, login: Login, fx: Effects, timers: Timers, rng: Rng) {
    this.#config = config
    this.#login = login
    this.#fx = fx
    this.#timers = timers
    this.#rng = rng
  }

  // ------------------------------------------------------------ the link

  /** Logged in; `granted`: the server takes calls over this link. */
  online(granted: boolean): void {
    this.#online = this.#takesCalls = granted
  }

  /** The link is gone: what was out on it goes again over the next one. */
  offline(): void {
    this.#online = false
    for (const call of this.#all()) {
      if (call.linked && call.request) {
        call.request = 0
        call.unsure = true
        call.trouble = 'the connection was lost before the answer'
      }
    }
  }

  /** Does a call go over the WebSocket, now or when there is one again? */
  takesLink(linkWanted: boolean): boolean {
    return this.#online || (this.#takesCalls && linkWanted)
  }

  /** An answer is awaited over the link. */
  get awaited(): boolean {
    return this.#all().some((call) => call.linked && call.request)
  }

  #all(): Call[] {
    return [...this.#calls.values()]
  }

  // ------------------------------------------------------------ in

  /**
   * The application wants something.
   *
   * What is asked already is not asked twice: both get the one answer, and by the deadline of the
   * first.
   *
   * @throws LocalProtocolError: what it wants is not complete, or its ref is in use.
   * @throws IMError: QUEUE_FULL.
   */
  call(wish: SessionCall): void {
    if (this.#all().some((call) => call.refs.includes(wish.ref))) {
      throw new LocalProtocolError(`SessionCall: ref ${wish.ref} is in use`)
    }
    const asked = checked(wish)
    const key = JSON.stringify(asked)
    const same = this.#calls.get(key)
    if (same) {
      same.refs.push(wish.ref)
      return
    }
    if (this.#calls.size >= MAX_CALLS) {
      throw new IMError('QUEUE_FULL', `${MAX_CALLS} calls about sessions are under way already`)
    }
    const deadline = this.#fx.now + this.#config.http.timeout
    const backoff = new Backoff(this.#config.reconnect)
    this.#calls.set(key, new Call(asked, key, wish.ref, deadline, backoff))
    this.#arm()
  }

  /** SESSION_RESPONSE came; a stale one changes nothing. */
  responded(response: SessionResponse): Trouble | null {
    const call = this.#all().find(
      (call) => call.linked && call.request && `${call.request}` === response.id,
    )
    return call ? this.#took(call, readResponse(response)) : null
  }

  /** An answer came over HTTP; a stale one changes nothing. */
  answered(answered: HttpAnswered): void {
    const call = this.#of(answered.request)
    if (!call) return
    let reply: Reply
    try {
      reply = readReply(answered)
    } catch (bad) {
      call.request = 0
      reply = { kind: 'refused', answer: null, status: answered.status, retryAfter: null }
      this.#unreadable(call, bad, reply)
      return
    }
    this.#took(call, reply)
  }

  #took(call: Call, reply: Reply): Trouble | null {
    call.request = 0
    call.unsure = false
    const { kind } = reply
    if (kind === 'success') {
      try {
        this.#succeeded(call, reply.answer!)
      } catch (bad) {
        this.#unreadable(call, bad, reply)
      }
    } else if (kind === 'auth') {
      return this.#tokenRefused(call, reply)
    } else if (call.doing === 'startChat' && is404(reply)) {
      call.doing = 'get'
    } else if (kind === 'absent' && call.doing === 'get') {
      this.#absent(call)
    } else if (kind === 'failed') {
      const error = serverError('SERVER_ERROR', 'the server failed', reply, true)
      this.#tryAgain(call, error, reply.retryAfter)
    } else {
      this.#fail(call, refusal(call.doing, reply))
    }
    return null
  }

  #unreadable(call: Call, bad: unknown, reply: Reply): void {
    if (!(bad instanceof BadAnswer)) throw bad
    const text = `the server's answer can't be read: ${bad.message}`
    this.#fail(call, serverError('SERVER_ERROR', text, reply))
  }

  /** There is no answer; a stale one changes nothing. */
  failed(failed: HttpFailed): void {
    const call = this.#of(failed.request)
    if (!call) return
    call.request = 0
    this.#tryAgain(call, call.lost(printable(failed.reason) || 'no answer'), null)
  }

  /** The token function has answered: whoever waited for that goes on, with whatever it is. */
  tokenReady(): void {
    for (const call of this.#all()) call.refused = false
  }

  /** There is no token: whoever waited for one can't go on. */
  tokenFailed(error: IMError): void {
    for (const call of this.#all()) if (call.wantsToken) this.#fail(call, error)
  }

  /** Every call ends now. */
  end(error: IMError): void {
    for (const call of this.#all()) this.#fail(call, error)
  }

  // ------------------------------------------------------------ time

  /** A call has taken too long, unless it is we who were asleep. */
  overdue(late: boolean): void {
    const { now } = this.#fx
    for (const call of this.#all()) {
      if (call.deadline > now) continue
      if (late) {
        call.deadline = now + GRACE // its answer may be here, unread
      } else {
        const before = call.trouble && `; before that: ${call.trouble}`
        const text = `no answer within ${g(this.#config.http.timeout)} s${before}`
        this.#fail(call, new IMError('NETWORK_ERROR', text))
      }
    }
    this.#arm()
  }

  /** A call is to be tried again. */
  retryDue(): void {
    for (const call of this.#all()) {
      if (call.retryAt !== null && call.retryAt <= this.#fx.now) call.retryAt = null
    }
    this.#arm()
  }

  #arm(): void {
    const calls = this.#all()
    const timers = this.#timers
    const arm = (timer: 'SESSION' | 'SESSION_RETRY', times: number[]): void => {
      if (times.length) timers.set(timer, Math.min(...times))
      else timers.cancel(timer)
    }
    arm(
      'SESSION',
      calls.map((call) => call.deadline),
    )
    arm(
      'SESSION_RETRY',
      calls.flatMap((call) => call.retryAt ?? []),
    )
  }

  // ------------------------------------------------------------ out

  /**
   * Send what may go. Is a token wanted for the rest?
   *
   * @param linkWanted there is a link, or will be one if all goes well.
   */
  pump(linkWanted: boolean): boolean {
    const waitsForLink = this.takesLink(linkWanted)
    for (const call of this.#all()) {
      if (!call.ready) continue
      const { token } = this.#login
      call.wantsToken = false
      if (this.#online) {
        this.#say(call)
      } else if (waitsForLink) {
        continue
      } else if (call.unsure && call.doing === 'create') {
        call.linked = false
        this.#fail(call, call.lost(call.trouble))
      } else if (token === null || (call.refused && call.token === token)) {
        call.wantsToken = true
      } else {
        this.#send(call, token)
      }
    }
    return this.#all().some((call) => call.wantsToken)
  }

  #say(call: Call): void {
    call.request = ++this.#requests
    call.linked = true
    const { userId } = this.#config
    this.#fx.say(overLink(call.doing, call.wish, call.sessionId, userId, call.request))
  }

  #send(call: Call, token: string): void {
    if (!fitsAHeader(token)) {
      const text = 'the token is none that an HTTP header can hold: printable ASCII, trimmed'
      this.#fail(call, new IMError('TOKEN_INVALID', text, { terminal: false }))
      return
    }
    call.token = token
    call.refused = call.linked = false
    call.request = ++this.#requests
    this.#fx.do(request(this.#config, call, Math.max(0, call.deadline - this.#fx.now)))
  }

  // ------------------------------------------------------------ what an answer leads to

  #succeeded(call: Call, answer: Answer): void {
    if (call.doing === 'getCurrent') {
      this.#done(call, readSessions(answer.data))
      return
    }
    if (call.doing === 'history') {
      const page = readHistory(answer.data, call.wish.pageSize)
      this.#forget(call)
      for (const ref of call.refs) this.#fx.notify({ type: 'HistoryFetched', ref, page })
      return
    }
    const told = readSession(answer.data)
    if (told !== null && typeof told === 'object') {
      const ended = told.sessionStatus !== null && told.sessionStatus !== ACTIVE
      // does it do in two steps what startChat does in one?
      const fallsBack = call.wish.op === 'startChat' && call.sessionId === null
      if (fallsBack && call.doing === 'get' && ended) {
        call.doing = 'create' // what startChat would do: "the open one"
      } else {
        this.#done(call, [told])
      }
    } else if (told === null && call.doing === 'get') {
      this.#absent(call)
    } else if (told !== null && call.sessionId === null) {
      // made; the rest of it has to be asked for
      call.sessionId = told
      call.doing = 'get'
    } else {
      throw new BadAnswer('data: there is no session in it')
    }
  }

  /** GET found nothing. */
  #absent(call: Call): void {
    if (call.wish.op === 'get') {
      if (call.sessionId !== null) this.cache.drop(call.sessionId)
      this.#done(call, [])
    } else if (call.sessionId === null) {
      call.doing = 'create'
    } else {
      const text = `the server made session ${call.sessionId}, and does not know it`
      this.#fail(call, new IMError('SESSION_NOT_FOUND', text))
    }
  }

  #tokenRefused(call: Call, reply: Reply): Trouble | null {
    const overLink = reply.status === null
    if (!call.renewed && (overLink || this.#login.fetches)) {
      call.renewed = true
      call.refused = !overLink
      return overLink ? Trouble.LOGIN_GONE : null
    }
    this.#fail(call, serverError('TOKEN_INVALID', 'the server refused the token', reply))
    return null
  }

  #tryAgain(call: Call, error: IMError, retryAfter: number | null): void {
    if (call.repeatable) {
      const at = this.#fx.now + call.backoff.nextDelay(this.#fx.now, this.#rng, retryAfter)
      if (at < call.deadline) {
        call.retryAt = at
        call.trouble = error.text
        this.#arm()
        return
      }
    }
    this.#fail(call, error)
  }

  // ------------------------------------------------------------ the end of a call

  #done(call: Call, sessions: SessionVO[]): void {
    for (const session of sessions) this.cache.keep(session)
    this.#forget(call)
    for (const ref of call.refs) this.#fx.notify({ type: 'SessionFetched', ref, sessions })
  }

  #fail(call: Call, error: IMError): void {
    if (call.wish.sessionId === null && call.sessionId !== null) {
      const text = `session ${call.sessionId} was made, but not told of: ${error.text}`
      error = new IMError(error.code, text, error)
    }
    this.#forget(call)
    for (const ref of call.refs) this.#fx.notify({ type: 'SessionFailed', ref, error })
  }

  #forget(call: Call): void {
    if (call.request && !call.linked) this.#fx.do({ type: 'CancelHttp', request: call.request })
    this.#calls.delete(call.key)
    this.#arm()
  }

  #of(request: number): Call | undefined {
    return this.#all().find((call) => call.request === request && request && !call.linked)
  }
}
