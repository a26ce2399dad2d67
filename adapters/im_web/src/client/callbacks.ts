/**
 * What an application can listen to: names, registration, and the queue of what is to be called.
 *
 * Callbacks are called in the order of the events, one at a time: one that gives a promise is waited
 * for before the next.
 */

import { IMError, LocalProtocolError } from '../core/errors'
import type { IMEventCallbacks, IMEventName } from '../types'

const NAMES: readonly IMEventName[] = [
  'connected',
  'disconnected',
  'reconnecting',
  'reconnected',
  'authenticated',
  'authFailed',
  'messageReceived',
  'messageSent',
  'messageFailed',
  'heartbeatSent',
  'heartbeatReceived',
  'error',
  'undeliverable',
  'ownMessage',
  'receipt',
  'readElsewhere',
  'typing',
  'presence',
  'stateChanged',
  'outboxChanged',
  'notice',
]

/**
 * So many calls may wait that are not about a message; beyond, the oldest of them are dropped. Those
 * about a message never are: the engine, or the application itself, bounds them.
 */
const MINOR_KEPT = 1000

type Callback = (...args: never[]) => unknown

interface Entry {
  callback: Callback
  once: boolean
  /** put there by `set`, which knows one callback per name */
  only: boolean
}

/** What became of one event; 'passed': nobody listened any more, or it was not wanted any more. */
export type Outcome = 'returned' | 'threw' | 'passed'

/** One event on its way to its callbacks. */
export interface Call {
  name: IMEventName
  args: unknown[]
  /** Asked just before; false passes the event over. */
  wanted?: () => boolean
  /** Told what became of it. */
  then?: (outcome: Outcome) => void
}

export class Callbacks {
  readonly #entries = new Map<IMEventName, Entry[]>()
  #queue: Call[] = []
  #run: Promise<void> | null = null
  #current: { name: IMEventName; since: number } | null = null
  /** Is the code that asks a callback, in so far as one can tell? */
  inside = false

  /** @param now - a monotonic clock, ms. */
  constructor(readonly now: () => number) {}

  // ---------------------------------------------------------------- registration

  /**
   * Set one callback per name, in place of the one set before; undefined or null takes it away.
   * Those of `on` and `once` stay. All or nothing.
   *
   * @throws {LocalProtocolError} an unknown name, or something that can't be called.
   */
  set(callbacks: Partial<IMEventCallbacks>): void {
    const given = Object.entries(callbacks) as [IMEventName, Callback | null | undefined][]
    for (const [name, callback] of given) check(name, callback ?? (() => {}))
    for (const [name, callback] of given) {
      const others = (this.#entries.get(name) ?? []).filter((entry) => !entry.only)
      this.#put(name, callback ? [...others, { callback, once: false, only: true }] : others)
    }
  }

  /** @throws {LocalProtocolError} an unknown name, or something that can't be called. */
  on(name: IMEventName, callback: Callback, once: boolean): void {
    check(name, callback)
    this.#put(name, [...(this.#entries.get(name) ?? []), { callback, once, only: false }])
  }

  /** Take away a callback, however it came here; without one, all of the name. */
  off(name: IMEventName, callback?: Callback): void {
    check(name, callback ?? (() => {}))
    const entries = this.#entries.get(name) ?? []
    this.#put(name, callback ? entries.filter((entry) => entry.callback !== callback) : [])
  }

  /** Does anybody listen to that name? */
  has(name: IMEventName): boolean {
    return this.#entries.has(name)
  }

  #put(name: IMEventName, entries: Entry[]): void {
    if (entries.length) this.#entries.set(name, entries)
    else this.#entries.delete(name)
  }

  // ---------------------------------------------------------------- the queue

  /** Have it called after all that was put before, or `first`: before all of it. */
  put(call: Call, first = false): void {
    if (first) this.#queue.unshift(call)
    else this.#queue.push(call)
    if (this.#queue.length > MINOR_KEPT) this.#dropMinor()
    this.#run ??= this.#callAll()
  }

  /** Tell whoever listens to that name. */
  tell<K extends IMEventName>(
    name: K,
    ...args: Parameters<NonNullable<IMEventCallbacks[K]>>
  ): void {
    if (this.has(name)) this.put({ name, args })
  }

  /** Don't call it, if its turn has not come yet; `then` hears nothing. */
  withdraw(call: Call): void {
    this.#queue = this.#queue.filter((other) => other !== call)
  }

  /** Resolves when all that waits was called. */
  async drained(): Promise<void> {
    while (this.#run) await this.#run
  }

  /** The callback that is running for more than so many ms, in plain words; '' if there is none. */
  explain(slow = 5000): string {
    const running = this.#current
    const ms = running ? this.now() - running.since : 0
    if (!running || ms < slow) return ''
    return (
      `The callback ${running.name} has been running for ${(ms / 1000).toFixed(1)} s, ` +
      `and ${this.#queue.length} others wait for it.`
    )
  }

  #dropMinor(): void {
    const minor = this.#queue.filter((call) => !call.name.startsWith('message') && !call.then)
    if (minor.length > MINOR_KEPT) this.withdraw(minor[0] as Call)
  }

  async #callAll(): Promise<void> {
    await null // never inside of what puts it
    for (let call = this.#queue.shift(); call; call = this.#queue.shift()) {
      const outcome = await this.#call(call)
      call.then?.(outcome)
    }
    this.#run = null
  }

  /** No promise where no callback gives one: what is told in one turn is called in one turn. */
  #call(call: Call): Outcome | Promise<Outcome> {
    const entries = this.#entries.get(call.name) ?? []
    if (!entries.length || call.wanted?.() === false) return 'passed'
    this.#put(
      call.name,
      entries.filter((entry) => !entry.once),
    )
    return this.#callEach(call, entries)
  }

  async #callEach(call: Call, entries: Entry[]): Promise<Outcome> {
    let outcome: Outcome = 'returned'
    for (const { callback } of entries) {
      this.#current = { name: call.name, since: this.now() }
      try {
        this.inside = true
        const result = callback(...(call.args as never[]))
        this.inside = false
        if (result instanceof Object && 'then' in result) await result
      } catch (thrown) {
        this.inside = false
        outcome = 'threw'
        this.#threw(call.name, thrown)
      }
      this.#current = null
    }
    return outcome
  }

  #threw(name: IMEventName, thrown: unknown): void {
    const kind = thrown instanceof Error ? thrown.name : typeof thrown
    const error = new IMError('UNKNOWN_ERROR', `the callback ${name} threw ${kind}`)
    error.cause = thrown
    if (name !== 'error' && this.has('error')) this.tell('error', error)
    else console.error(error)
  }
}

function check(name: IMEventName, callback: unknown): void {
  if (!NAMES.includes(name)) {
    throw new LocalProtocolError(`no callback '${name}'. There are: ${NAMES.join(', ')}`)
  }
  if (typeof callback !== 'function') {
    throw new LocalProtocolError(`the callback '${name}' is a ${typeof callback}, no function`)
  }
}
