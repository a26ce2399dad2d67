import type { IMClientConfig } from '../../types';
import { type Chat, type ChatOptions } from './chat';
/** A chat, and how to end it together with its client. */
export interface OwnChat {
    readonly chat: Chat;
    close(): void;
}
/** Make a client, connect it, and go on trying as long as nobody refuses. */
export declare function ownChat(config: IMClientConfig, options: ChatOptions): OwnChat;
