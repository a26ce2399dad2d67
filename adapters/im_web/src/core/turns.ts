/** Whose turn it is to send: conversations of three priorities, and nobody waits for ever. */

import type { Priority, UserId } from '../generated/types'

export type { Priority }

/**
 * How many turns each priority has before the next lower one gets its own. A flood of `high` slows
 * `low` down to one message in thirteen, and does not stop it.
 */
export const SHARES: Readonly<Record<Priority, number>> = { high: 8, normal: 4, low: 1 }
export const PRIORITIES: readonly Priority[] = ['high', 'normal', 'low']

/** Conversations that may send, each once. Those of one priority take turns. */
export class Turns {
  // sets keep the order of joining, and nobody stands in one twice
  readonly #rings: Readonly<Record<Priority, Set<UserId>>> = {
    high: new Set(),
    normal: new Set(),
    low: new Set(),
  }
  #left = { ...SHARES }

  /** How many stand there. */
  get length(): number {
    return PRIORITIES.reduce((sum, name) => sum + this.#rings[name].size, 0)
  }

  /** Queue up, behind the others of that priority. */
  join(user: UserId, priority: Priority): void {
    this.#rings[priority].add(user)
  }

  /** Stand there no longer. */
  leave(user: UserId, priority: Priority): void {
    this.#rings[priority].delete(user)
  }

  /** Whose turn it is; it is out of the queue. Somebody has to stand there. */
  next(): UserId {
    const waiting = PRIORITIES.filter((name) => this.#rings[name].size)
    if (!waiting.some((name) => this.#left[name])) this.#left = { ...SHARES }
    const name = waiting.find((name) => this.#left[name]) as Priority
    this.#left[name] -= 1
    const ring = this.#rings[name]
    const [user] = ring
    ring.delete(user as UserId)
    return user as UserId
  }
}
