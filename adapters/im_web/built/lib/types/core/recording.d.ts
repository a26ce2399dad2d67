/**
 * What the journal keeps of the outbox, and what is told, or done, only when it is there.
 *
 * A message is in the outbox, for the application, when its record is on disk; it is handed to a
 * transport when that is on disk. A failure is told when it is on disk: who hears of it may send the
 * message again, so a later process may not send it too. And only what was told is forgotten: if the
 * process ends in between, the next one tells. Without a journal all of that is at once.
 */
import type { Effects } from './effects';
import { IMError } from './errors';
import type { Change, Identity, OutgoingRecord } from './journal';
import type { Journaling } from './journaling';
import type { Keys } from './keys';
import type { Outgoing } from './message';
/** The outbox's side of the journal. */
export declare class Recording {
    #private;
    /** the highest msgId that was drawn */
    highestId: number;
    constructor(fx: Effects, journaling: Journaling, keys: Keys, deviceId: string);
    /**
     * Go on from there: ids that were drawn, messages that have an end. Returns what still counts, in
     * the order of refs.
     */
    restore(identity: Identity | null, outgoing: Iterable<OutgoingRecord>): OutgoingRecord[];
    /** Keys whose time is over: of which messages. */
    forgetOldKeys(): OutgoingRecord[];
    /** It is in the outbox. */
    added(message: Outgoing): void;
    /**
     * It is about to be handed to a transport, to a server that may take it twice (`unsure`) or not:
     * whatever happens from here on, it may have been sent.
     */
    turnHasCome(message: Outgoing, unsure: boolean): void;
    /** Is on disk what has to be, before it is handed over? */
    mayGo(message: Outgoing): boolean;
    /** Note what is new; tell what is on disk. */
    pump(): void;
    /** The server has it. */
    accepted(message: Outgoing, timestamp: number | null): void;
    /** It has its end otherwise; that is told when it is on disk. */
    failed(message: Outgoing, error: IMError): void;
    /**
     * The journal could not take these, up to that ticket: which messages never got into it, and what
     * it has to take all the same.
     */
    notWritten(changes: Change[], ticket: number): [Outgoing[], Change[]];
    /** It never got into the journal: nothing noted later than this ticket may bring it back. */
    withdraw(message: Outgoing, ticket: number): void;
}
