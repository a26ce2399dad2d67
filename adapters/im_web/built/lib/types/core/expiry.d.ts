/** When messages expire: many times, one timer. */
import type { Timers } from './timers';
/** The heap is cleaned when it has this many entries, and twice as many as messages may expire. */
export declare const CLEAN_FROM = 64;
/**
 * The times to live of messages. What no longer expires stays in the heap until its time, or until
 * the heap is cleaned.
 */
export declare class Expiry {
    #private;
    constructor(timers: Timers);
    /** A message expires then. */
    add(at: number, ref: number): void;
    /** When a message expires; null: never. */
    at(ref: number): number | null;
    /** Those whose time is over, each once. */
    due(now: number): number[];
    /** Time has passed that the clock did not see. */
    slept(seconds: number): void;
    /** Set the timer to the first that still `expires`. */
    watch(expires: (ref: number) => boolean): void;
}
