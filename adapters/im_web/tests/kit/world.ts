/** A browser in memory: a clock that stands still, tabs, a disk, and one server. */

import { IDBFactory } from 'fake-indexeddb'
import 'fake-indexeddb/auto'
import { IMClient } from '../../src/client'
import type {
  Channel,
  Environment,
  IMClientConfig,
  IMEventName,
  Locks,
  TabRole,
} from '../../src/types'
import { FakeServer, type FakeServerOptions } from './fake-server'

/** Let everything go on that waits for nothing but its turn. */
export async function settle(turns = 60): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Wait for what comes without the clock going on. */
export async function until(reached: () => boolean, what = 'what was waited for'): Promise<void> {
  for (let turn = 0; turn < 5000; turn++) {
    if (reached()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error(`never: ${what}`)
}

/** Time goes on when it is told to. */
export class Clock {
  now = 0
  /** ms since 1970 at `now` 0 */
  epoch = 1_700_000_000_000
  #next = 1
  readonly #timers = new Map<number, { at: number; callback: () => void }>()

  setTimeout = (callback: () => void, ms: number): number => {
    this.#timers.set(this.#next, { at: this.now + ms, callback })
    return this.#next++
  }

  clearTimeout = (timer: unknown): void => {
    this.#timers.delete(timer as number)
  }

  wall(): number {
    return this.epoch + this.now
  }

  /** How many timers run. */
  get armed(): number {
    return this.#timers.size
  }

  /** Let so many ms pass, and everything happen that is due meanwhile, in order. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms
    for (;;) {
      await settle()
      const due = [...this.#timers].filter(([, { at }]) => at <= end)
      due.sort(([a, one], [b, other]) => one.at - other.at || a - b)
      const [next] = due
      if (!next) break
      const [timer, { at, callback }] = next
      this.#timers.delete(timer)
      this.now = Math.max(this.now, at)
      callback()
    }
    this.now = end
    await settle()
  }

  /** Let so many ms pass in which no timer goes off: a machine, or a page, that sleeps. */
  skip(ms: number): void {
    this.now += ms
  }
}

interface Wish {
  tab: Tab
  run: () => Promise<void>
  rejected: (error: unknown) => void
}

/** The Web Locks of one origin. */
class LockManager {
  readonly #queues = new Map<string, Wish[]>()

  of(tab: Tab): Locks {
    return {
      request: (name, { signal }, callback) =>
        new Promise((resolve, reject) => {
          const run = async (): Promise<void> => {
            await callback({})
            if (this.#queues.get(name)?.[0] !== wish) return // its tab is gone
            this.#queues.get(name)?.shift()
            this.#grant(name)
            resolve(undefined)
          }
          const wish: Wish = { tab, run, rejected: reject }
          const queue = this.#queues.get(name) ?? []
          this.#queues.set(name, queue)
          queue.push(wish)
          signal?.addEventListener('abort', () => {
            const at = queue.indexOf(wish)
            if (at <= 0) return // held, or gone
            queue.splice(at, 1)
            reject(new DOMException('aborted', 'AbortError'))
          })
          if (queue.length === 1) this.#grant(name)
        }),
    }
  }

  /** A tab is gone, and so are its locks. */
  gone(tab: Tab): void {
    for (const [name, queue] of this.#queues) {
      const held = queue[0]?.tab === tab
      const left = queue.filter((wish) => wish.tab !== tab)
      queue.splice(0, queue.length, ...left)
      if (held) this.#grant(name)
    }
  }

  #grant(name: string): void {
    const wish = this.#queues.get(name)?.[0]
    if (wish) void Promise.resolve().then(() => wish.run())
  }
}

/** One tab of the browser. */
export class Tab {
  readonly window = new EventTarget()
  readonly document = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  readonly channels: FakeChannel[] = []
  readonly sockets: { close: () => void }[] = []
  readonly clients: IMClient[] = []
  readonly timers = new Set<number>()
  alive = true
  online = true

  constructor(readonly world: World) {}

  /** What is around a client here. */
  environment(): Environment {
    const { world } = this
    const tab = this
    return {
      now: () => world.clock.now,
      wall: () => world.clock.wall(),
      setTimeout: (callback, ms) => {
        const timer = world.clock.setTimeout(() => tab.alive && callback(), ms)
        return timer
      },
      clearTimeout: world.clock.clearTimeout,
      random: { uniform: (low, high) => (low + high) / 2, hex64: () => world.hex64() },
      WebSocket: class extends world.server.WebSocket {
        constructor(url: string) {
          super(url)
          tab.sockets.push(this)
        }
      },
      fetch: world.server.fetch as typeof fetch,
      indexedDB: world.disk as unknown as globalThis.IDBFactory,
      locks: world.locks.of(tab),
      BroadcastChannel: class extends FakeChannel {
        constructor(name: string) {
          super(tab, name)
          tab.channels.push(this)
        }
      },
      localStorage: world.localStorage,
      window: tab.window,
      document: tab.document,
      online: () => tab.online,
    }
  }

  /** A client in this tab. */
  client(config: Partial<IMClientConfig> = {}, environment: Partial<Environment> = {}): IMClient {
    const client = new IMClient({
      ...{ wsUrl: 'ws://localhost:8080/ws', token: 'a-token', userId: 123 },
      ...config,
      environment: { ...this.environment(), ...environment },
    })
    this.clients.push(client)
    return client
  }

  /** The tab crashes: it does nothing more, and says nothing. */
  crash(): void {
    this.alive = false
    for (const channel of this.channels) channel.close()
    for (const socket of this.sockets) {
      Object.assign(socket, { onopen: null, onmessage: null, onclose: null })
      socket.close()
    }
    this.world.locks.gone(this)
  }
}

/** A BroadcastChannel. */
class FakeChannel implements Channel {
  onmessage: ((event: MessageEvent) => void) | null = null
  #open = true

  constructor(
    readonly tab: Tab,
    readonly name: string,
  ) {
    tab.world.channels.add(this)
  }

  postMessage(message: unknown): void {
    if (!this.#open || !this.tab.alive) return
    const { channels } = this.tab.world
    const data: unknown = structuredClone(message)
    for (const other of channels) {
      if (other === this || other.name !== this.name) continue
      setImmediate(() => {
        if (other.#open && other.tab.alive) other.onmessage?.({ data } as MessageEvent)
      })
    }
  }

  close(): void {
    this.#open = false
    this.tab.world.channels.delete(this)
  }
}

/** A browser, and a server. */
export class World {
  readonly clock = new Clock()
  readonly server: FakeServer
  readonly locks = new LockManager()
  readonly channels = new Set<FakeChannel>()
  readonly #kept = new Map<string, string>()
  disk = new IDBFactory()
  readonly localStorage = {
    getItem: (key: string): string | null => this.#kept.get(key) ?? null,
    setItem: (key: string, value: string): void => void this.#kept.set(key, value),
  }
  #drawn = 0

  constructor(options: FakeServerOptions = {}) {
    this.server = new FakeServer({ wall: () => this.clock.wall(), ...options })
  }

  /** A new tab. */
  tab(): Tab {
    return new Tab(this)
  }

  hex64(): string {
    return (++this.#drawn).toString(16).padStart(16, '0')
  }
}

/** Note every callback of a client: its name, and what it was called with. */
export function listen(client: IMClient, ...names: IMEventName[]): [IMEventName, ...unknown[]][] {
  const heard: [IMEventName, ...unknown[]][] = []
  for (const name of names)
    client.on(name, (...args: unknown[]) => void heard.push([name, ...args]))
  return heard
}

/** Wait until a tab knows what it is. */
export function roleOf(client: IMClient, role: TabRole): Promise<void> {
  return until(
    () =>
      client.role === role &&
      (role === 'follower' || client.inspect().machines.auth !== 'in another tab'),
    `${role}`,
  )
}
