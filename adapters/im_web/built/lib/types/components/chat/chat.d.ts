/** The chat of one user: reactive state over a client, for the components. */
import { type ComputedRef, type ShallowRef } from 'vue';
import type { Id, SessionVO, UserId } from '../../types';
import { Alerts } from './alerts';
import { type Banner } from './banner';
import type { ChatClient } from './client';
import { type Conversation } from './conversations';
import { Drafts } from './drafts';
import { type Speech } from './i18n';
import { type Entry } from './timeline';
/** What a chat may be told. */
export interface ChatOptions {
    /** 'en' or 'zh', or a longer tag; left out: as the browser is set. */
    lang?: string | null;
    /** The name of a user; left out, or undefined for one: its id is shown. */
    nameOf?: (user: UserId) => string | undefined;
    /** In which language, if that is shared with others; `lang` is left out then. */
    speech?: Speech;
    /** Users that are offered for a new conversation. */
    users?: readonly UserId[];
    /** Show the number of unread messages in the page's title. Default false. */
    titleBadge?: boolean;
    /** The most UTF-16 units of a message. Default: what the client says, else 1000. */
    contentUnits?: number;
}
/** See {@link createChat}. */
export interface Chat {
    readonly client: ChatClient;
    readonly me: UserId;
    readonly speech: Speech;
    readonly alerts: Alerts;
    readonly drafts: Drafts;
    /** The most UTF-16 units of a message. */
    readonly limit: ComputedRef<number>;
    readonly users: readonly UserId[];
    /** The newest first. */
    readonly conversations: ComputedRef<readonly Conversation[]>;
    /** The one that is open. */
    readonly current: ShallowRef<Conversation | null>;
    readonly banner: ComputedRef<Banner>;
    /** Is the page visible, with the focus? */
    readonly looking: Readonly<ShallowRef<boolean>>;
    nameOf(user: UserId): string;
    /** Open the conversation with a user, a new one if need be, or (null) none. */
    open(user: UserId | null, sessionId?: Id): void;
    /** The conversation that a session belongs to; undefined: it is not known. */
    find(session: SessionVO): Conversation | undefined;
    /** The application has sessions of its own: they are listed too. */
    know(sessions: readonly SessionVO[]): void;
    /** @throws {IMError} it could not even be queued. */
    send(conversation: Conversation, content: string): void;
    retry(conversation: Conversation, entry: Entry): void;
    discard(conversation: Conversation, entry: Entry): void;
    loadOlder(conversation: Conversation): Promise<void>;
    /** The user looks at the newest message: all is read. */
    seen(conversation: Conversation): void;
    /** The user has pressed a key; not `active`: has stopped. */
    pressed(conversation: Conversation, active: boolean): void;
    /** Get or make the session about a book, and open it. @throws {IMError} the server refuses. */
    startSession(bookId: Id, buyerId: UserId, sellerId: UserId): Promise<void>;
    tryNow(): void;
    /** Go on with another token. */
    renew(token: string): void;
    /** Stop listening. The client is left as it is. */
    stop(): void;
}
/** Make the state that the components show. It listens to the client until `stop`. */
export declare function createChat(client: ChatClient, options?: ChatOptions): Chat;
