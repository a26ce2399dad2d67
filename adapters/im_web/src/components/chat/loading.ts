/** What is asked of the server: the sessions, and the pages of the history. */
import type { HistoryRequest, Id } from '../../types'
import type { ChatClient } from './client'
import { isOpen, type Conversation, type Conversations } from './conversations'
import { keyOf } from './ids'
import { accepted, fromRecord, isPending, merge, touches, unread } from './timeline'

/** Messages of a page. */
const PAGE = 50
/** The newest page reaches back to what is unread, up to this many. */
const LONGEST_PAGE = 200
/** Pages that are asked for at a time: the list of conversations shows a message of each. */
const AT_ONCE = 3

/** Loads the conversations of a client. */
export class Loader {
  readonly #client: ChatClient
  readonly #conversations: Conversations
  #sessionsAsked: Promise<void> | null = null
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(client: ChatClient, conversations: Conversations) {
    this.#client = client
    this.#conversations = conversations
  }

  /** Ask which sessions there are, and for the newest messages of those that are new. */
  async sessions(): Promise<void> {
    this.#sessionsAsked ??= this.#askSessions().finally(() => (this.#sessionsAsked = null))
    return this.#sessionsAsked
  }

  async #askSessions(): Promise<void> {
    let sessions
    try {
      sessions = await this.#client.getCurrentSessions()
    } catch {
      return // not connected, or refused: asked again after the next log-in
    }
    this.#conversations.know(sessions)
    const told = new Set(sessions.map(({ id }) => keyOf(id)))
    for (const conversation of this.#conversations.all()) {
      for (const session of conversation.sessions) {
        if (isOpen(session) && !told.has(keyOf(session.id))) void this.session(session.id)
      }
      // what was loaded is counted here: the same messages may just be coming live
      if (!isWanting(conversation)) continue
      const counts = conversation.sessions
        .filter((session) => sessions.includes(session))
        .map((session) => this.#conversations.unreadOf(session))
      if (counts.some((n) => n !== null)) {
        conversation.unread = counts.reduce<number>((sum, n) => sum + (n ?? 0), 0)
      }
      void this.newest(conversation)
    }
  }

  /** Ask how a session stands that seems to be open no more. */
  async session(sessionId: Id): Promise<void> {
    try {
      const session = await this.#client.getSession({ sessionId })
      if (session !== null) this.#conversations.know([session])
    } catch {
      // as above
    }
  }

  /**
   * Load the newest page, again if it was loaded before: something may have been missed. Where
   * nobody can be asked yet nothing is; `sessions`, after the log-in, comes back to it.
   */
  async newest(conversation: Conversation): Promise<void> {
    const before = conversation.older
    const where = this.#whereOf(conversation)
    if (where === null || before === 'loading') return
    const wanting = isWanting(conversation)
    conversation.older = 'loading'
    const pageSize = Math.min(Math.max(PAGE, conversation.unread + 10), LONGEST_PAGE)
    const page = await this.#page({ ...where, pageSize })
    if (page === null) {
      conversation.older = before === 'unknown' ? 'failed' : before
      return
    }
    const known = conversation.messages
    const gap = before !== 'unknown' && !touches(known, page.entries)
    // between the page and what was known something is missing: begin anew from the page
    const kept = gap ? known.filter(isPending) : known
    conversation.messages = merge(kept, page.entries)
    conversation.older = gap || wanting ? page.older : before
    count(conversation)
  }

  /** Load the page before what is known. */
  async older(conversation: Conversation): Promise<void> {
    if (conversation.older !== 'some' && conversation.older !== 'failed') return
    const first = conversation.messages
      .slice(0, accepted(conversation.messages))
      .find((entry) => entry.msgId !== null)
    if (first === undefined) return this.newest(conversation)
    const where = this.#whereOf(conversation)
    if (where === null) {
      conversation.older = 'failed'
      return
    }
    conversation.older = 'loading'
    const page = await this.#page({ ...where, startMsgId: first.msgId!, pageSize: PAGE })
    conversation.older = page?.older ?? 'failed'
    if (page !== null) conversation.messages = merge(conversation.messages, page.entries)
  }

  async #page(request: HistoryRequest) {
    await this.#turn()
    try {
      const page = await this.#client.getHistory(request)
      const me = this.#client.userId
      return {
        entries: page.records.map((record) => fromRecord(record, me)),
        older: page.hasNext && page.records.length > 0 ? ('some' as const) : ('none' as const),
      }
    } catch {
      return null
    } finally {
      this.#running--
      this.#waiting.shift()?.()
    }
  }

  /**
   * What to ask for; null: nothing yet. A plain server knows the history of a session only, and
   * which of the two a server is shows with the log-in.
   */
  #whereOf({ user, session }: Conversation): HistoryRequest | null {
    if (this.#client.getConnectionState().status !== 'authenticated') return null
    if ([...this.#client.capabilities].includes('sessions')) return { peerId: user }
    return session && { sessionId: session.id }
  }

  async #turn(): Promise<void> {
    if (this.#running >= AT_ONCE) await new Promise<void>((go) => this.#waiting.push(go))
    this.#running++
  }
}

/** Is there a page that nobody was, or could be, asked for? */
function isWanting({ older }: Conversation): boolean {
  return older === 'unknown' || older === 'failed'
}

/** How many are unread: those that are seen to be, if a read one, or the beginning, is among them. */
function count(conversation: Conversation): void {
  const { messages, older } = conversation
  const received = messages.filter((entry) => !entry.mine)
  if (received.some((entry) => entry.seen === null)) return
  const seen = unread(messages)
  const complete = older === 'none' || seen.length < received.length
  conversation.unread = complete ? seen.length : Math.max(conversation.unread, seen.length)
  conversation.divider ??= seen[0]?.id ?? null
}
