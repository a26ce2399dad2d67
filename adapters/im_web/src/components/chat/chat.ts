/** The chat of one user: reactive state over a client, for the components. */
import {
  computed,
  effectScope,
  ref,
  shallowRef,
  watch,
  type ComputedRef,
  type ShallowRef,
} from 'vue'
import type { Id, SessionVO, UserId } from '../../types'
import { Alerts, badgeTitle } from './alerts'
import { watchAttention } from './attention'
import { bannerOf, type Banner } from './banner'
import type { ChatClient } from './client'
import { Conversations, type Conversation } from './conversations'
import { Drafts } from './drafts'
import { createSpeech, type Speech } from './i18n'
import { keyOf, same } from './ids'
import { listen } from './incoming'
import { Loader } from './loading'
import { Outgoing } from './outgoing'
import { read, lastReceived, type Entry } from './timeline'
import { ReadInTabs } from './tabs'
import { Typing } from './typing'

/** What a chat may be told. */
export interface ChatOptions {
  /** 'en' or 'zh', or a longer tag; left out: as the browser is set. */
  lang?: string | null
  /** The name of a user; left out, or undefined for one: its id is shown. */
  nameOf?: (user: UserId) => string | undefined
  /** In which language, if that is shared with others; `lang` is left out then. */
  speech?: Speech
  /** Users that are offered for a new conversation. */
  users?: readonly UserId[]
  /** Show the number of unread messages in the page's title. Default false. */
  titleBadge?: boolean
  /** The most UTF-16 units of a message. Default: what the client says, else 1000. */
  contentUnits?: number
}

/** See {@link createChat}. */
export interface Chat {
  readonly client: ChatClient
  readonly me: UserId
  readonly speech: Speech
  readonly alerts: Alerts
  readonly drafts: Drafts
  /** The most UTF-16 units of a message. */
  readonly limit: ComputedRef<number>
  readonly users: readonly UserId[]
  /** The newest first. */
  readonly conversations: ComputedRef<readonly Conversation[]>
  /** The one that is open. */
  readonly current: ShallowRef<Conversation | null>
  readonly banner: ComputedRef<Banner>
  /** Is the page visible, with the focus? */
  readonly looking: Readonly<ShallowRef<boolean>>
  nameOf(user: UserId): string
  /** Open the conversation with a user, a new one if need be, or (null) none. */
  open(user: UserId | null, sessionId?: Id): void
  /** The conversation that a session belongs to; undefined: it is not known. */
  find(session: SessionVO): Conversation | undefined
  /** The application has sessions of its own: they are listed too. */
  know(sessions: readonly SessionVO[]): void
  /** @throws {IMError} it could not even be queued. */
  send(conversation: Conversation, content: string): void
  retry(conversation: Conversation, entry: Entry): void
  discard(conversation: Conversation, entry: Entry): void
  loadOlder(conversation: Conversation): Promise<void>
  /** The user looks at the newest message: all is read. */
  seen(conversation: Conversation): void
  /** The user has pressed a key; not `active`: has stopped. */
  pressed(conversation: Conversation, active: boolean): void
  /** Get or make the session about a book, and open it. @throws {IMError} the server refuses. */
  startSession(bookId: Id, buyerId: UserId, sellerId: UserId): Promise<void>
  tryNow(): void
  /** Go on with another token. */
  renew(token: string): void
  /** Stop listening. The client is left as it is. */
  stop(): void
}

/** Make the state that the components show. It listens to the client until `stop`. */
export function createChat(client: ChatClient, options: ChatOptions = {}): Chat {
  const scope = effectScope(true)
  return scope.run(() => build(client, options, () => scope.stop()))!
}

function build(client: ChatClient, options: ChatOptions, stopScope: () => void): Chat {
  const me = client.userId
  const conversations = new Conversations(me)
  const loader = new Loader(client, conversations)
  const outgoing = new Outgoing(client, conversations)
  const typing = new Typing(client)
  const alerts = new Alerts()
  const speech = options.speech ?? createSpeech(options.lang)
  const attention = watchAttention()
  const tabs = new ReadInTabs(me, (from, msgId) => conversations.read(from, msgId))
  const current = shallowRef<Conversation | null>(null)
  const state = shallowRef(client.getConnectionState())
  const queued = ref(client.outbox.length)
  const network = ref(navigator.onLine)

  const nameOf = (user: UserId): string => options.nameOf?.(user) ?? keyOf(user)

  function open(user: UserId | null, sessionId?: Id): void {
    const last = current.value
    if (last !== null && !same(last.user, user)) last.divider = null
    if (user === null) {
      current.value = null
      return
    }
    const conversation = conversations.with(user)
    const session = conversation.sessions.find((one) => same(one.id, sessionId))
    if (session !== undefined) conversation.session = session
    if (conversation.older === 'unknown') void loader.newest(conversation)
    current.value = conversation
  }

  function seen(conversation: Conversation): void {
    if (conversation.unread === 0) return
    const last = lastReceived(conversation.messages)
    if (last === undefined) return
    if (last.msgId !== null) {
      client.markRead(conversation.user, last.msgId)
      tabs.tell(conversation.user, last.msgId)
    }
    conversation.messages = read(conversation.messages, null)
    conversation.unread = 0
  }

  /** Somebody has written; the components say by `seen` when it was read. */
  function arrived(conversation: Conversation, entry: Entry): void {
    typing.told(conversation, false)
    const watching = attention.looking.value && current.value === conversation
    if (conversation.unread === 0 && !watching) conversation.divider = entry.id
    conversation.unread++
    if (watching) return
    alerts.beep()
    const title = speech.texts.value.notification(nameOf(conversation.user))
    const show = () => open(conversation.user)
    if (!attention.looking.value) {
      alerts.notify(title, entry.content.slice(0, 200), `im:${keyOf(conversation.user)}`, show)
    }
  }

  const deaf = listen(client, { conversations, loader, outgoing, typing, arrived, state, queued })
  const online = () => (network.value = navigator.onLine)
  addEventListener('online', online)
  addEventListener('offline', online)
  const unbadge = options.titleBadge ? badgeTitle(() => conversations.unread.value) : () => {}

  conversations.know(client.getAllCachedSessions())
  outgoing.sync()
  watch(
    () => state.value.status === 'authenticated',
    (yes) => {
      if (!yes) {
        // who is there is told anew after a log-in, who isn't may not be
        for (const one of conversations.all()) one.online = null
        return
      }
      const plain = ![...client.capabilities].includes('seq')
      // a server that does not resume may have told us nothing of what came meanwhile
      const known = conversations.all().filter((one) => one.older !== 'unknown')
      if (plain) for (const one of known) void loader.newest(one)
      void loader.sessions()
      if (current.value?.older === 'unknown') void loader.newest(current.value)
    },
    { immediate: true },
  )

  return {
    client,
    me,
    speech,
    alerts,
    drafts: new Drafts(me),
    // a log-in may tell another one
    limit: computed(() => options.contentUnits ?? (state.value && client.contentUnits)),
    users: options.users ?? [],
    conversations: conversations.sorted,
    current,
    banner: computed(() => bannerOf(state.value, queued.value, network.value)),
    looking: attention.looking,
    nameOf,
    open,
    find: (session) => conversations.find(conversations.otherOf(session)),
    know: (sessions) => conversations.know(sessions),
    send: (conversation, content) => {
      outgoing.send(conversation, content)
      typing.pressed(conversation.user, false)
    },
    retry: (conversation, entry) => outgoing.retry(conversation, entry),
    discard: (conversation, entry) => outgoing.discard(conversation, entry),
    loadOlder: (conversation) => loader.older(conversation),
    seen,
    pressed: (conversation, active) => typing.pressed(conversation.user, active),
    async startSession(bookId, buyerId, sellerId) {
      const session = await client.getOrCreateSession(bookId as number, buyerId, sellerId)
      conversations.know([session])
      open(conversations.otherOf(session), session.id)
    },
    tryNow() {
      if (state.value.status === 'disconnected')
        void client.connect({ retry: true }).catch(() => {})
      else client.tryNow()
    },
    renew(token) {
      client.updateAccessToken(token)
      void client.connect({ retry: true }).catch(() => {}) // `banner` tells how it went
    },
    stop() {
      deaf()
      attention.stop()
      tabs.stop()
      typing.stop()
      alerts.stop()
      unbadge()
      removeEventListener('online', online)
      removeEventListener('offline', online)
      stopScope()
    },
  }
}
