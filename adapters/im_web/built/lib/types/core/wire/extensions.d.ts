/**
 * The messages that protocol.md section 2 adds beside `seq` and `batch`: status, receipts, typing,
 * presence, refresh, sessions.
 */
import type * as wire from '../../generated/messages';
import { type Named } from './reading';
/** C→S, with `status`: what became of these messages of this device? */
export type MessageStatusRequest = Named<'MessageStatusRequest', wire.MessageStatusRequest>;
/** What became of one message; `timestamp` is when it was accepted. */
export type StatusItem = wire.StatusItem;
/** S→C: that. It is final: after a login nothing of an older connection is taken any more. */
export type MessageStatusResponse = Named<'MessageStatusResponse', wire.MessageStatusResponse>;
export declare const messageStatusResponse: import("./reading").Rule<Named<"MessageStatusResponse", wire.MessageStatusResponse>>;
/** S→C, with `receipts`, numbered: these messages of yours reached `user`, or were read. */
export type ReceiptPush = Named<'ReceiptPush', wire.ReceiptPush>;
export declare const receiptPush: import("./reading").Rule<Named<"ReceiptPush", wire.ReceiptPush>>;
/** S→C, with `receipts`, numbered: another device of yours has read up to this message. */
export type ReadSync = Named<'ReadSync', wire.ReadSync>;
export declare const readSync: import("./reading").Rule<Named<"ReadSync", wire.ReadSync>>;
/** C→S, with `typing`: I have begun, or stopped, to write to somebody. */
export type Typing = Named<'Typing', wire.Typing>;
/** S→C, with `typing`: somebody has begun, or stopped, to write to you. */
export type TypingPush = Named<'TypingPush', wire.TypingPush>;
export declare const typingPush: import("./reading").Rule<Named<"TypingPush", wire.TypingPush>>;
/** S→C, with `presence`: somebody with whom you share a session came, or left. */
export type Presence = Named<'Presence', wire.Presence>;
export declare const presence: import("./reading").Rule<Named<"Presence", wire.Presence>>;
/** S→C, with `refresh`: the token has so many seconds left. */
export type AuthExpiring = Named<'AuthExpiring', wire.AuthExpiring>;
export declare const authExpiring: import("./reading").Rule<Named<"AuthExpiring", wire.AuthExpiring>>;
/** C→S, with `sessions`: a call of section 3. `params` are the fields of its query or body. */
export type SessionRequest = Named<'SessionRequest', wire.SessionRequest>;
/** S→C: its answer, as over HTTP. */
export type SessionResponse = Named<'SessionResponse', wire.SessionResponse>;
export declare const sessionResponse: import("./reading").Rule<Named<"SessionResponse", wire.SessionResponse>>;
/** What a client says of these. */
export type ClientExtension = MessageStatusRequest | Typing | SessionRequest;
/** What a server says of these. */
export type ServerExtension = MessageStatusResponse | ReceiptPush | ReadSync | TypingPush | Presence | AuthExpiring | SessionResponse;
