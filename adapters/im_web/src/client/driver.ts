/** What drives an engine: steps it, carries out what it wants, arms one timer. Decides nothing. */

import type { ClientCore } from '../core'
import type { CoreAction, CoreInput, Event } from '../generated/types'
import type { Environment } from '../types'
import { HttpCalls } from './http'
import type { Journal } from './journal'
import { Link, type LinkOptions } from './socket'

/** A browser's timers take no more ms. */
const LONGEST = 2 ** 31 - 1

/** What a driver needs. */
export interface DriverOptions {
  env: Environment
  /** The access token, or a function that gets one. */
  token: string | (() => string | Promise<string>)
  link: Omit<LinkOptions, 'env' | 'feed'>
  /** An open one, if the engine has one. */
  journal: Journal | null
  /** Takes the engine's events, in order; must not throw or call back. */
  deliver: (event: Event) => void
  /** Takes an exception that is a bug of ours; everything is aborted by then. */
  failed: (error: unknown) => void
}

/**
 * Carries out an engine's actions.
 *
 * A list of actions is carried out to its end before the next step: what happens meanwhile waits for
 * its turn.
 */
export class Driver {
  readonly #core: ClientCore
  readonly #options: DriverOptions
  readonly #env: Environment
  readonly #http: HttpCalls
  readonly #links = new Map<number, Link>()
  /** the requests for a token that have no answer yet */
  readonly #tokens = new Set<number>()
  readonly #later: CoreInput[] = []
  #waiters: (() => void)[] = []
  #timer: { at: number; id: unknown } | null = null
  #running = false
  #writing = false
  /** nothing is taken any more, for good */
  closed = false

  constructor(core: ClientCore, options: DriverOptions) {
    this.#core = core
    this.#options = options
    this.#env = options.env
    this.#http = new HttpCalls(options.env, (answer) => this.feed(answer))
  }

  /** Seconds on the engine's clock. */
  now(): number {
    return this.#env.now() / 1000
  }

  /** Seconds since 1970. */
  wall(): number {
    return this.#env.wall() / 1000
  }

  /**
   * Do what the application wants. It never asks while a list is carried out: its functions are
   * called later.
   *
   * @throws {LocalProtocolError | IMError} the engine refuses it; nothing has changed.
   */
  step(input: CoreInput): void {
    if (!this.closed) this.#step(input, this.now())
  }

  /** `step` for what happens by itself, where there is nobody to throw to. */
  feed(input: CoreInput, now?: number): void {
    if (this.closed) return
    try {
      if (this.#running) this.#later.push(input)
      else this.#step(input, now ?? this.now())
    } catch (error) {
      this.#broken(error)
    }
  }

  /** Resolves when there is no transport and the journal has all that it was to have. */
  async quiet(): Promise<void> {
    while (!this.closed && (this.#links.size || this.#writing)) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve))
    }
  }

  /** End all that is under way at once; the engine hears that the transports are lost. */
  abort(): void {
    this.#http.cancelAll()
    this.#tokens.clear()
    for (const transport of [...this.#links.keys()]) {
      this.#drop(transport)
      this.feed({ type: 'TransportLost', transport, reason: '' })
    }
  }

  /** Take nothing any more, for good. */
  shut(): void {
    this.closed = true
    this.#disarm()
    this.#http.cancelAll()
    for (const transport of [...this.#links.keys()]) this.#drop(transport)
    this.#changed()
  }

  #broken(error: unknown): void {
    this.shut()
    this.#options.failed(error)
  }

  #step(input: CoreInput, now: number): void {
    this.#running = true
    try {
      for (const action of this.#core.step(input, now)) this.#carryOut(action)
    } finally {
      this.#running = false
      this.#arm()
    }
    const next = this.#later.shift()
    if (next) this.feed(next)
    else this.#late(input)
  }

  /** A hidden page's timers may be a minute late; what comes in meanwhile is a look at the clock. */
  #late(input: CoreInput): void {
    const deadline = this.#core.nextDeadline()
    if (input.type === 'TextReceived' && deadline !== null && deadline <= this.now()) {
      this.feed({ type: 'TimePassed', wall: this.wall() })
    }
  }

  #carryOut(action: CoreAction): void {
    switch (action.type) {
      case 'Notify':
        this.#options.deliver(action.event)
        break
      case 'OpenTransport': {
        const feed = (input: CoreInput): void => this.#ofLink(action.transport, input)
        const link = new Link(action.transport, { ...this.#options.link, env: this.#env, feed })
        this.#links.set(action.transport, link)
        // also after a sleep, in which a wall clock goes on and others may not
        this.#later.push({ type: 'WallClock', wall: this.wall() })
        link.open()
        break
      }
      case 'FetchToken':
        this.#tokens.add(action.request)
        void this.#fetchToken(action.request)
        break
      case 'CancelToken':
        this.#tokens.delete(action.request)
        break
      case 'CallHttp':
        this.#http.start(action)
        break
      case 'CancelHttp':
        this.#http.cancel(action.request)
        break
      case 'WriteJournal':
        void this.#write(action.request, action.changes)
        break
      case 'AbortTransport':
        this.#drop(action.transport)
        break
      default: {
        const link = this.#links.get(action.transport)
        if (link) use(link, action)
      }
    }
  }

  #ofLink(transport: number, input: CoreInput): void {
    if (!this.#links.has(transport)) return
    if (input.type === 'TransportLost' || input.type === 'TransportFailed') {
      this.#links.delete(transport)
      this.#changed()
    }
    this.feed(input)
  }

  #drop(transport: number): void {
    this.#links.get(transport)?.drop()
    this.#links.delete(transport)
    this.#changed()
  }

  async #fetchToken(request: number): Promise<void> {
    const { token } = this.#options
    let answer: CoreInput
    await null // never inside of a step: it may call this client
    try {
      const given = await (typeof token === 'string' ? token : token())
      answer = { type: 'TokenReady', request, token: given }
    } catch (error) {
      // only its name: its text may hold a secret, and is shown
      const reason = error instanceof Error ? error.name : typeof error
      answer = { type: 'TokenFailed', request, reason }
    }
    if (this.#tokens.delete(request)) this.feed(answer)
  }

  async #write(request: number, changes: Parameters<Journal['write']>[0]): Promise<void> {
    this.#writing = true
    let answer: CoreInput = { type: 'JournalWritten', request }
    try {
      await this.#options.journal?.write(changes)
    } catch (error) {
      const reason = error instanceof Error ? error.message || error.name : ''
      answer = { type: 'JournalFailed', request, reason }
    }
    this.#writing = false
    this.feed(answer)
    this.#changed()
  }

  #arm(): void {
    const deadline = this.closed ? null : this.#core.nextDeadline()
    if (deadline === null) {
      this.#disarm()
    } else if (this.#timer === null || this.#timer.at > deadline) {
      this.#disarm()
      const ms = Math.min(LONGEST, Math.max(0, (deadline - this.now()) * 1000))
      this.#timer = { at: deadline, id: this.#env.setTimeout(() => this.#timePassed(ms), ms) }
    }
    // else it goes off early, and is then armed again: cheaper than to move it
  }

  #disarm(): void {
    if (this.#timer) this.#env.clearTimeout(this.#timer.id)
    this.#timer = null
  }

  #timePassed(waited: number): void {
    const at = this.#timer?.at ?? 0
    this.#timer = null
    // a timer may be early by its clock's resolution: that is on time
    const now = waited < LONGEST ? Math.max(this.now(), at) : this.now()
    const deadline = this.#core.nextDeadline()
    if (deadline !== null && deadline <= now) {
      this.feed({ type: 'TimePassed', wall: this.wall() }, now)
    } else {
      this.#arm()
    }
  }

  #changed(): void {
    for (const wake of this.#waiters.splice(0)) wake()
  }
}

type OfLink = Extract<CoreAction, { transport: number }>

function use(link: Link, action: OfLink): void {
  switch (action.type) {
    case 'StartLink':
      link.start()
      break
    case 'SendText':
      link.send(action.text)
      break
    case 'SendClose':
      link.sendClose(action.code, action.reason)
      break
    case 'CloseTransport':
      link.close()
      break
    case 'PauseReading':
      link.pause()
      break
    case 'ResumeReading':
      link.resume()
  }
}
