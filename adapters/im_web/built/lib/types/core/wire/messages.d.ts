/**
 * The messages of the wire, one interface each (protocol.md section 1, and `seq`, `batch` and the
 * log-in of section 2); the rest of section 2 is in `extensions`.
 *
 * `type` is the class's name on the Python side; the envelope's is in the tables of `directions`. All
 * fields are always there, null where nothing was said.
 */
import type * as wire from '../../generated/messages';
import type { ClientExtension, ServerExtension } from './extensions';
import { type Named, type Rule } from './reading';
/** The last push that the client has processed: where the server goes on. */
export type ResumeFrom = wire.ResumeFrom;
/** What this client can take. */
export type ClientLimits = wire.ClientLimits;
/** C→S, the first message of a connection. */
export type AuthRequest = Named<'AuthRequest', wire.AuthRequest>;
/** The rhythm that the server would like, in seconds. */
export type HeartbeatHint = wire.HeartbeatHint;
/** What the server can take and gives. */
export type ServerLimits = wire.ServerLimits;
/**
 * What the server says of the log-in. All but the user is section 2.
 *
 * A plain server may use any of these keys for something of its own, so what can't be read is as
 * good as absent.
 */
export type AuthData = wire.AuthData;
/** S→C: in, or not. */
export type AuthResponse = Named<'AuthResponse', wire.AuthResponse>;
/** What holds where the server says nothing. */
export declare const SERVER_LIMITS: ServerLimits;
/** Nothing is said of the log-in. */
export declare const NO_AUTH_DATA: AuthData;
export declare const authResponse: Rule<Named<"AuthResponse", wire.AuthResponse>>;
/** C→S: are you there? */
export type HeartbeatRequest = Named<'HeartbeatRequest', wire.HeartbeatRequest>;
/** S→C: yes. */
export type HeartbeatResponse = Named<'HeartbeatResponse', wire.HeartbeatResponse>;
export declare const heartbeatResponse: Rule<Named<"HeartbeatResponse", wire.HeartbeatResponse>>;
/** C→S: a message to one user. */
export type ChatSendToOne = Named<'ChatSendToOne', wire.ChatSendToOne>;
/** S→C: what became of a message. No code means accepted. */
export type ChatSendResponse = Named<'ChatSendResponse', wire.ChatSendResponse>;
export declare const chatSendResponse: Rule<Named<"ChatSendResponse", wire.ChatSendResponse>>;
/**
 * S→C: what became of the only message in flight. No code means accepted.
 *
 * Of dialects without msgId alone, so it stands in none of the tables of `directions`.
 */
export interface ChatAnswer {
    type: 'ChatAnswer';
    code: number | null;
    message: string | null;
}
/**
 * S→C: a message for you. `seq` is there when the capability was granted.
 *
 * With `toUser` it is a copy of what another device of yours has sent: `deviceId`.
 */
export type ChatRedirectToUser = Named<'ChatRedirectToUser', wire.ChatRedirectToUser>;
export declare const chatRedirectToUser: Rule<Named<"ChatRedirectToUser", wire.ChatRedirectToUser>>;
/** C→S: I have read what `fromUser` wrote. */
export type ChatReadReceipt = Named<'ChatReadReceipt', wire.ChatReadReceipt>;
/** S→C: noted. */
export type ChatReadReceiptResponse = Named<'ChatReadReceiptResponse', wire.ChatReadReceiptResponse>;
export declare const chatReadReceiptResponse: Rule<Named<"ChatReadReceiptResponse", wire.ChatReadReceiptResponse>>;
/** S→C: something that you sent was wrong; with `msgId` it says which message. */
export type ChatError = Named<'ChatError', wire.ChatError>;
export declare const chatError: Rule<Named<"ChatError", wire.ChatError>>;
/** The words of a ChatError, whichever key they came under. */
export declare function textOf(error: ChatError): string | null;
/** C→S: everything up to this seq was handled by the application. */
export type ChatAck = Named<'ChatAck', wire.ChatAck>;
/** C→S: I have a hole; send again what follows this seq. */
export type SyncRequest = Named<'SyncRequest', wire.SyncRequest>;
/** S→C: the pushes go on behind `after`, or, after a reset, from `oldest`. */
export type SyncResponse = Named<'SyncResponse', wire.SyncResponse>;
export declare const syncResponse: Rule<Named<"SyncResponse", wire.SyncResponse>>;
/** S→C: this connection ends; decides over the close that follows. */
export type Kick = Named<'Kick', wire.Kick>;
export declare const kick: Rule<Named<"Kick", wire.Kick>>;
/** What a client says. */
export type ClientMessage = AuthRequest | HeartbeatRequest | ChatSendToOne | ChatReadReceipt | ChatAck | SyncRequest | ClientExtension;
/** What a server says. */
export type ServerMessage = AuthResponse | HeartbeatResponse | ChatSendResponse | ChatAnswer | ChatRedirectToUser | ChatReadReceiptResponse | ChatError | SyncResponse | Kick | ServerExtension;
/** How a message is read, whichever it is. */
export type MessageRule = Rule<ServerMessage>;
