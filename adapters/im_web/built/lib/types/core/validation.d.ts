/**
 * The rules for what an application hands over, each by its name: for forms, before anything is sent.
 * The client applies the same ones.
 */
import { type Id, userId } from './wire/types';
export { userId };
/**
 * What a message says: 1 to `units` UTF-16 units after trimming, no NUL, no lone surrogate
 * (protocol.md section 1).
 *
 * @throws ValueError - names what is wrong, never the content.
 */
export declare function content(value: unknown, units?: number): string;
/**
 * A kind of message ("text", "image" …): 1 to 64 printable characters.
 *
 * @throws ValueError - it is none.
 */
export declare function messageType(value: unknown): string;
/**
 * The id of a message: between 1 and 2^63-1.
 *
 * @throws ValueError - it is none.
 */
export declare function msgId(value: unknown): Id;
/**
 * The id of a session: between 1 and 2^63-1.
 *
 * @throws ValueError - it is none.
 */
export declare function sessionId(value: unknown): Id;
/**
 * An access token: 1 to 8192 characters that can be written as UTF-8.
 *
 * @throws ValueError - it is none; the text never holds it.
 */
export declare function token(value: unknown): string;
/**
 * An installation's name at the server: 1 to 64 of A-Z, a-z, 0-9 and `_ . : -`.
 *
 * @throws ValueError - it is none.
 */
export declare function deviceId(value: unknown): string;
/**
 * Where the server is: ws://… or wss://…, without user, password or fragment.
 *
 * @throws ValueError - it is no such URL.
 */
export declare function wsUrl(value: unknown): string;
/** Every rule by its name; it returns the value as the client uses it, or throws ValueError. */
export declare const RULES: {
    content: typeof content;
    userId: typeof userId;
    msgId: typeof msgId;
    sessionId: typeof sessionId;
    messageType: typeof messageType;
    token: typeof token;
    deviceId: typeof deviceId;
    wsUrl: typeof wsUrl;
};
/**
 * Apply a rule by its name.
 *
 * @param rule - a key of `RULES`.
 * @param value - what the application would hand over.
 * @returns the value as the client uses it: a `userId` of "7" as 7, all others as they are.
 * @throws IMError - MESSAGE_FORMAT_ERROR, saying what is wrong and never showing a token or content.
 * @throws LocalProtocolError - there is no such rule.
 */
export declare function validate(rule: string, value: unknown): unknown;
