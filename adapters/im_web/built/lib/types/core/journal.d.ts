/**
 * What a client keeps on disk, as plain records: its journal.
 *
 * An adapter loads a `JournalState`, gives it to the engine, and writes the changes that the engine
 * asks for (`WriteJournal`), each list in one transaction, in order. `JournalState.apply` says what
 * each change means; a database is nothing but that on disk.
 *
 * Times are milliseconds since 1970, as a monotonic clock means nothing to the next process.
 */
import type { Change, Cursor, Identity, JournalData, OutgoingRecord, PairKnown } from '../generated/types';
export type * from '../generated/types';
/** All that a journal holds. An empty one is a new installation. */
export declare class JournalState {
    #private;
    identity: Identity | null;
    cursor: Cursor | null;
    offered: number;
    /** By ref. */
    readonly outgoing: Map<number, OutgoingRecord>;
    handled: Set<number>;
    /** By user and msgId, the oldest first. */
    readonly pairs: Map<string, PairKnown>;
    /** How many of `pairs` are kept, the newest. */
    readonly knownPairs: number;
    /** @param data - what was kept; what is left out is empty. */
    constructor(data?: Partial<JournalData>);
    /** Take in what an engine wants written, in order. */
    apply(changes: Iterable<Change>): void;
}
