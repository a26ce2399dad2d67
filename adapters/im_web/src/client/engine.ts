/** The engine of the tab that leads: the core, what drives it, and the books beside it. */

import { ClientCore, IMError, LocalProtocolError, MEANINGS } from '../core'
import { explain } from '../core/explain'
import type {
  CoreInput,
  Event,
  Guarantee,
  HistoryPage,
  SessionCall,
  SessionVO,
} from '../generated/types'
import { JournalState } from '../core/journal'
import type {
  ChatSendToOneRequest,
  ConnectionState,
  Environment,
  IMClientConfig,
  Inspection,
} from '../types'
import type { Callbacks } from './callbacks'
import { Driver } from './driver'
import { Inbox } from './inbox'
import type { Opened } from './journal'
import type { Outbox } from './outbox'
import type { Settings } from './settings'
import { changeOf, restored, type Sent } from './sent'

/** So many keys are looked through when there are more, to forget what the core has forgotten. */
const SWEEP = 1024
/** A server that has granted capabilities is believed to do so for so many ms. */
const CAPABLE = 7 * 86_400_000
/** How much longer than the core's own deadlines an end may take, ms. */
const MARGIN = 1000

/** What a tab knows of the connection. */
export interface View {
  state: ConnectionState
  guarantee: Guarantee | null
  capabilities: string[]
  deviceId: string
  contentUnits: number
}

/** What a session call takes beside its name. */
export type SessionParams = Omit<SessionCall, 'type' | 'ref' | 'op'>

/** What a session call gives. */
export type Answer = SessionVO[] | HistoryPage

export interface EngineOptions {
  env: Environment
  settings: Settings
  token: IMClientConfig['token']
  callbacks: Callbacks
  outbox: Outbox
  /** Null: nothing is kept. */
  opened: Opened | null
  /** Can messages still come? */
  flowing: () => boolean
  /** Takes the engine's events, in order, and the message that each is about. */
  tell: (event: Event, sent: Sent | null) => void
}

interface Asked {
  resolve: (answer: Answer) => void
  reject: (error: IMError) => void
}

export class Engine {
  readonly core: ClientCore
  readonly inbox: Inbox
  readonly #options: EngineOptions
  readonly #driver: Driver
  /** messages that have no end yet, by the core's number */
  readonly #sent = new Map<number, Sent>()
  readonly #refs = new Map<Sent, number>()
  /** those that have their end and a key, while the core knows that */
  #keyed = new Map<number, Sent>()
  #sweepAt = SWEEP
  readonly #asked = new Map<number, Asked>()
  /** what an earlier life has left, by name */
  readonly restored = new Set<string>()
  #ref = 0
  #call = 0
  #broken: IMError | null = null

  constructor(options: EngineOptions) {
    const { env, settings, opened, callbacks } = options
    const { config } = settings
    this.#options = options
    const now = env.now() / 1000
    const wall = env.wall() / 1000
    const journal = opened && new JournalState(opened.data)
    const token = typeof options.token === 'string' ? options.token : null
    this.core = new ClientCore(
      { ...settings.given, token },
      { now, wall, rng: env.random, journal },
    )
    const link = {
      url: config.wsUrl,
      messageBytes: config.messageBytes,
      capable: () => this.#capable,
    }
    this.#driver = new Driver(this.core, {
      ...{ env, link, token: options.token, journal: opened?.journal ?? null },
      deliver: (event) => this.#deliver(event),
      failed: (error) => this.#failed(error),
    })
    const feed = (input: CoreInput): void => this.#driver.feed(input)
    this.inbox = new Inbox(callbacks, feed, options.flowing, config.ack === 'manual')
    this.#restore()
  }

  /** Does what is queued outlive this tab? */
  get kept(): boolean {
    return this.#options.opened !== null
  }

  // ---------------------------------------------------------------- messages

  /**
   * Have the core queue a new message, unless its key has one already: then that one.
   *
   * @throws {IMError | LocalProtocolError} it is refused; nothing was queued.
   */
  send(request: ChatSendToOneRequest): Sent {
    const { outbox, env } = this.#options
    const { toUserId, content, messageType = 'text', sessionId = null, key = null } = request
    const { priority = 'normal', ttl = null, wait = false } = request
    const ref = ++this.#ref
    const name = key ?? this.#name(ref)
    const known = outbox.get(name)
    const sent = outbox.put({
      ...{ key: name, toUserId, content, messageType, sessionId },
      ...{ msgId: null, receipt: null, error: null },
      status: known?.status ?? 'queued',
      timestamp: known?.timestamp ?? env.wall(),
    })
    this.#number(ref, sent)
    try {
      this.step({
        ...{ type: 'Send', ref, toUser: toUserId, content, messageType, sessionId },
        ...{ priority, key, ttl: ttl === null ? null : ttl / 1000, wait },
      })
    } catch (error) {
      this.#forget(ref)
      if (!known) outbox.drop(sent)
      throw error
    }
    const other = key === null ? null : this.core.refOfKey(key)
    if (other === null || other === ref) return sent
    this.#forget(ref)
    const before = this.#sent.get(other) ?? this.#keyed.get(other)
    if (!before || before === sent) {
      if (before) this.#number(other, before)
      return sent
    }
    outbox.drop(sent)
    return before
  }

  /** Withdraw a message; true if it will not be sent. */
  cancel(sent: Sent): boolean {
    const ref = this.#refs.get(sent)
    if (ref === undefined || sent.status !== 'queued') return false
    try {
      this.step({ type: 'Cancel', ref })
      return true
    } catch (error) {
      if (error instanceof LocalProtocolError) return false // it is just being handed over
      throw error
    }
  }

  // ---------------------------------------------------------------- everything else

  /**
   * Do what the application wants.
   *
   * @throws {LocalProtocolError | IMError} the core refuses it; nothing has changed.
   */
  step(input: CoreInput): void {
    if (this.#broken) throw this.#broken
    this.#driver.step(input)
  }

  /** Tell the core what the browser says. */
  hint(network: boolean): void {
    if (network) this.#driver.feed({ type: 'NetworkChanged' })
    this.#driver.feed({ type: 'TimePassed', wall: this.#driver.wall() })
  }

  /**
   * Ask for something of sessions.
   *
   * @throws {IMError | LocalProtocolError} there is no answer, or no such question.
   */
  session(op: SessionCall['op'], params: SessionParams): Promise<Answer> {
    const ref = ++this.#call
    return new Promise((resolve, reject) => {
      this.#asked.set(ref, { resolve, reject })
      try {
        this.step({ type: 'SessionCall', ref, op, ...params })
      } catch (error) {
        this.#asked.delete(ref)
        throw error
      }
    })
  }

  /** What other tabs may know of the connection. */
  view(): View {
    const { guarantee, capabilities, deviceId, sending } = this.core
    const { contentUnits } = sending.admission
    const state = this.state()
    return { state, guarantee, capabilities: [...capabilities], deviceId, contentUnits }
  }

  /** Where the client is, and why. */
  state(): ConnectionState {
    const { status, reason, attempts, retryIn, lastError } = this.core.state(this.#driver.now())
    if (this.#broken) return stopped(this.#broken.text, this.#broken)
    const wait = retryIn === null ? null : retryIn * 1000
    return {
      status: status.toLowerCase() as ConnectionState['status'],
      ...{ reason, attempts, retryIn: wait, lastError },
      retryAt: wait === null ? null : Math.round(this.#options.env.wall() + wait),
    }
  }

  explain(sent?: Sent): string {
    const ref = sent && this.#refs.get(sent)
    if (sent && ref === undefined) return 'That message is not pending: it has its end.'
    return explain(this.core, this.#driver.now(), ref)
  }

  inspect(): Inspection {
    const { core } = this
    const sents = [...this.#sent.values()]
    const inFlight = sents.filter(({ status }) => status === 'in_flight').length
    return {
      machines: {
        connection: core.connection,
        auth: core.login.state,
        heartbeat: core.liveness.state,
        reconnect: core.reconnect,
      },
      deadlines: core.timers.all().map(([name, at]) => ({
        ...{ name, meaning: MEANINGS[name] },
        in: (at - this.#driver.now()) * 1000,
      })),
      outbox: { queued: sents.length - inFlight, inFlight },
      counters: { ...core.counters },
    }
  }

  /** No transport is left, and the journal has all: in bounded time. */
  async quiet(): Promise<void> {
    const { env, settings } = this.#options
    await new Promise<void>((resolve) => {
      const timer = env.setTimeout(resolve, settings.config.timeouts.close * 1000 + MARGIN)
      void this.#driver.quiet().then(() => {
        env.clearTimeout(timer)
        resolve()
      })
    })
    this.#driver.abort()
  }

  /** End in order. */
  async close(): Promise<void> {
    this.#driver.feed({ type: 'Disconnect' })
    await this.quiet()
    this.drop()
  }

  /** End at once: what is not in the journal was promised to nobody. */
  drop(): void {
    this.#driver.feed({ type: 'Disconnect' })
    this.#driver.shut()
    this.inbox.close()
    this.#options.opened?.journal.close()
    this.#unanswered(new IMError('NETWORK_ERROR', 'the client was closed meanwhile'))
  }

  // ---------------------------------------------------------------- what the core tells

  #deliver(event: Event): void {
    const change = changeOf(event)
    const ref = change && 'ref' in event ? event.ref : 0
    const sent = this.#sent.get(ref) ?? null
    if (sent && change) {
      this.#options.outbox.update(sent, change)
      if (sent.done) this.#ended(ref, sent)
    }
    if (event.type === 'Authenticated' && event.capabilities.length) this.#remember()
    this.#options.tell(event, sent)
    switch (event.type) {
      case 'Authenticated':
        this.inbox.offer()
        break
      case 'MessageReceived':
        this.inbox.received(event)
        break
      case 'MessageUndeliverable':
      case 'MessageDropped':
        this.inbox.dropped(event.delivery)
        break
      case 'SessionFetched':
        this.#take(event.ref)?.resolve(event.sessions)
        break
      case 'HistoryFetched':
        this.#take(event.ref)?.resolve(event.page)
        break
      case 'SessionFailed':
        this.#take(event.ref)?.reject(event.error)
    }
  }

  #take(ref: number): Asked | undefined {
    const asked = this.#asked.get(ref)
    this.#asked.delete(ref)
    return asked
  }

  #unanswered(error: IMError): void {
    for (const ref of [...this.#asked.keys()]) this.#take(ref)?.reject(error)
  }

  /** A bug here or in the core; the application hears of it as of any error that ends a client. */
  #failed(cause: unknown): void {
    const kind = cause instanceof Error ? cause.name : typeof cause
    const text = `a bug in im-client, please report it: ${kind}`
    const error = new IMError('UNKNOWN_ERROR', text, { terminal: true })
    error.cause = cause
    this.#broken = error
    this.#unanswered(error)
    const event: Event = { type: 'ErrorOccurred', error, anotherWay: false }
    this.#options.tell(event, null)
  }

  // ---------------------------------------------------------------- the books

  #restore(): void {
    for (const record of this.core.restored()) {
      this.#ref = Math.max(this.#ref, record.ref)
      const key = record.key ?? this.#name(record.ref)
      const sent = this.#options.outbox.put(restored(record, key, this.#options.env.wall()))
      this.restored.add(key)
      if (record.key !== null && sent.done) this.#keyed.set(record.ref, sent)
      else this.#number(record.ref, sent) // also one whose end nobody was told
    }
  }

  /** What a message without a key is called; no other message ever was. */
  #name(ref: number): string {
    return `${this.core.deviceId}-${ref}`
  }

  #number(ref: number, sent: Sent): void {
    this.#sent.set(ref, sent)
    this.#refs.set(sent, ref)
  }

  #forget(ref: number): void {
    const sent = this.#sent.get(ref)
    this.#sent.delete(ref)
    if (sent) this.#refs.delete(sent)
  }

  #ended(ref: number, sent: Sent): void {
    this.#forget(ref)
    if (this.core.refOfKey(sent.key) !== ref) return
    this.#keyed.set(ref, sent)
    if (this.#keyed.size <= this.#sweepAt) return
    const known = [...this.#keyed].filter(([ref, { key }]) => this.core.refOfKey(key) === ref)
    this.#keyed = new Map(known)
    this.#sweepAt = Math.max(SWEEP, 2 * known.length)
  }

  // ---------------------------------------------------------------- capabilities

  // A browser can't see the header by which a server says that it knows more than the original
  // protocol. Without that two lost links would make it look like one that can't read a log-in.
  get #capable(): boolean {
    const { env, settings } = this.#options
    try {
      const at = Number(
        env.localStorage?.getItem(`im-client capable ${settings.config.wsUrl}`) ?? 0,
      )
      return at > 0 && env.wall() - at < CAPABLE
    } catch {
      return false
    }
  }

  #remember(): void {
    const { env, settings } = this.#options
    try {
      env.localStorage?.setItem(`im-client capable ${settings.config.wsUrl}`, String(env.wall()))
    } catch {
      // it is only a hint
    }
  }
}

/** The state of a client that does nothing. */
export function stopped(reason: string, lastError: IMError | null = null): ConnectionState {
  return {
    ...{ status: 'disconnected', reason, lastError },
    ...{ attempts: 0, retryAt: null, retryIn: null },
  }
}
