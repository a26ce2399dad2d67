/** The sessions that the server has told of, as they were told last. */
import type { SessionVO } from './wire/session';
import type { Id } from './wire/types';
/**
 * They are as old as the answers that they came in, with their unread counts: what came, or was read,
 * since then does not change them. One thing does: a message that is refused because its session
 * can't be written in any more.
 */
export declare class SessionCache {
    #private;
    /** The session as the server told it last. */
    get(sessionId: Id): SessionVO | null;
    /** All of them, the one told last at the end. */
    all(): SessionVO[];
    /** The server has told this. */
    keep(session: SessionVO): void;
    /** The server knows it no more. */
    drop(sessionId: Id): void;
    /** A message was refused, as its session can't be written in any more. */
    sendRefused(sessionId: Id | null): void;
}
