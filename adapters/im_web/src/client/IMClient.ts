/** `IMClient`: what an application holds. It carries things to and from the engine, and decides nothing. */

import { IMError, LocalProtocolError } from '../core/errors'
import type { Event, SessionOp } from '../generated/types'
import type {
  ChatSendToOneRequest,
  ConnectionState,
  ConnectOptions,
  Environment,
  Guarantee,
  Id,
  IMClientConfig,
  IMEventCallback,
  IMEventCallbacks,
  IMEventName,
  Inspection,
  Notice,
  SentMessage,
  SessionVO,
  TabRole,
  UserId,
} from '../types'
import { Callbacks } from './callbacks'
import type { Answer, Engine, SessionParams } from './engine'
import { environment } from './environment'
import { listen } from './hints'
import { received } from './inbox'
import { Membership, type Home } from './membership'
import { Outbox } from './outbox'
import type { Sent, SentData } from './sent'
import { SessionMethods } from './sessions'
import { settings, type Settings } from './settings'
import { Standing } from './standing'
import { startEngine } from './start'
import { Tabs } from './tabs'
import { tell } from './telling'

/**
 * A chat client that keeps its connection and its promises.
 *
 *     const client = new IMClient({ wsUrl, token, userId })
 *     client.setCallbacks({ messageReceived: (message) => show(message) })
 *     await client.connect()
 *     await client.sendMessage({ toUserId: 456, content: 'hello' })
 *
 * Tabs of one page with the same server, user and device share a connection, and what is queued: see
 * `role`. What a client does goes on until `close()`.
 */
export class IMClient extends SessionMethods {
  /** Vue is not to wrap it: a Proxy can't reach what is private to a class. */
  readonly __v_skip = true
  readonly #config: IMClientConfig
  /** where a token comes from; a function goes before what was given later */
  #source: IMClientConfig['token']
  readonly #settings: Settings
  readonly #env: Environment
  readonly #callbacks: Callbacks
  readonly #standing: Standing
  readonly #outbox: Outbox
  readonly #member: Membership
  readonly #deaf: () => void
  #closing: Promise<void> | null = null
  #closed = false
  #outboxTold = true

  /**
   * @param config - everything that a client is told.
   * @throws {LocalProtocolError} the configuration is wrong; names the key.
   */
  constructor(config: IMClientConfig) {
    super()
    this.#config = config
    this.#source = config.token
    this.#settings = settings(config)
    const env = (this.#env = environment(config.environment))
    this.#callbacks = new Callbacks(env.now)
    this.#standing = new Standing(env)
    const changed = (): void => this.#outboxChanged()
    this.#outbox = new Outbox((sent) => this.#cancel(sent), changed)

    const { wsUrl, userId, deviceId, contentUnits } = this.#settings.config
    const name = `im-client ${wsUrl} ${userId}${deviceId === null ? '' : ` ${deviceId}`}`
    const missing = config.tabs === false ? null : Tabs.missing(env)
    const alone = config.tabs === false || missing !== null
    const home: Home = {
      userId,
      start: () => this.#start(name),
      hear: (event, sent) => this.#hear(event, sent),
      stateChanged: () => this.#callbacks.tell('stateChanged', this.getConnectionState()),
      notice: (notice) => this.#notice(notice),
      token: (token) => this.#token(token),
    }
    const first = { deviceId: deviceId ?? '', contentUnits }
    this.#member = new Membership(env, alone ? null : name, this.#outbox, home, first)
    this.#member.start()
    if (missing !== null) this.#notice({ type: 'TabsUnavailable', reason: missing })
    this.#deaf = listen(env, {
      network: (online) => this.#network(online),
      awake: () => {
        this.#member.resume()
        this.#member.engine?.hint(false)
      },
      asleep: () => this.#member.pause(),
    })
  }

  // ---------------------------------------------------------------- connecting

  /**
   * Connect and log in. Resolves when logged in, at once if it is.
   *
   * After a failure nothing is left running; what is queued stays queued. Once it has resolved, the
   * client comes back by itself after every lost connection.
   *
   * @throws {IMError} CONNECTION_FAILED, CONNECTION_TIMEOUT, CONNECTION_LOST, AUTH_FAILED,
   * AUTH_TIMEOUT, TOKEN_INVALID, RECONNECT_FAILED …
   * @throws {LocalProtocolError} the client is closed.
   */
  async connect({ timeout = 30_000, retry = false }: ConnectOptions = {}): Promise<void> {
    this.#check('connect()')
    while (this.#closing) await this.#closing
    this.#check('connect()')
    const { wanted } = this.#member
    if (wanted && this.getConnectionState().status === 'authenticated') return
    this.#standing.gaveUp = null
    // before anything can fail
    const login = this.#standing.wait(retry, timeout, (ms) => this.#late(ms))
    this.#member.connect()
    const error = await login
    if (!error) return
    if (this.#member.wanted && !this.#standing.waiting) {
      await this.#disconnect()
      this.#standing.gaveUp = error
    }
    throw error
  }

  /**
   * End the connection; resolves when it is gone and the callbacks were called, in bounded time.
   * Other tabs keep theirs.
   *
   * What is queued stays queued, and goes out after another `connect()`. Messages that came in and
   * are not handled come again then. Twice is no error.
   */
  async disconnect(): Promise<void> {
    this.#standing.gaveUp = null
    const text = 'disconnect() was called meanwhile'
    this.#standing.turnAway(new IMError('CONNECTION_FAILED', text))
    const { inside } = this.#callbacks // who is called now is not waited for
    await this.#disconnect()
    if (!inside) await this.#drained()
  }

  /**
   * `disconnect()`, and the storage is closed, for good: what was queued stays in it, for the next
   * client. Twice is no error.
   */
  async close(): Promise<void> {
    if (this.#closed) return
    await this.disconnect()
    this.#closed = true
    this.#deaf()
    await this.#member.close()
    const text =
      'the client was closed before the server had accepted the message; what is stored stays'
    this.#outbox.giveUp(new IMError('MESSAGE_SEND_FAILED', text))
  }

  /** A client that waits for its next attempt makes it now; one that has given up begins again. */
  tryNow(): void {
    if (this.#closed || !this.#member.wanted) return
    this.#standing.gaveUp = null
    this.#member.connect()
  }

  /**
   * Use this token from now on: at once on a connection whose server can take it there, else from
   * the next log-in on. A client that gave up over its log-in goes on.
   *
   * @throws {LocalProtocolError} not 1 to 8192 characters.
   */
  updateAccessToken(token: string): void {
    this.#input({ type: 'UpdateToken', token })
    this.#token(token)
    this.#member.share(token)
  }

  /** Where the client is, why, and when it tries again. */
  getConnectionState(): ConnectionState {
    const { engine, view, wanted } = this.#member
    const state = engine ? engine.state() : { ...view.state }
    if (!engine && state.retryAt !== null) {
      state.retryIn = Math.max(0, state.retryAt - this.#env.wall())
    }
    if (wanted && state.status !== 'authenticated' && !this.#env.online()) {
      state.reason += '; the browser says that there is no network'
    }
    return state
  }

  // ---------------------------------------------------------------- sending

  /**
   * Send a message; resolves when the server has accepted it.
   *
   * It waits as long as it takes, over lost connections, also while there is none, but not for a
   * client that has given up.
   *
   * @throws {IMError} QUEUE_FULL and MESSAGE_FORMAT_ERROR, and nothing was queued;
   * MESSAGE_SEND_FAILED, SERVER_ERROR, IN_DOUBT, MESSAGE_CANCELLED, MESSAGE_EXPIRED,
   * JOURNAL_FAILED, with the message as `error.sent`. When the client has given up, the error that
   * it gave up over.
   * @throws {LocalProtocolError} another message was sent under that key; or the client is closed.
   */
  async sendMessage(request: ChatSendToOneRequest): Promise<SentMessage> {
    const { gaveUp } = this.#standing
    if (gaveUp) throw gaveUp
    return this.queueMessage(request).accepted()
  }

  /**
   * Queue a message and return at once, with or without a connection.
   *
   * @throws {IMError} QUEUE_FULL or MESSAGE_FORMAT_ERROR; nothing was queued. Where the tab does not
   * have the connection itself, the message is failed with it instead.
   * @throws {LocalProtocolError} another message was sent under that key; or the client is closed.
   */
  queueMessage(request: ChatSendToOneRequest): SentMessage {
    this.#check('queueMessage()')
    const { engine } = this.#member
    if (engine) {
      const sent = engine.send(request)
      this.#member.queued(sent)
      return sent
    }
    const { toUserId, content, messageType = 'text', sessionId = null } = request
    const key = request.key ?? this.#env.random.hex64() + this.#env.random.hex64()
    const known = this.#outbox.get(key)
    if (known) {
      if (known.content === content && String(known.toUserId) === String(toUserId)) return known
      throw new LocalProtocolError(`another message was sent under the key '${key}'`)
    }
    const data: SentData = {
      ...{ key, toUserId, content, messageType, sessionId },
      ...{ msgId: null, status: 'queued', receipt: null, error: null, timestamp: this.#env.wall() },
    }
    const sent = this.#outbox.put(data)
    this.#outbox.ask({ ...request, key })
    void this.#member.ask({ name: 'send', request: { ...request, key } }).then(
      (told) => this.#outbox.put(told as SentData),
      (error: unknown) => this.#outbox.refused(key, error),
    )
    return sent
  }

  /**
   * The messages that have no end yet, in the order they were given: of this tab, of the others, and
   * of those before a reload.
   */
  get outbox(): SentMessage[] {
    return this.#outbox.all()
  }

  /**
   * The user has read what `fromUser` wrote, up to this message. It is told where the server takes
   * it; without a connection, after the next log-in.
   *
   * @throws {LocalProtocolError} those are no ids.
   */
  markRead(fromUser: UserId, msgId: Id): void {
    this.#input({ type: 'MarkRead', fromUser, msgId })
  }

  /**
   * The user has begun, or stopped, to write to somebody. It is told where the server takes it, and
   * not too often; else it is nothing.
   *
   * @throws {LocalProtocolError} that is no user id.
   */
  setTyping(toUser: UserId, active: boolean): void {
    this.#input({ type: 'SetTyping', toUser, active })
  }

  // ---------------------------------------------------------------- callbacks

  /**
   * Set one callback per name, in place of the one set before; undefined takes it away.
   *
   * All are called in the order of the events, one at a time; one that gives a promise is waited for.
   * A message is acknowledged when its callbacks are done, or, with `ack: 'manual'`, by
   * `message.ack()`. One that throws, or rejects, is told to `error`; its message is offered again at
   * once, at most `handlerAttempts` times in all, and then told to `undeliverable`.
   *
   * @throws {LocalProtocolError} an unknown name, or something that can't be called. Nothing was set.
   */
  setCallbacks(callbacks: Partial<IMEventCallbacks>): void {
    this.#callbacks.set(callbacks)
    this.#member.engine?.inbox.offer()
  }

  /**
   * Add a callback, beside others of that name; returns what takes it away.
   *
   * @throws {LocalProtocolError} as for `setCallbacks`.
   */
  on<K extends IMEventName>(name: K, callback: IMEventCallback<K>): () => void {
    return this.#on(name, callback, false)
  }

  /** Add a callback that is called once; otherwise as `on`. */
  once<K extends IMEventName>(name: K, callback: IMEventCallback<K>): () => void {
    return this.#on(name, callback, true)
  }

  /** Take away a callback, or all of that name. */
  off<K extends IMEventName>(name: K, callback?: IMEventCallback<K>): void {
    this.#callbacks.off(name, callback)
  }

  // ---------------------------------------------------------------- asking

  /** A session as the server told it last; undefined if none of this id was told. Asks nobody. */
  getCachedSession(sessionId: Id): SessionVO | undefined {
    const { engine, sessions } = this.#member
    return (
      (engine ? engine.core.sessions.cache.get(sessionId) : sessions.get(sessionId)) ?? undefined
    )
  }

  /** The sessions that the server told last, at most 1000. Asks nobody. */
  getAllCachedSessions(): SessionVO[] {
    const { engine, sessions } = this.#member
    return engine ? engine.core.sessions.cache.all() : [...sessions.values()]
  }

  /** In plain words: the state, why, what is waited for; with a message, why it is pending. */
  explain(sent?: SentMessage): string {
    const { engine, role } = this.#member
    if (engine) {
      const slow = sent ? '' : this.#callbacks.explain()
      return [engine.explain(sent as Sent | undefined), slow].filter(Boolean).join(' ')
    }
    const { status, reason } = this.getConnectionState()
    const where = role === 'follower' ? ' Another tab has the connection, or none has it yet.' : ''
    return `${status.toUpperCase()}: ${reason}.${where}`
  }

  /** What a client is doing just now, for a diagnosis. A follower knows only of its outbox. */
  inspect(): Inspection {
    const unknown = 'in another tab'
    const all = this.#outbox.all()
    const inFlight = all.filter(({ status }) => status === 'in_flight').length
    return (
      this.#member.engine?.inspect() ?? {
        machines: { connection: unknown, auth: unknown, heartbeat: unknown, reconnect: unknown },
        deadlines: [],
        outbox: { queued: all.length - inFlight, inFlight },
        counters: {},
      }
    )
  }

  /** Who logs in. */
  get userId(): UserId {
    return this.#settings.config.userId
  }

  /** What the server knows this installation by; '' until it is drawn, or read from the storage. */
  get deviceId(): string {
    return this.#member.engine?.core.deviceId ?? this.#member.view.deviceId
  }

  /** What a send means against this server; null before the first log-in. */
  get guarantee(): Guarantee | null {
    return this.#member.engine ? this.#member.engine.core.guarantee : this.#member.view.guarantee
  }

  /** What the server has granted, of what this client can beyond the original protocol. */
  get capabilities(): readonly string[] {
    return (this.#member.engine ?? { core: this.#member.view }).core.capabilities
  }

  /** The most UTF-16 units of a message, trimmed: the server's limit, once it has told one. */
  get contentUnits(): number {
    return this.#member.engine?.view().contentUnits ?? this.#member.view.contentUnits
  }

  /** Does this tab have the connection, or use another tab's? */
  get role(): TabRole {
    return this.#member.role
  }

  // ---------------------------------------------------------------- inside

  #check(what: string): void {
    if (this.#closed) throw new LocalProtocolError(`${what}: this client is closed, for good`)
  }

  async #disconnect(): Promise<void> {
    while (this.#closing) await this.#closing
    this.#closing = this.#member.disconnect()
    await this.#closing
    this.#closing = null
  }

  /** What waits is called, but nobody waits for it for ever. */
  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const ms = this.#settings.config.timeouts.close * 1000
      const timer = this.#env.setTimeout(resolve, ms)
      void this.#callbacks.drained().then(() => {
        this.#env.clearTimeout(timer)
        resolve()
      })
    })
  }

  #late(ms: number): IMError {
    const { reason, lastError } = this.getConnectionState()
    const error = new IMError(
      'CONNECTION_TIMEOUT',
      `not logged in within ${ms / 1000} s: ${reason}`,
    )
    error.cause = lastError
    return error
  }

  #on(name: IMEventName, callback: (...args: never[]) => unknown, once: boolean): () => void {
    this.#callbacks.on(name, callback, once)
    this.#member.engine?.inbox.offer()
    return () => this.#callbacks.off(name, callback)
  }

  #input(input: Parameters<Engine['step']>[0]): void {
    this.#check(input.type)
    const { engine } = this.#member
    if (engine) engine.step(input)
    else this.#member.ask({ name: 'input', input }).catch((error) => this.#misused(error))
  }

  /** Nobody is there to throw to any more. */
  #misused(error: unknown): void {
    const text = error instanceof Error ? error.message : ''
    this.#callbacks.tell('error', new IMError('UNKNOWN_ERROR', text))
  }

  /** The next engine, if this tab leads it, is to have it. */
  #token(token: string): void {
    if (typeof this.#source === 'string') this.#source = token
  }

  #cancel(sent: Sent): boolean {
    const { engine } = this.#member
    if (engine) return engine.cancel(sent)
    if (sent.status !== 'queued') return false
    this.#member.ask({ name: 'cancel', key: sent.key }).catch(() => {})
    return true
  }

  protected async ask(op: SessionOp, params: SessionParams): Promise<Answer> {
    this.#check('a session call')
    const { engine } = this.#member
    if (engine) return engine.session(op, params)
    return (await this.#member.ask({ name: 'session', op, params })) as Answer
  }

  /** Make the engine of a tab that leads. */
  #start(name: string): Engine | Promise<Engine> {
    const options = {
      ...{ env: this.#env, settings: this.#settings, token: this.#source },
      ...{ callbacks: this.#callbacks, outbox: this.#outbox },
      flowing: (): boolean => this.#member.wanted && !this.#standing.gaveUp,
      tell: (event: Event, sent: Sent | null): void => this.#member.tell(event, sent),
    }
    // without a lock another tab might write to it as well
    const kept = this.role !== 'alone' && this.#config.storage !== 'memory'
    return startEngine(options, kept ? name : null, (reason) =>
      this.#notice({ type: 'StorageUnavailable', reason }),
    )
  }

  #network(online: boolean): void {
    this.#notice({ type: 'NetworkHint', online })
    if (online) this.#member.engine?.hint(true)
    this.#callbacks.tell('stateChanged', this.getConnectionState())
  }

  /** In the order of the events, and after those who are set in the turn of the constructor. */
  #notice(notice: Notice): void {
    this.#callbacks.put({ name: 'notice', args: [notice] })
  }

  #outboxChanged(): void {
    if (!this.#outboxTold) return
    this.#outboxTold = false
    // what it changes itself is told again
    const told = (): boolean => (this.#outboxTold = true)
    this.#callbacks.put({ name: 'outboxChanged', args: [], wanted: told, then: told })
  }

  #hear(event: Event, sent: Sent | null): void {
    switch (event.type) {
      case 'Authenticated':
        this.#standing.loggedIn()
        break
      case 'ErrorOccurred':
        if (event.error.code === 'JOURNAL_FAILED') break
        this.#standing.trouble(event.error, event.anotherWay)
        if (event.error.terminal) this.#outbox.giveUp(event.error)
        break
      case 'StateChanged':
        if (event.current.status !== 'DISCONNECTED') this.#standing.gaveUp = null
        this.#callbacks.tell('stateChanged', this.getConnectionState())
        break
      case 'ReceiptReceived':
        this.#outbox.receipt(event)
        break
      case 'MessageReceived': // the leader's inbox has it
        if (!this.#member.engine)
          this.#callbacks.tell(
            'messageReceived',
            received(event, () => {}),
          )
    }
    tell(this.#callbacks, event, sent)
  }
}
