/**
 * What an application can listen to: names, registration, and the queue of what is to be called.
 *
 * Callbacks are called in the order of the events, one at a time: one that gives a promise is waited
 * for before the next.
 */
import type { IMEventCallbacks, IMEventName } from '../types';
type Callback = (...args: never[]) => unknown;
/** What became of one event; 'passed': nobody listened any more, or it was not wanted any more. */
export type Outcome = 'returned' | 'threw' | 'passed';
/** One event on its way to its callbacks. */
export interface Call {
    name: IMEventName;
    args: unknown[];
    /** Asked just before; false passes the event over. */
    wanted?: () => boolean;
    /** Told what became of it. */
    then?: (outcome: Outcome) => void;
}
export declare class Callbacks {
    #private;
    readonly now: () => number;
    /** Is the code that asks a callback, in so far as one can tell? */
    inside: boolean;
    /** @param now - a monotonic clock, ms. */
    constructor(now: () => number);
    /**
     * Set one callback per name, in place of the one set before; undefined or null takes it away.
     * Those of `on` and `once` stay. All or nothing.
     *
     * @throws {LocalProtocolError} an unknown name, or something that can't be called.
     */
    set(callbacks: Partial<IMEventCallbacks>): void;
    /** @throws {LocalProtocolError} an unknown name, or something that can't be called. */
    on(name: IMEventName, callback: Callback, once: boolean): void;
    /** Take away a callback, however it came here; without one, all of the name. */
    off(name: IMEventName, callback?: Callback): void;
    /** Does anybody listen to that name? */
    has(name: IMEventName): boolean;
    /** Have it called after all that was put before, or `first`: before all of it. */
    put(call: Call, first?: boolean): void;
    /** Tell whoever listens to that name. */
    tell<K extends IMEventName>(name: K, ...args: Parameters<NonNullable<IMEventCallbacks[K]>>): void;
    /** Don't call it, if its turn has not come yet; `then` hears nothing. */
    withdraw(call: Call): void;
    /** Resolves when all that waits was called. */
    drained(): Promise<void>;
    /** The callback that is running for more than so many ms, in plain words; '' if there is none. */
    explain(slow?: number): string;
}
export {};
