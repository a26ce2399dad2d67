/** What is asked of the server: the sessions, and the pages of the history. */
import type { Id } from '../../types';
import type { ChatClient } from './client';
import { type Conversation, type Conversations } from './conversations';
/** Loads the conversations of a client. */
export declare class Loader {
    #private;
    constructor(client: ChatClient, conversations: Conversations);
    /** Ask which sessions there are, and for the newest messages of those that are new. */
    sessions(): Promise<void>;
    /** Ask how a session stands that seems to be open no more. */
    session(sessionId: Id): Promise<void>;
    /**
     * Load the newest page, again if it was loaded before: something may have been missed. Where
     * nobody can be asked yet nothing is; `sessions`, after the log-in, comes back to it.
     */
    newest(conversation: Conversation): Promise<void>;
    /** Load the page before what is known. */
    older(conversation: Conversation): Promise<void>;
}
