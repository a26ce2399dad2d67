/** What one `step` brings about: the list of actions in the making, and the clock it happens at. */
import type { CoreAction } from './actions';
import type { Event } from './events';
import type { Dialect } from './wire/dialect';
import type { ClientMessage } from './wire/messages';
/** What a part can't settle by itself. */
export declare const Trouble: {
    /** The peer may be gone: ask it. */
    readonly PROBE: "probe";
    /** The server has forgotten, or no longer accepts, our log-in. */
    readonly LOGIN_GONE: "login_gone";
    readonly UNANSWERED: "the server stopped answering messages";
    readonly SERVER_FAILED: "the server failed on a message";
    readonly NO_REFRESH: "the server did not answer a new token";
    readonly FLOOD: "the server sends far more than it may before it is acknowledged";
    readonly HOLE: "the server left out messages, and did not bring them when asked";
};
export type Trouble = (typeof Trouble)[keyof typeof Trouble];
/** What has happened so far, for reports. */
export declare class Counters {
    /** Links lost after a log-in and logged in again. */
    reconnects: number;
    /** Log-ins that the server answered with "recovered". */
    resumed: number;
    /** Messages handed over a second or later time. */
    retransmitted: number;
    /** Messages that came again and were not delivered again. */
    duplicatesSuppressed: number;
    /** Messages that the server has accepted. */
    accepted: number;
    /** Messages delivered to the application. */
    received: number;
}
/** Collects actions. Messages are written at once and put into frames when they are due. */
export declare class Effects {
    readonly dialect: Dialect;
    now: number;
    wallOffset: number;
    /** The server has granted `inline` on this link. */
    inline: boolean;
    readonly counters: Counters;
    actions: CoreAction[];
    envelopes: string[];
    /**
     * @param dialect - how messages are written.
     * @param now - the clock of the engine, in seconds.
     * @param wallOffset - wall clock minus `now`, in seconds.
     */
    constructor(dialect: Dialect, now: number, wallOffset: number);
    /** Microseconds since 1970. */
    get wallUs(): number;
    /** Milliseconds since 1970. */
    get wallMs(): number;
    /** Append an action. */
    do(action: CoreAction): void;
    /** Append an event for the application. */
    notify(event: Event): void;
    /** Write a message; it goes out with the next `flush`. */
    say(message: ClientMessage): void;
    /** Put what was said into as few frames as the peer allows, in order. */
    flush(transport: number, limits: {
        batch: number;
        frameBytes: number;
    }): void;
    /** The finished list. */
    take(): CoreAction[];
}
