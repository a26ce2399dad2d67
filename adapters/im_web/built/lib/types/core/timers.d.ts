/** Named deadlines: one table per engine, times on the clock given to it. */
import type { TimerName } from '../generated/types';
export { GRACE, LATE, OF_THE_LINK } from '../generated/tables';
/** The name of a deadline. */
export type Timer = TimerName;
/** What `explain()` calls each deadline. */
export declare const MEANINGS: Readonly<Record<Timer, string>>;
/** The deadlines that are set. */
export declare class Timers {
    #private;
    /** Set or move a deadline. */
    set(timer: Timer, deadline: number): void;
    /** Forget deadlines, set or not, and that they were too late to judge. */
    cancel(...timers: readonly Timer[]): void;
    /** When a deadline is, or null. */
    get(timer: Timer): number | null;
    /** The earliest deadline. */
    next(): number | null;
    /**
     * Take out what is due, the earliest first.
     *
     * Each with whether it is too late to judge: true at most once in a row for each.
     */
    popDue(now: number): [timer: Timer, late: boolean][];
    /** What is set, the earliest first. */
    all(): [timer: Timer, deadline: number][];
}
