/** Who sends which messages, and what an envelope calls them. */
import { type ClientMessage, type MessageRule } from './messages';
/** What clients send: the envelope's `type`, and the fields in the order in which they are written. */
export declare const CLIENT_MESSAGES: Readonly<Record<ClientMessage['type'], string>>;
/** What servers send, by the envelope's `type`. */
export declare const SERVER_MESSAGES: ReadonlyMap<string, MessageRule>;
