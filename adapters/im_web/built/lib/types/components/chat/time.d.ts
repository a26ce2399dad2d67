/** Times as people read them. */
/** Writes times in one language. */
export declare class Clock {
    #private;
    readonly words: {
        readonly today: string;
        readonly yesterday: string;
    };
    constructor(lang: string, words: {
        readonly today: string;
        readonly yesterday: string;
    });
    /** The time of day. */
    time(ms: number): string;
    /** Date and time, complete. */
    full(ms: number): string;
    /** What stands over the messages of a day. */
    day(ms: number, now: number): string;
    /** What stands in a list: the time today, else the day. */
    brief(ms: number, now: number): string;
}
/** Is it the same day, where the user is? */
export declare function sameDay(a: number, b: number): boolean;
