/**
 * What a call about sessions is, over the WebSocket or over HTTP: what may be asked, and what an
 * answer comes down to (protocol.md section 3). Functions without a memory; `sessions` has it.
 */
import { IMError } from './errors';
import type { IMErrorCode } from './errors';
import type { SessionCall } from './inputs';
import type { SessionRequest, SessionResponse } from './wire/extensions';
import type { Answer, SessionOp } from './wire/session';
import type { Id, UserId } from './wire/types';
/**
 * The wish in one form, and without its ref: what is equal asks for the same.
 *
 * @throws LocalProtocolError: it is not complete, or says too much.
 */
export declare function checked(wish: SessionCall): Required<SessionCall>;
/** The fields of a call, as they stand in its query, its body or its SESSION_REQUEST. */
export type Params = Record<string, Id | string>;
/**
 * The fields of a call.
 *
 * @param doing what is asked at present.
 * @param wish what the application wants.
 * @param sessionId get this one.
 * @param userId who asks.
 */
export declare function params(doing: SessionOp, wish: Required<SessionCall>, sessionId: Id | null, userId: UserId): Params;
/** The message of a call; `number` names it. */
export declare function overLink(doing: SessionOp, wish: Required<SessionCall>, sessionId: Id | null, userId: UserId, number: number): SessionRequest;
/**
 * What an answer comes down to.
 *
 * - `auth`: the token is no good
 * - `absent`: there is no such session, user or book
 * - `unknown_path`: the server doesn't know this path
 * - `failed`: the server failed; another try may succeed
 * - `refused`: will not be better next time
 * - `moved`: it is somewhere else, and the token does not go there
 */
export type Kind = 'success' | 'auth' | 'absent' | 'unknown_path' | 'failed' | 'refused' | 'moved';
/** What its code means. */
export declare function kindOf(answer: Answer): Kind;
/** An answer, whichever way it came. */
export interface Reply {
    kind: Kind;
    /** null where only the HTTP status says something */
    answer: Answer | null;
    /** of HTTP; null over the WebSocket */
    status: number | null;
    /** seconds that the server wants to be left alone */
    retryAfter: number | null;
}
/** Some servers say it in the status, some in the code. */
export declare function is404(reply: Reply): boolean;
/** What SESSION_RESPONSE comes down to. */
export declare function readResponse({ code, data, message }: SessionResponse): Reply;
/** The error of an answer that ends a call. */
export declare function refusal(doing: SessionOp, reply: Reply): IMError;
/** An error, with what the server has said. It ends the call, never the connection. */
export declare function serverError(code: IMErrorCode, text: string, { answer, status }: Reply, retryable?: boolean): IMError;
