/**
 * The tabs of one browser tell one another what was read: they are one device, so the server does
 * not. A change of the storage reaches all tabs but the one that made it.
 */
import type { Id, UserId } from '../../types'
import { keyOf } from './ids'
import { remember } from './storage'

/** What was read in one tab, for the others. */
export class ReadInTabs {
  readonly #name: string
  readonly #heard: (event: StorageEvent) => void

  /** @param heard called when another tab of this user has read `fromUser` up to `msgId`. */
  constructor(me: UserId, heard: (fromUser: UserId, msgId: Id) => void) {
    this.#name = `im:read:${encodeURIComponent(keyOf(me))}`
    this.#heard = ({ key, newValue }) => {
      if (key !== this.#name || newValue === null) return
      const [fromUser, msgId] = JSON.parse(newValue) as [UserId, Id]
      heard(fromUser, msgId)
    }
    addEventListener('storage', this.#heard)
  }

  tell(fromUser: UserId, msgId: Id): void {
    remember(this.#name, JSON.stringify([fromUser, msgId]))
  }

  stop(): void {
    removeEventListener('storage', this.#heard)
  }
}
