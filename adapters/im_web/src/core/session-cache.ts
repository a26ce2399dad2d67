/** The sessions that the server has told of, as they were told last. */

import { EXPIRED, MAX_CACHED, STATES } from '../generated/tables'
import { SESSION } from './machines'
import type { SessionVO } from './wire/session'
import type { Id } from './wire/types'

/**
 * They are as old as the answers that they came in, with their unread counts: what came, or was read,
 * since then does not change them. One thing does: a message that is refused because its session
 * can't be written in any more.
 */
export class SessionCache {
  readonly #known = new Map<Id, SessionVO>()

  /** The session as the server told it last. */
  get(sessionId: Id): SessionVO | null {
    return this.#known.get(sessionId) ?? null
  }

  /** All of them, the one told last at the end. */
  all(): SessionVO[] {
    return [...this.#known.values()]
  }

  /** The server has told this. */
  keep(session: SessionVO): void {
    this.#known.delete(session.id)
    this.#known.set(session.id, session)
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_CACHED) break
      this.#known.delete(oldest)
    }
  }

  /** The server knows it no more. */
  drop(sessionId: Id): void {
    this.#known.delete(sessionId)
  }

  /** A message was refused, as its session can't be written in any more. */
  sendRefused(sessionId: Id | null): void {
    const known = this.#known.get(sessionId ?? 0)
    if (!known) return
    const states: Readonly<Record<number, string>> = STATES
    const state = states[known.sessionStatus ?? 0]
    if (state !== undefined && SESSION.knows(state, 'expire')) {
      this.#known.set(known.id, { ...known, sessionStatus: EXPIRED })
    }
  }
}
