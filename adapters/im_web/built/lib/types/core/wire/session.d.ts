/**
 * A session (a book, its buyer, its seller) and the answers to calls about it (protocol.md
 * section 3).
 *
 * Read in two passes like everything else: the answer first, then what it carries, so that one bad
 * session never takes its neighbours along. No error here ever shows the input.
 */
import type { HistoryPage, HistoryRecord, SessionOp, SessionVO } from '../../generated/types';
import { type Json } from './json';
import { type Id } from './types';
export { ACTIVE, CLOSED, EXPIRED, STATES } from '../../generated/tables';
export type { HistoryPage, HistoryRecord, SessionOp, SessionVO };
/**
 * How many messages in a session a user has not read. It is as old as the session; what the user has
 * written never counts.
 *
 * @returns null: the server does not say how many, or the user is neither buyer nor seller.
 */
export declare function unreadOf(session: SessionVO, user: unknown): number | null;
/** An answer that can't be read; the text says why, and holds none of it. */
export declare class BadAnswer extends Error {
}
/** {"code", "data", "message"}, with whatever `data` is. */
export interface Answer {
    code: number;
    data: Json;
    message: string | null;
}
/**
 * Take an answer apart.
 *
 * @param body - the text, or its bytes in UTF-8.
 * @throws BadAnswer - it isn't JSON, or no object with a code.
 */
export declare function readAnswer(body: string | Uint8Array): Answer;
/**
 * One session: all of it, or its id alone; null if there is none.
 *
 * @throws BadAnswer - it is none of the three.
 */
export declare function readSession(data: Json): SessionVO | Id | null;
/**
 * A list of sessions; those that can't be read are left out.
 *
 * @throws BadAnswer - it is no list.
 */
export declare function readSessions(data: Json): SessionVO[];
/**
 * A page of messages, with or without {"records": …} around it. What can't be read is left out.
 *
 * @param data - what the answer carries.
 * @param pageSize - how many were asked for: where the server does not say whether there is more, a
 * full page means yes.
 * @throws BadAnswer - it is no page.
 */
export declare function readHistory(data: Json, pageSize: number): HistoryPage;
