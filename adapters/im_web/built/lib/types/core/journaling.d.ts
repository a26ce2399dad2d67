/**
 * What is on its way to the journal: collected, and written one list at a time.
 *
 * Who notes something gets a ticket; it is on disk when `written` has reached that. Without a journal
 * nothing is collected, and everything counts as written.
 */
import type { Effects } from './effects';
import type { Change } from './journal';
/** The way to the journal. */
export declare class Journaling {
    #private;
    readonly on: boolean;
    /** the highest ticket that is on disk */
    written: number;
    /** nothing is tried before; null: the last write was good */
    retryAt: number | null;
    /**
     * @param fx takes what is to be done.
     * @param on there is a journal.
     * @param knownPairs how many messages it knows by their pair.
     */
    constructor(fx: Effects, on: boolean, knownPairs: number);
    /** Something is not on disk yet. */
    get busy(): boolean;
    /** Have these written, after those before; returns their ticket. */
    note(...changes: Change[]): number;
    /** Write what waits, if nothing is being written. */
    pump(): void;
    /** It is on disk; a stale answer changes nothing. */
    done(request: number): void;
    /**
     * It is not: what was to be written, and the last ticket of it. What has to be written all the same
     * is to be given to `again`. null: a stale answer.
     */
    failed(request: number): [Change[], number] | null;
    /**
     * Write these first at the next try: they are older than what waits. Of pairs only as many as it
     * would keep, as a plain server sends on for as long as the disk is full.
     *
     * @throws LocalProtocolError: something is being written.
     */
    again(changes: Change[]): void;
}
