/**
 * Pushes on their way in: what was seen, what the application has handled, where to go on.
 *
 * With `seq` (protocol.md section 2) the mailbox's numbers decide: the next one is new, an old one is
 * a repeat, a later one shows a hole. Without, a message is a repeat only when msgId and fromUser are
 * both there and the content is equal.
 *
 * What must outlive the process is noted for the journal: how far everything was handled (`Cursor`),
 * what was handled beyond (`Handled`), what the application may have seen (`Offered`), and the
 * messages that it has handled (`PairKnown`).
 */
import type { Event, MessageReceived } from './events';
import type { JournalState, PairKnown } from './journal';
import type { Journaling } from './journaling';
import type { ResumeFrom } from './wire/messages';
import type { Id, UserId } from './wire/types';
/** (fromUser, msgId) */
export type Pair = [UserId, Id];
/** What a push turned out to be; after a hole it is dropped, and comes again after the repair. */
export type Seen = 'new' | 'repeat' | 'hole';
/** A push that is not handled yet, or waits for those before it; or a number passed over. */
export declare class Unhandled {
    seq: number | null;
    readonly pair: Pair | null;
    message: MessageReceived | null;
    /** the application was told */
    shown: boolean;
    /** the application has begun with it */
    taken: boolean;
    /** … and has ended, or it was dropped */
    done: boolean;
    /**
     * @param seq its place in the mailbox; null if it moves no cursor.
     * @param pair where both are known.
     * @param message as the application was told last; null: it is no message, or it is done.
     */
    constructor(seq: number | null, pair: Pair | null, message: MessageReceived | null);
}
/** The client's side of its mailbox. */
export declare class Inbox {
    #private;
    /** of the mailbox; null before the first log-in with `seq` */
    epoch: string | null;
    /** the highest seq up to which everything came in; null: the first one decides */
    received: number | null;
    /** the highest seq up to which everything was handled */
    handled: number;
    /** the highest seq that came over this link; an ack never goes beyond it */
    pushed: number;
    /** the highest seq that this link was told is handled */
    acked: number;
    /**
     * Up to this seq somebody may wait for that: the highest of a message. Nobody waits for what is
     * handled by being told, as receipts are.
     */
    awaited: number;
    /** messages that the application is not done with */
    waiting: number;
    /** up to this seq an earlier process may have shown everything */
    seenBefore: number;
    /**
     * @param knownPairs how many messages are known by their pair.
     * @param journaling the way to the journal.
     * @param kept what an earlier process has kept.
     */
    constructor(knownPairs: number, journaling: Journaling, kept?: JournalState | null);
    /** Where the server should go on: behind what was handled, as far as that is on disk. */
    resume(): ResumeFrom | null;
    /** The first log-in, or one that resumed: numbers go on where they were. */
    loggedIn(epoch: string, base: number | null): void;
    /** The server starts again from `oldest`. What is known by its pair won't come twice. */
    reset(epoch: string, oldest: number): void;
    /**
     * Sort a push; a new one is to be noted: follow with `deliver`.
     *
     * @param message the pair and the content of a message, null for any other push.
     * @param numbered this link was granted `seq`; else a number means nothing.
     */
    lookAt(seq: number | null, message: [Pair | null, string] | null, numbered: boolean): Seen;
    /** Give up a hole: `seq` is taken as the next. */
    skipTo(seq: number): void;
    /** A name that no delivery had before. */
    newDelivery(): number;
    /** Note a new push: a message for the application, or (null) what is handled when shown. */
    deliver(delivery: number, seq: number | null, pair: Pair | null, message: MessageReceived | null, numbered: boolean): void;
    /**
     * The application is told of a delivery: what (null: nothing, it was dropped meanwhile).
     *
     * That is `event`, but for a message, which may have lost its number since it came. What is no
     * message is handled by that.
     */
    show(delivery: number, event: Event | null): Event | null;
    /** The application has begun with a delivery: it is not dropped any more. */
    take(delivery: number): void;
    /**
     * The application is done with a delivery: with which message. One that is not known (any more) is
     * nothing.
     */
    handle(delivery: number): MessageReceived | null;
    /**
     * The application has failed on a delivery: what to tell it, if it was not tried `attempts` times
     * yet. Else, and if it is not known (any more), null.
     */
    fail(delivery: number, attempts: number): MessageReceived | null;
    /** Let the oldest go that the application has not begun with: which, with its delivery. */
    dropOldest(): [number, Unhandled] | null;
    /** Pushes that are not handled, or that the cursor has not passed yet. */
    get backlog(): number;
    /** Is there something that the cursor waits for? */
    get unsettled(): boolean;
    /** How far the server may be told: handled, on disk, and pushed over this link. */
    toAcknowledge(): number;
    /** Have it noted that the application may see all that came in; the ticket of that. */
    offer(): number;
}
/**
 * What an application writes into the journal, together with its own work for a message, so that the
 * message is never shown to it again: exactly once, also over a reset of the mailbox, after which
 * numbers mean something else. null: the server did not say who wrote it, or which of his messages
 * it is.
 */
export declare function pairKnown(message: Pick<MessageReceived, 'fromUser' | 'msgId' | 'content'>): PairKnown | null;
