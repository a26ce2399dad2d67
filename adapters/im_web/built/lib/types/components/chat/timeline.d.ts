/**
 * The messages of one conversation, as a list that is never changed in place.
 *
 * First those that the server has accepted, in its order of acceptance; then the user's own that
 * are under way or have failed, in the order of their sending. A message is known again by who
 * wrote it and its msgId, or, while it has none, by the key of its sending; so what comes twice, by
 * a history page and live, is there once.
 */
import type { ChatReceivedMessage, HistoryRecord, Id, OwnMessageEvent, SentMessage, UserId } from '../../types';
/** What is known of a message; `received` is one of the other user. */
export type EntryState = 'sending' | 'sent' | 'delivered' | 'read' | 'failed' | 'received';
/** A message as it is shown. */
export interface Entry {
    /** Its name on the screen; it stays the same when the message is accepted. */
    readonly id: string;
    readonly mine: boolean;
    readonly from: UserId;
    readonly msgId: Id | null;
    readonly content: string;
    readonly messageType: string;
    /** When it was accepted, or given to the client, ms since 1970; null if nobody says. */
    readonly time: number | null;
    readonly state: EntryState;
    /** Of a received one: has this user read it? Null: the server doesn't tell. */
    readonly seen: boolean | null;
    /** The key of its sending; null if another client sent it. */
    readonly key: string | null;
    /** Why it failed. */
    readonly error: {
        readonly code: string;
        readonly text: string;
    } | null;
}
export type Timeline = readonly Entry[];
/** Has the server not accepted it (yet)? Such entries stand last. */
export declare function isPending(entry: Entry): boolean;
/** How many have been accepted: where the pending ones begin. */
export declare function accepted(list: Timeline): number;
/** A message of a history page. */
export declare function fromRecord(record: HistoryRecord, me: UserId): Entry;
/** A message of another user that has just come. */
export declare function fromReceived(message: ChatReceivedMessage, from: UserId, now: number): Entry;
/** A message that another device of this user has sent. */
export declare function fromOwn(event: OwnMessageEvent, me: UserId, now: number): Entry;
/** A message of this client, as it stands now. */
export declare function fromSent(sent: SentMessage, me: UserId): Entry;
/** Add what has come live; a message that is known already changes nothing. */
export declare function add(list: Timeline, entry: Entry): Timeline;
/** Take over how a message of this client stands. */
export declare function put(list: Timeline, entry: Entry): Timeline;
/** Take away a message, by its name on the screen. */
export declare function remove(list: Timeline, id: string): Timeline;
/**
 * Merge a page of the history, whose order is the server's. What is known keeps its name on the
 * screen and whatever is known later of it.
 */
export declare function merge(list: Timeline, page: Timeline): Timeline;
/** Does a page share a message with what is known? */
export declare function touches(list: Timeline, page: Timeline): boolean;
/** The recipient's devices have these messages, or its user has read them. */
export declare function receipt(list: Timeline, msgIds: readonly Id[], state: 'delivered' | 'read'): Timeline;
/** The user has read all up to this message of the other one; null: all. */
export declare function read(list: Timeline, upTo: Id | null): Timeline;
/** The received messages that the user has not read, the oldest first. */
export declare function unread(list: Timeline): Timeline;
/** The last message that the other user has written. */
export declare function lastReceived(list: Timeline): Entry | undefined;
/** A time as servers write it, ms since 1970: digits of milliseconds, or a date. */
export declare function timeOf(text: string | null): number | null;
