/** The messages that this user sends, and how they stand. */
import type { ChatSendToOneRequest, SentMessage } from '../../types'
import type { ChatClient } from './client'
import type { Conversation, Conversations } from './conversations'
import { fromSent, put, remove, type Entry } from './timeline'

/** Keeps the conversations in step with the client's outbox. */
export class Outgoing {
  readonly #client: ChatClient
  readonly #conversations: Conversations
  /** those without an end, by their key: an end is told apart from a message never seen */
  readonly #open = new Map<string, SentMessage>()

  constructor(client: ChatClient, conversations: Conversations) {
    this.#client = client
    this.#conversations = conversations
  }

  /**
   * Queue a message; it is in the conversation at once, whatever becomes of it.
   *
   * @throws {IMError} QUEUE_FULL and its like: nothing was queued.
   */
  send(conversation: Conversation, content: string, messageType?: string): void {
    const request: ChatSendToOneRequest = { toUserId: conversation.user, content }
    if (messageType !== undefined) request.messageType = messageType
    const { session } = conversation
    if (session !== null) request.sessionId = session.id
    this.update(this.#client.queueMessage(request))
    conversation.divider = null
  }

  /** Send a message again that has failed. */
  retry(conversation: Conversation, entry: Entry): void {
    this.send(conversation, entry.content, entry.messageType)
    this.discard(conversation, entry)
  }

  /** Take away a message that has failed. */
  discard(conversation: Conversation, entry: Entry): void {
    conversation.messages = remove(conversation.messages, entry.id)
  }

  /** The outbox has changed: other messages, or another status of one. */
  sync(): void {
    const outbox = this.#client.outbox
    const now = new Set(outbox.map((sent) => sent.key))
    const ended = [...this.#open.values()].filter((sent) => !now.has(sent.key))
    for (const sent of [...ended, ...outbox]) this.update(sent)
  }

  /** Show how a message stands. */
  update(sent: SentMessage): void {
    const conversation = this.#conversations.with(sent.toUserId)
    const entry = fromSent(sent, this.#client.userId)
    if (entry.state === 'sending') this.#open.set(sent.key, sent)
    else this.#open.delete(sent.key)
    conversation.messages =
      sent.status === 'cancelled'
        ? remove(conversation.messages, entry.id)
        : put(conversation.messages, entry)
  }
}
