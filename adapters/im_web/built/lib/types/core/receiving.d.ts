/**
 * What becomes of what comes in: repeats, holes, what the application is told and when, and telling
 * the server how far.
 *
 * With a journal a message is shown only when it is on disk that it may have been seen, so that the
 * next process can say that it comes again. What came behind it is shown behind it.
 */
import type { CoreConfig } from './config';
import { Trouble } from './effects';
import type { Effects } from './effects';
import { Inbox } from './incoming';
import type { JournalState } from './journal';
import type { Journaling } from './journaling';
import type { Timers } from './timers';
import type { Unknown } from './wire/dialect';
import type { ReadSync, ReceiptPush } from './wire/extensions';
import type { AuthData, ChatRedirectToUser, SyncResponse } from './wire/messages';
/** What may stand in a mailbox, and has a number then. */
export type Push = ChatRedirectToUser | ReceiptPush | ReadSync | Unknown;
/** The incoming half of a client. */
export declare class Receiving {
    #private;
    readonly inbox: Inbox;
    /** the repair of a hole is awaited */
    syncing: boolean;
    /**
     * @param deviceId this client's name at the server.
     * @param journaling the way to the journal.
     * @param kept what an earlier process has kept.
     */
    constructor(config: CoreConfig, deviceId: string, fx: Effects, timers: Timers, journaling: Journaling, kept: JournalState | null);
    /** Logged in; `numbered`: the server granted `seq`. Did it resume where we were? */
    online(data: AuthData, numbered: boolean): boolean;
    /** The link is gone. */
    offline(): void;
    /** A push came in; one without a number is no less welcome. */
    pushed(push: Push): Trouble | null;
    /** Have it noted what this step shows, and tell what may be told by now. */
    settle(): void;
    /** The application is done with a delivery. */
    handled(delivery: number): void;
    /** The application has failed on a delivery: once more, unless that was enough. */
    failed(delivery: number): void;
    /** How much the application is not told of, as the journal has to know of it first. */
    get held(): number;
    /** Is the application so far behind that no more should be read? With hysteresis, told. */
    lookBehind(): boolean;
    /** Tell the server how far the application is, not for every message alone. */
    acknowledge(atOnce?: boolean): void;
    /** SYNC_RESPONSE came: the pushes go on behind the hole, or from the oldest held. */
    synced(response: SyncResponse): void;
    /** SYNC_REQUEST was not answered: no progress. */
    syncOverdue(): Trouble;
}
