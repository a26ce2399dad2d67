/** How a chat reaches the components: provided by the application, or made by ChatPage. */
import { type App, type InjectionKey } from 'vue';
import { type Chat, type ChatOptions } from './chat';
import type { ChatClient } from './client';
/** Where components find the chat. */
export declare const CHAT: InjectionKey<Chat>;
/** The chat around this component; null: there is none, the component shows what it is given. */
export declare function useChat(): Chat | null;
/** Give a chat to the components below this one. */
export declare function provideChat(chat: Chat): void;
/**
 * Give a chat over this client to all components of an application.
 *
 *     const chat = provideIM(app, { client, lang: 'zh' })
 */
export declare function provideIM(app: App, options: ChatOptions & {
    client: ChatClient;
    theme?: string | null;
}): Chat;
