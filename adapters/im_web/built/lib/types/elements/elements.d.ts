/** `<im-chat-page>`, `<im-chat-window>` and `<im-session-list>`. */
import type { App, Component } from 'vue';
import type { ChatClient } from '../components/chat/client';
import type { Entry } from '../components/chat/timeline';
import type { IMClientConfig, SessionVO, UserId } from '../types';
import { VueBase } from './VueBase';
/**
 * The whole chat. Attributes: `ws-url`, `token`, `user-id`, `lang`, `theme`; or the property
 * `client`, a client that the page has made. Its height is the page's to set.
 */
export declare class ChatPageElement extends VueBase {
    static readonly observedAttributes: string[];
    protected readonly component: Component;
    get client(): ChatClient | undefined;
    set client(client: ChatClient | undefined);
    /** A string, or a function that is asked for each new token. It never becomes an attribute. */
    get token(): IMClientConfig['token'] | undefined;
    set token(token: IMClientConfig['token'] | undefined);
}
/** What the window and the list share: with a `client` they show its chat. */
declare abstract class PartElement extends VueBase {
    #private;
    static readonly observedAttributes: string[];
    get client(): ChatClient | undefined;
    set client(client: ChatClient | undefined);
    get userId(): UserId | undefined;
    set userId(userId: UserId | undefined);
    protected prepare(app: App): void;
}
/**
 * One conversation. Properties: `session`; `messages`, shown without a client; `client`. Event:
 * `send-message`, whose `detail` is the text, without a client.
 */
export declare class ChatWindowElement extends PartElement {
    protected readonly component: Component;
    constructor();
    get session(): SessionVO | null | undefined;
    set session(session: SessionVO | null | undefined);
    get messages(): readonly Entry[] | undefined;
    set messages(messages: readonly Entry[] | undefined);
}
/**
 * A list of conversations. Properties: `sessions`, `client`. Event: `session-select`, whose
 * `detail` is the session.
 */
export declare class SessionListElement extends PartElement {
    protected readonly component: Component;
    constructor();
    get sessions(): readonly SessionVO[] | undefined;
    set sessions(sessions: readonly SessionVO[] | undefined);
}
export {};
