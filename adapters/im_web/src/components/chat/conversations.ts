/**
 * The conversations of one user. A conversation is the other user: whatever sessions the two have,
 * about this book or that, their messages stand in one order.
 */
import { computed, shallowReactive, type ComputedRef } from 'vue'
import type { Id, SessionVO, UserId } from '../../types'
import { keyOf, same } from './ids'
import { read, unread, type Timeline } from './timeline'

/** Is there more history, before what is known? `unknown`: nothing was asked for yet. */
export type Older = 'unknown' | 'loading' | 'some' | 'none' | 'failed'

/** One conversation; its fields are reactive. */
export interface Conversation {
  readonly user: UserId
  /** The sessions that the two share, the newest first. */
  sessions: readonly SessionVO[]
  /** The one that is written in; null: none, or the server makes one. */
  session: SessionVO | null
  messages: Timeline
  older: Older
  /** How many messages this user has not read. */
  unread: number
  /** The message over which stands "new messages"; its name on the screen. */
  divider: string | null
  /** Is the other one writing? */
  typing: boolean
  /** Null: nobody tells. */
  online: boolean | null
  lastSeen: number | null
}

/** All conversations of `me`. */
export class Conversations {
  readonly #all = shallowReactive(new Map<string, Conversation>())

  constructor(readonly me: UserId) {}

  /** The newest first; those without a message last, in the order of their sessions. */
  readonly sorted: ComputedRef<readonly Conversation[]> = computed(() =>
    [...this.#all.values()].sort((a, b) => when(b) - when(a)),
  )

  /** Unread messages of all together. */
  readonly unread = computed(() => this.sorted.value.reduce((sum, c) => sum + c.unread, 0))

  find(user: UserId): Conversation | undefined {
    return this.#all.get(keyOf(user))
  }

  /** The conversation with this user; a new one if there is none. */
  with(user: UserId): Conversation {
    const key = keyOf(user)
    let found = this.#all.get(key)
    if (found === undefined) {
      found = shallowReactive<Conversation>({
        user,
        sessions: [],
        session: null,
        messages: [],
        older: 'unknown',
        unread: 0,
        divider: null,
        typing: false,
        online: null,
        lastSeen: null,
      })
      this.#all.set(key, found)
    }
    return found
  }

  /** All that there are. */
  all(): Conversation[] {
    return [...this.#all.values()]
  }

  /** The server has told these sessions. */
  know(sessions: readonly SessionVO[]): void {
    const byUser = new Map<string, SessionVO[]>()
    for (const session of sessions) {
      const key = keyOf(this.otherOf(session))
      byUser.set(key, [...(byUser.get(key) ?? []), session])
    }
    for (const own of byUser.values()) {
      const conversation = this.with(this.otherOf(own[0]!))
      const kept = conversation.sessions.filter((old) => !own.some((s) => same(s.id, old.id)))
      conversation.sessions = [...own, ...kept].sort(newerFirst)
      const { session } = conversation
      const chosen = session && conversation.sessions.find((s) => same(s.id, session.id))
      conversation.session = chosen ?? bestOf(conversation.sessions)
    }
  }

  /** Another device, or tab, has read what this user has written, up to this message. */
  read(from: UserId, msgId: Id): void {
    const conversation = this.find(from)
    if (conversation === undefined) return
    conversation.messages = read(conversation.messages, msgId)
    conversation.unread = unread(conversation.messages).length
  }

  /** Who the other user of a session is. */
  otherOf(session: SessionVO): UserId {
    return same(session.buyerId, this.me) ? session.sellerId : session.buyerId
  }

  /** How many messages of a session the user has not read; null: the server doesn't say. */
  unreadOf(session: SessionVO): number | null {
    const told = same(session.buyerId, this.me) ? session.buyerReaded : session.sellerReaded
    return typeof told === 'boolean' ? (told ? 0 : null) : told
  }
}

/** Can something be written in this session? Who doesn't tell its status is believed to. */
export function isOpen(session: SessionVO): boolean {
  return session.sessionStatus === null || session.sessionStatus === 1
}

function bestOf(sessions: readonly SessionVO[]): SessionVO | null {
  return sessions.find(isOpen) ?? sessions[0] ?? null
}

/** Ids count up; of very long ones the longer is the higher. */
function newerFirst(a: SessionVO, b: SessionVO): number {
  return compare(b.id, a.id)
}

function compare(a: Id, b: Id): number {
  const [x, y] = [keyOf(a), keyOf(b)]
  return x.length - y.length || (x < y ? -1 : x > y ? 1 : 0)
}

function when(conversation: Conversation): number {
  return conversation.messages.at(-1)?.time ?? 0
}
