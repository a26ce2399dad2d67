/**
 * One tab among those of a page and user. The leader has the engine, the journal and the connection;
 * the others ask it, and get a copy of what it hears.
 *
 * The connection is there as long as one tab wants it, and only a tab that wants it leads one. What a
 * tab has asked, and got no answer to, it asks the next leader again.
 *
 * A received message is handled when the leader's own callbacks have returned; a follower's get a
 * copy. A tab that becomes the leader later may get such a message again, as `redelivered`.
 */

import { IMError } from '../core/errors'
import type { CoreInput, Event, SessionCall, SessionVO } from '../generated/types'
import type { ConnectionStatus, Environment, Notice, TabRole, UserId } from '../types'
import { stopped, type Engine, type SessionParams, type View } from './engine'
import type { Keyed, Outbox } from './outbox'
import type { Sent, SentData } from './sent'
import { Tabs } from './tabs'

/** What one tab asks of another. */
export type Call =
  | { name: 'connect' }
  | { name: 'disconnect' }
  | { name: 'send'; request: Keyed }
  | { name: 'cancel'; key: string }
  | { name: 'session'; op: SessionCall['op']; params: SessionParams }
  | { name: 'input'; input: CoreInput }

type Word =
  | { type: 'who' }
  | {
      type: 'hello'
      term: string
      kept: boolean
      view: View
      sent: SentData[]
      sessions: SessionVO[]
    }
  | { type: 'bye'; term: string }
  | { type: 'token'; token: string }
  | { type: 'told'; term: string; event: Event; sent: SentData | null; view: View }
  | { type: 'sent'; term: string; sent: SentData }
  | { type: 'call'; tab: string; id: number; call: Call }
  | { type: 'answer'; tab: string; id: number; value?: unknown; error?: Error }

interface Open {
  call: Call
  asked: boolean
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
}

/** What a tab is for its client. */
export interface Home {
  readonly userId: UserId
  /** Make an engine: at once, or when its storage is open. */
  start(): Engine | Promise<Engine>
  /** The engine, this tab's or another's, tells this. */
  hear(event: Event, sent: Sent | null): void
  /** `view.state` is another one, and no engine has said so. */
  stateChanged(): void
  notice(notice: Notice): void
  /** Another tab was given a new token. */
  token(token: string): void
}

export class Membership {
  /** this tab's engine, if it leads */
  engine: Engine | null = null
  role: TabRole = 'follower'
  /** the application wants to be connected */
  wanted = false
  /** of the leader, as far as it was told */
  view: View
  readonly sessions = new Map<SessionVO['id'], SessionVO>()
  readonly #tab: string
  /** null: this tab is alone */
  #tabs: Tabs | null
  readonly #open = new Map<number, Open>()
  /** the other tabs that want the connection; one that has crashed among them does no harm */
  readonly #wanting = new Set<string>()
  #id = 0
  /** this tab's name while it leads; else the leader's, as far as it was told */
  #term: string | null = null
  /** counts the engines: one that is ready too late is not wanted any more */
  #turn = 0
  #paused = false
  #closed = false
  /** it was logged in since `connect()` … */
  #loggedIn = false
  /** … and the tab that had the log-in is gone */
  #lost = false
  /** what this tab has heard of the present connection */
  #heard: 'nothing' | 'connected' | 'authenticated' = 'nothing'

  /**
   * @param name - of the group; null: this tab is alone.
   * @param outbox - of this tab.
   * @param first - what is known before there was an engine.
   */
  constructor(
    readonly env: Environment,
    name: string | null,
    readonly outbox: Outbox,
    readonly home: Home,
    first: Pick<View, 'deviceId' | 'contentUnits'>,
  ) {
    this.#tab = env.random.hex64()
    this.view = {
      state: stopped('connect() was not called yet'),
      ...{ guarantee: null, capabilities: [], ...first },
    }
    const lead = (): void => void this.#lead()
    const hear = (word: unknown): void => this.#hear(word as Word)
    const refused = (): void => this.#refused()
    this.#tabs = name === null ? null : new Tabs(env, name, { lead, hear, refused })
  }

  /** Begin. */
  start(): void {
    if (!this.#tabs) {
      this.role = 'alone'
      void this.#lead()
      return
    }
    this.#tabs.join()
    this.#post({ type: 'who' })
  }

  /** There are no others after all. */
  #refused(): void {
    this.#tabs?.close()
    this.#tabs = null
    this.home.notice({ type: 'TabsUnavailable', reason: 'the browser gives this page no lock' })
    this.start()
  }

  // ---------------------------------------------------------------- what the client wants

  /** Ask whoever leads, as often as it takes. */
  ask(call: Call): Promise<unknown> {
    if (this.engine) return this.#carryOut(this.engine, call)
    const id = ++this.#id
    return new Promise((resolve, reject) => {
      const open: Open = { call, asked: false, resolve, reject }
      this.#open.set(id, open)
      if (this.#term !== null) this.#repeat(id, open)
    })
  }

  /** Be connected. */
  connect(): void {
    this.wanted = true
    if (this.engine) this.engine.step({ type: 'Connect' })
    else if (this.#term !== null) this.#join()
    else this.#leave('connecting', 'looking for the tab that has the connection')
  }

  /** Be connected no more; the other tabs are as they were. */
  async disconnect(): Promise<void> {
    if (!this.wanted) return
    this.wanted = false
    this.#lost = false
    if (this.engine && this.#wanting.size) {
      await this.#resign(() => this.#tabs?.resign())
    } else if (this.engine) {
      this.engine.step({ type: 'Disconnect' })
      await this.engine.quiet()
    } else {
      this.#post({ type: 'call', tab: this.#tab, id: 0, call: { name: 'disconnect' } })
      this.#leave('disconnected', 'disconnected by the application')
    }
  }

  /** The page is about to be frozen, or left: what it holds another tab may have. */
  pause(): void {
    if (!this.#tabs || this.#closed || this.#paused) return
    this.#paused = true
    const engine = this.#release()
    engine?.drop()
    if (engine) this.#post({ type: 'bye', term: this.#tab })
    this.#tabs.pause()
  }

  /** It is back. */
  resume(): void {
    if (!this.#paused || this.#closed) return
    this.#paused = false
    this.start()
  }

  /** Be no member any more. */
  async close(): Promise<void> {
    this.#closed = true
    this.wanted = false
    this.#post({ type: 'call', tab: this.#tab, id: 0, call: { name: 'disconnect' } })
    await this.#resign(() => this.#tabs?.close())
    for (const { reject } of this.#open.values()) {
      reject(new IMError('NETWORK_ERROR', 'the client was closed meanwhile'))
    }
    this.#open.clear()
  }

  /** The engine of this tab tells this. */
  tell(event: Event, sent: Sent | null): void {
    if (!this.engine) return // it is just made, or has gone
    this.#take(event, sent)
    const view = this.engine.view()
    const term = this.#tab
    this.#post({ type: 'told', term, event, sent: sent?.data() ?? null, view })
  }

  /** This tab has queued a message: the others may show it. */
  queued(sent: Sent): void {
    this.#post({ type: 'sent', term: this.#tab, sent: sent.data() })
  }

  /** This tab was given a new token: whoever leads next is to have it. */
  share(token: string): void {
    this.#post({ type: 'token', token })
  }

  // ---------------------------------------------------------------- leading

  async #lead(): Promise<void> {
    const turn = ++this.#turn
    const made = this.home.start()
    const engine = made instanceof Promise ? await made : made
    if (turn !== this.#turn || this.#closed) {
      engine.drop()
      return
    }
    this.#term = this.#tab
    this.#wanting.clear()
    this.#lostLeader()
    this.engine = engine
    if (this.#tabs) this.#as('leader')
    this.#goOn(engine.restored, engine.kept)
    this.#hello()
    if (this.wanted) engine.step({ type: 'Connect' })
  }

  /** Say who leads, and all that a follower is to know. */
  #hello(): void {
    const { engine } = this
    if (!engine) return
    const sent = this.outbox.recent()
    const sessions = engine.core.sessions.cache.all()
    const { kept } = engine
    this.#post({ type: 'hello', term: this.#tab, kept, view: engine.view(), sent, sessions })
  }

  async #carryOut(engine: Engine, call: Call): Promise<unknown> {
    switch (call.name) {
      case 'connect':
        engine.step({ type: 'Connect' })
        return engine.view()
      case 'disconnect':
        return null
      case 'send': {
        const sent = engine.send(call.request)
        this.queued(sent)
        return sent.data()
      }
      case 'cancel': {
        const sent = this.outbox.get(call.key)
        return sent !== undefined && engine.cancel(sent)
      }
      case 'session':
        return engine.session(call.op, call.params)
      case 'input':
        engine.step(call.input)
        return null
    }
  }

  async #serve({ tab, id, call }: Extract<Word, { type: 'call' }>): Promise<void> {
    const { engine } = this
    if (!engine) return
    if (call.name === 'disconnect') {
      this.#wanting.delete(tab)
      return
    }
    if (call.name === 'connect') {
      this.#wanting.add(tab)
      if (!this.wanted) {
        await this.#resign(() => this.#tabs?.resign())
        return
      }
    }
    try {
      const value = await this.#carryOut(engine, call)
      this.#post({ type: 'answer', tab, id, value })
    } catch (error) {
      this.#post({ type: 'answer', tab, id, error: error as Error })
    }
  }

  /** Lead no more, in order. */
  async #resign(then: () => void): Promise<void> {
    const engine = this.#release()
    await engine?.close()
    if (engine) this.#post({ type: 'bye', term: this.#tab })
    then()
  }

  #release(): Engine | null {
    const { engine } = this
    this.#turn++
    this.engine = null
    this.#term = null
    if (!engine) return null
    this.view = engine.view()
    if (this.wanted) this.#lostLeader('the browser has put this page to sleep')
    else this.#leave('disconnected', 'disconnected by the application')
    if (this.#tabs) this.#as('follower')
    return engine
  }

  // ---------------------------------------------------------------- following

  #hear(word: Word): void {
    if (this.#closed || this.#paused) return
    switch (word.type) {
      case 'who':
        this.#hello()
        break
      case 'call':
        void this.#serve(word)
        break
      case 'hello':
        this.#meet(word)
        break
      case 'bye':
        if (word.term === this.#term) {
          this.#term = null
          this.#lostLeader()
        }
        break
      case 'told':
        if (word.term !== this.#term) break
        this.#look(word.view)
        this.#take(word.event, word.sent && this.outbox.put(word.sent))
        break
      case 'token':
        this.home.token(word.token)
        break
      case 'sent':
        if (word.term === this.#term) this.outbox.put(word.sent)
        break
      case 'answer':
        if (word.tab === this.#tab) this.#answered(word)
    }
  }

  #meet({ term, kept, view, sent, sessions }: Extract<Word, { type: 'hello' }>): void {
    const other = term !== this.#term
    if (other) this.#lostLeader()
    this.#term = term
    this.#look(view)
    for (const data of sent) this.outbox.heard(data)
    for (const session of sessions) this.sessions.set(session.id, session)
    if (!other) return
    this.#goOn(new Set(sent.map(({ key }) => key)), kept)
    if (this.wanted) this.#join()
  }

  /** What the leader sees; a tab that wants no connection has none. */
  #look(view: View): void {
    this.view = { ...view, state: this.wanted ? view.state : this.view.state }
  }

  /** The leader has the connection, or makes one now. */
  #join(): void {
    void this.ask({ name: 'connect' }).then(
      (view) => {
        if (view === null || this.engine) return // the next leader is asked
        this.#look(view as View)
        this.home.stateChanged() // no event tells of it here: it was so before
        const { status } = this.view.state
        const loggedIn = status === 'authenticated'
        if (!loggedIn && status !== 'connected') return
        // it was there before this tab came
        if (this.#heard === 'nothing') this.#take({ type: 'Connected' }, null)
        if (loggedIn && this.#heard === 'connected') {
          const { capabilities } = this.view
          const userId = this.home.userId
          this.#take({ type: 'Authenticated', userId, username: null, capabilities }, null)
        }
      },
      () => {}, // the leader can't: it has said so to all
    )
  }

  #answered({ id, value, error }: Extract<Word, { type: 'answer' }>): void {
    const open = this.#open.get(id)
    this.#open.delete(id)
    if (error) open?.reject(error)
    else open?.resolve(value)
  }

  /** There is another leader, maybe this tab: what was asked of the last one is asked again. */
  #goOn(known: Set<string>, kept: boolean): void {
    const asking = new Set<string>()
    for (const [id, open] of this.#open) {
      if (open.call.name === 'send') asking.add(open.call.request.key)
      this.#repeat(id, open)
    }
    for (const request of this.outbox.takenOver(known, kept)) {
      if (asking.has(request.key)) continue
      void this.ask({ name: 'send', request }).then(
        (data) => this.outbox.put(data as SentData),
        (error: unknown) => this.outbox.refused(request.key, error),
      )
    }
  }

  #repeat(id: number, open: Open): void {
    const { call, asked } = open
    if (call.name === 'session' && call.op === 'create' && asked) {
      this.#open.delete(id)
      const text = 'the tab that had the connection is gone; nobody knows if the session was made'
      open.reject(new IMError('NETWORK_ERROR', text))
    } else if (call.name === 'connect' && asked) {
      this.#open.delete(id) // it is said anew
      open.resolve(null)
    } else if (this.engine) {
      this.#open.delete(id)
      this.#carryOut(this.engine, call).then(open.resolve, open.reject)
    } else {
      open.asked = true
      this.#post({ type: 'call', tab: this.#tab, id, call })
    }
  }

  // ---------------------------------------------------------------- what the client hears

  /** The engine tells this, or it follows from what became of the leader. */
  #take(event: Event, sent: Sent | null): void {
    if (event.type === 'SessionFetched') {
      for (const session of event.sessions) this.sessions.set(session.id, session)
    }
    if (!this.wanted && !sent && !this.engine) return
    if (event.type === 'Connected') this.#heard = 'connected'
    else if (event.type === 'Authenticated') this.#heard = 'authenticated'
    else if (event.type === 'Disconnected') this.#heard = 'nothing'
    this.home.hear(event, sent)
    if (event.type !== 'Authenticated') return
    this.#loggedIn = true
    if (this.#lost) this.home.hear({ type: 'Reconnected', resumed: false }, null)
    this.#lost = false
  }

  /** Whoever had the connection has it no more. */
  #lostLeader(reason = 'another tab takes the connection over'): void {
    if (!this.wanted) return
    this.#lost ||= this.#loggedIn
    if (this.#heard !== 'nothing') this.#leave('reconnecting', reason)
  }

  /** There is no connection any more, as far as this tab goes. */
  #leave(status: ConnectionStatus, reason: string): void {
    const { state } = this.view
    this.view = { ...this.view, state: { ...stopped(reason), status } }
    if (this.#heard !== 'nothing') {
      this.#heard = 'nothing'
      this.home.hear({ type: 'Disconnected', error: null }, null)
    }
    if (state.status !== status || state.reason !== reason) this.home.stateChanged()
  }

  #as(role: TabRole): void {
    if (this.role === role) return
    this.role = role
    this.home.notice({ type: 'RoleChanged', role })
  }

  #post(word: Word): void {
    this.#tabs?.post(word)
  }
}
