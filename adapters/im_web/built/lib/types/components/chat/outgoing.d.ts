/** The messages that this user sends, and how they stand. */
import type { SentMessage } from '../../types';
import type { ChatClient } from './client';
import type { Conversation, Conversations } from './conversations';
import { type Entry } from './timeline';
/** Keeps the conversations in step with the client's outbox. */
export declare class Outgoing {
    #private;
    constructor(client: ChatClient, conversations: Conversations);
    /**
     * Queue a message; it is in the conversation at once, whatever becomes of it.
     *
     * @throws {IMError} QUEUE_FULL and its like: nothing was queued.
     */
    send(conversation: Conversation, content: string, messageType?: string): void;
    /** Send a message again that has failed. */
    retry(conversation: Conversation, entry: Entry): void;
    /** Take away a message that has failed. */
    discard(conversation: Conversation, entry: Entry): void;
    /** The outbox has changed: other messages, or another status of one. */
    sync(): void;
    /** Show how a message stands. */
    update(sent: SentMessage): void;
}
