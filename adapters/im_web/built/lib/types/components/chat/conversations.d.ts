/**
 * The conversations of one user. A conversation is the other user: whatever sessions the two have,
 * about this book or that, their messages stand in one order.
 */
import { type ComputedRef } from 'vue';
import type { Id, SessionVO, UserId } from '../../types';
import { type Timeline } from './timeline';
/** Is there more history, before what is known? `unknown`: nothing was asked for yet. */
export type Older = 'unknown' | 'loading' | 'some' | 'none' | 'failed';
/** One conversation; its fields are reactive. */
export interface Conversation {
    readonly user: UserId;
    /** The sessions that the two share, the newest first. */
    sessions: readonly SessionVO[];
    /** The one that is written in; null: none, or the server makes one. */
    session: SessionVO | null;
    messages: Timeline;
    older: Older;
    /** How many messages this user has not read. */
    unread: number;
    /** The message over which stands "new messages"; its name on the screen. */
    divider: string | null;
    /** Is the other one writing? */
    typing: boolean;
    /** Null: nobody tells. */
    online: boolean | null;
    lastSeen: number | null;
}
/** All conversations of `me`. */
export declare class Conversations {
    #private;
    readonly me: UserId;
    constructor(me: UserId);
    /** The newest first; those without a message last, in the order of their sessions. */
    readonly sorted: ComputedRef<readonly Conversation[]>;
    /** Unread messages of all together. */
    readonly unread: ComputedRef<number>;
    find(user: UserId): Conversation | undefined;
    /** The conversation with this user; a new one if there is none. */
    with(user: UserId): Conversation;
    /** All that there are. */
    all(): Conversation[];
    /** The server has told these sessions. */
    know(sessions: readonly SessionVO[]): void;
    /** Another device, or tab, has read what this user has written, up to this message. */
    read(from: UserId, msgId: Id): void;
    /** Who the other user of a session is. */
    otherOf(session: SessionVO): UserId;
    /** How many messages of a session the user has not read; null: the server doesn't say. */
    unreadOf(session: SessionVO): number | null;
}
/** Can something be written in this session? Who doesn't tell its status is believed to. */
export declare function isOpen(session: SessionVO): boolean;
