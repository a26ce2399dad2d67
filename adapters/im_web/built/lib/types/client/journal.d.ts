/**
 * What must outlive the page, in IndexedDB: one database for each server, user and device.
 *
 * Only the tab that holds the lock opens it. A browser may throw the data of a page away when its
 * disk is full, and Safari does after seven days without a visit; a page that minds calls
 * `navigator.storage.persist()`.
 */
import type { Change, JournalData } from '../generated/types';
import type { Environment } from '../types';
/** Is it there, and what does it hold? */
export interface Opened {
    journal: Journal;
    data: JournalData;
}
/** An open journal. */
export declare class Journal {
    #private;
    readonly env: Environment;
    readonly name: string;
    readonly knownPairs: number;
    private constructor();
    /**
     * Open it and read all of it.
     *
     * @throws {Error} why it can't be used: forbidden, blocked, of a later version, damaged.
     */
    static open(env: Environment, name: string, knownPairs: number): Promise<Opened>;
    /**
     * Write these changes, in order, all or none.
     *
     * @throws {Error} none was written; says why.
     */
    write(changes: readonly Change[]): Promise<void>;
    /** Let go of it. What is being written is written. */
    close(): void;
}
