/** What the client tells, brought to where it is shown. */
import type { Ref, ShallowRef } from 'vue'
import { SESSION_CLOSED } from '../../generated/tables'
import type { ConnectionState } from '../../types'
import type { ChatClient } from './client'
import type { Conversation, Conversations } from './conversations'
import { same } from './ids'
import type { Loader } from './loading'
import type { Outgoing } from './outgoing'
import { add, fromOwn, fromReceived, receipt, type Entry } from './timeline'
import type { Typing } from './typing'

/** Where it is brought to. */
export interface Places {
  readonly conversations: Conversations
  readonly loader: Loader
  readonly outgoing: Outgoing
  readonly typing: Typing
  /** Called for each message of another user, once. */
  readonly arrived: (conversation: Conversation, entry: Entry) => void
  readonly state: ShallowRef<ConnectionState>
  readonly queued: Ref<number>
}

/** Listen until the returned function is called. */
export function listen(client: ChatClient, places: Places): () => void {
  const { conversations, loader, outgoing, typing } = places
  const known = (conversation: Conversation, sessionId: unknown) =>
    sessionId == null || conversation.sessions.some((session) => same(session.id, `${sessionId}`))

  const offs = [
    client.on('stateChanged', (state) => (places.state.value = state)),
    client.on('outboxChanged', () => {
      outgoing.sync()
      places.queued.value = client.outbox.length
    }),
    client.on('messageSent', (sent) => outgoing.update(sent)),
    client.on('messageFailed', ({ sent, serverCode }) => {
      outgoing.update(sent)
      if (serverCode === SESSION_CLOSED && sent.sessionId !== null) {
        void loader.session(sent.sessionId)
      }
    }),
    client.on('messageReceived', (message) => {
      if (message.fromUser === undefined) return // nobody to show it under
      const conversation = conversations.with(message.fromUser)
      const entry = fromReceived(message, message.fromUser, Date.now())
      const before = conversation.messages
      conversation.messages = add(before, entry)
      if (conversation.messages !== before) places.arrived(conversation, entry)
      if (conversation.older === 'unknown') void loader.newest(conversation)
      if (!known(conversation, message.sessionId)) void loader.sessions()
    }),
    client.on('ownMessage', (event) => {
      const conversation = conversations.with(event.toUser)
      conversation.messages = add(conversation.messages, fromOwn(event, client.userId, Date.now()))
      if (!known(conversation, event.sessionId)) void loader.sessions()
    }),
    client.on('receipt', ({ user, msgIds, status }) => {
      const conversation = conversations.find(user)
      if (conversation) conversation.messages = receipt(conversation.messages, msgIds, status)
    }),
    client.on('readElsewhere', ({ fromUser, msgId }) => {
      conversations.read(fromUser, msgId)
    }),
    client.on('typing', ({ fromUser, active }) => {
      const conversation = conversations.find(fromUser)
      if (conversation) typing.told(conversation, active)
    }),
    client.on('presence', ({ user, online, lastSeen }) => {
      const conversation = conversations.with(user)
      conversation.online = online
      conversation.lastSeen = lastSeen
    }),
    client.on('notice', (event) => {
      if (event.type !== 'MessagesMayBeMissing') return
      for (const conversation of conversations.all()) void loader.newest(conversation)
    }),
  ]
  return () => offs.forEach((off) => off())
}
