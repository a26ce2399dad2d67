/** What was written and not sent, kept in this browser for each user and conversation. */
import type { UserId } from '../../types'
import { keyOf } from './ids'
import { recall, remember } from './storage'

/** The drafts of one user. */
export class Drafts {
  readonly #prefix: string

  constructor(me: UserId) {
    this.#prefix = `im:draft:${encodeURIComponent(keyOf(me))}:`
  }

  get(other: UserId): string {
    return recall(this.#key(other)) ?? ''
  }

  /** Keep it; one that is empty is forgotten. */
  set(other: UserId, text: string): void {
    remember(this.#key(other), text.trim() === '' ? null : text)
  }

  #key(other: UserId): string {
    return this.#prefix + encodeURIComponent(keyOf(other))
  }
}
