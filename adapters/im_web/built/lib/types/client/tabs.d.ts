/**
 * The tabs of one page and user: a lock says which of them leads, a channel carries words.
 *
 * A lock is held as long as its tab lives, so nobody has to guess whether the leader does.
 */
import type { Environment } from '../types';
/** What a tab hears of its group. */
export interface TabListener {
    /** This tab leads from now on. */
    lead(): void;
    /** The browser has locks, and gives none to this page: one in a sandbox, for example. */
    refused(): void;
    /** Another tab says this. */
    hear(word: unknown): void;
}
export declare class Tabs {
    #private;
    readonly env: Environment;
    readonly name: string;
    readonly listener: TabListener;
    /** @param name - of the group. */
    constructor(env: Environment, name: string, listener: TabListener);
    /** Why there can be no group here; null: there can. */
    static missing(env: Environment): string | null;
    /** Be one of the group, and lead it when its turn comes. */
    join(): void;
    /** Let another tab lead, if there is one; then this one again. */
    resign(): void;
    /** Let another tab lead, and don't come back before `join`. */
    pause(): void;
    /** Say it to all other tabs. */
    post(word: unknown): void;
    /** Be no member any more. */
    close(): void;
}
/** A copy that a channel can carry: errors lose their class there. */
export declare function pack(value: unknown): unknown;
/** What was packed. */
export declare function unpack(value: unknown): unknown;
