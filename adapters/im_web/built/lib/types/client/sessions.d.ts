/** The calls about sessions (protocol.md section 3). */
import type { SessionOp } from '../generated/types';
import type { HistoryPage, HistoryRequest, Id, SessionCreateRequest, SessionGetRequest, SessionVO, UserId } from '../types';
import type { Answer, SessionParams } from './engine';
/**
 * What `IMClient` has for sessions.
 *
 * On a connection to a server that takes them there they go over that, and wait for it while it is
 * lost. Else they go over HTTP, with or without a connection.
 *
 * Each takes at most `http.timeout`. `disconnect()` ends them. What is unread is as old as the answer
 * that it came in.
 */
export declare abstract class SessionMethods {
    #private;
    /** Make a call and wait for its end. */
    protected abstract ask(op: SessionOp, params: SessionParams): Promise<Answer>;
    /**
     * Get a session by its id, or by book, buyer and seller; null if there is none.
     *
     * @throws {IMError} TOKEN_INVALID, AUTH_FAILED, NETWORK_ERROR, SERVER_ERROR, QUEUE_FULL.
     * @throws {LocalProtocolError} not enough is given, or too much.
     */
    getSession(params: SessionGetRequest): Promise<SessionVO | null>;
    /**
     * Make a new session. Over HTTP it is never tried twice; over a connection it is, as that makes no
     * second one.
     *
     * @throws {IMError} SESSION_CREATE_FAILED, and as for `getSession`. After NETWORK_ERROR nobody
     * knows whether the session was made.
     */
    addSession({ bookId, buyerId, sellerId }: SessionCreateRequest): Promise<SessionVO>;
    /** Get the open session of book, buyer and seller, or a new one. Throws as `addSession`. */
    getOrCreateSession(bookId: Id, buyerId: UserId, sellerId: UserId): Promise<SessionVO>;
    /** All sessions of this user, with what is unread in each. Throws as `getSession`. */
    getCurrentSessions(): Promise<SessionVO[]>;
    /**
     * A page of the messages of a session, or with somebody in all sessions.
     *
     * @throws {IMError} SESSION_NOT_FOUND, and as for `getSession`.
     * @throws {LocalProtocolError} neither or both of session and user, or an id out of range.
     */
    getHistory(request: HistoryRequest): Promise<HistoryPage>;
}
