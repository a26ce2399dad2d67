/**
 * The tabs of one page and user: a lock says which of them leads, a channel carries words.
 *
 * A lock is held as long as its tab lives, so nobody has to guess whether the leader does.
 */

import { IMError, LocalProtocolError } from '../core/errors'
import type { Channel, Environment } from '../types'

/** What a tab hears of its group. */
export interface TabListener {
  /** This tab leads from now on. */
  lead(): void
  /** The browser has locks, and gives none to this page: one in a sandbox, for example. */
  refused(): void
  /** Another tab says this. */
  hear(word: unknown): void
}

export class Tabs {
  #channel: Channel | null = null
  #release: (() => void) | null = null
  #asking: AbortController | null = null

  /** @param name - of the group. */
  constructor(
    readonly env: Environment,
    readonly name: string,
    readonly listener: TabListener,
  ) {}

  /** Why there can be no group here; null: there can. */
  static missing(env: Environment): string | null {
    if (!env.locks) return 'the browser has no Web Locks here (they need https, or localhost)'
    return env.BroadcastChannel ? null : 'the browser has no BroadcastChannel'
  }

  /** Be one of the group, and lead it when its turn comes. */
  join(): void {
    const { env, listener } = this
    if (!this.#channel && env.BroadcastChannel) {
      this.#channel = new env.BroadcastChannel(this.name)
      this.#channel.onmessage = ({ data }) => listener.hear(unpack(data))
    }
    this.#queue()
  }

  /** Let another tab lead, if there is one; then this one again. */
  resign(): void {
    this.#leave()
    this.#queue()
  }

  /** Let another tab lead, and don't come back before `join`. */
  pause(): void {
    this.#leave()
  }

  /** Say it to all other tabs. */
  post(word: unknown): void {
    this.#channel?.postMessage(pack(word))
  }

  /** Be no member any more. */
  close(): void {
    this.#leave()
    this.#channel?.close()
    this.#channel = null
  }

  #queue(): void {
    if (this.#asking) return
    const asking = (this.#asking = new AbortController())
    const held = (): Promise<void> =>
      new Promise((resolve) => {
        this.#release = resolve
        this.listener.lead()
      })
    this.env.locks
      ?.request(this.name, { signal: asking.signal }, () =>
        asking.signal.aborted ? Promise.resolve() : held(),
      )
      .catch(() => {
        if (!asking.signal.aborted) this.listener.refused()
      })
  }

  #leave(): void {
    this.#asking?.abort()
    this.#asking = null
    this.#release?.()
    this.#release = null
  }
}

/** A copy that a channel can carry: errors lose their class there. */
export function pack(value: unknown): unknown {
  if (value instanceof IMError) {
    const { code, text, serverCode, serverText, retryable, terminal } = value
    return { $error: { code, text, serverCode, serverText, retryable, terminal } }
  }
  if (value instanceof Error) return { $error: { text: value.message } }
  return copied(value, pack)
}

/** What was packed. */
export function unpack(value: unknown): unknown {
  if (!(value instanceof Object)) return value
  if (!('$error' in value)) return copied(value, unpack)
  const { code, text, ...details } = value.$error as IMError
  return code ? new IMError(code, text, details) : new LocalProtocolError(text)
}

function copied(value: unknown, change: (value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(change)
  if (!(value instanceof Object)) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, change(one)]))
}
