/**
 * Is the peer alive? When to probe it, and when to give it up (protocol.md, "Liveness").
 *
 * After a sleep of the machine, or a change of the network, the link is in doubt: one probe, with
 * little time for its answer, decides. While the application is so far behind that nothing is read,
 * nothing can be heard either: probes go out, for the server to see us alive, and nobody is judged.
 */
import type { HeartbeatConfig } from '../generated/types';
import type { Timers } from './timers';
import type { HeartbeatHint } from './wire/messages';
/** What a heartbeat's deadline asks for. */
export type Beat = 'nothing' | 'probe' | 'dead';
/** Probes at a steady pace. Any complete frame is life; a byte is not. */
export declare class Liveness {
    #private;
    state: string;
    missed: number;
    interval: number;
    timeout: number;
    readonly maxMissed: number;
    /** the next probe that is unanswered is the last */
    inDoubt: boolean;
    /** nothing is read from the transport */
    deaf: boolean;
    constructor(config: HeartbeatConfig, timers: Timers);
    /**
     * Logged in: the configuration wins over the server's hint, the hint over the default.
     *
     * @param rtt what the log-in took, in seconds, until a probe shows better.
     */
    start(hint: HeartbeatHint | null, now: number, rtt: number): void;
    /** The link is gone, or going. */
    stop(): void;
    /** HEARTBEAT_DUE came. */
    due(now: number): Beat;
    /** HEARTBEAT_ANSWER came. If we were late ourselves, the peer gets another chance. */
    unanswered(late: boolean): Beat;
    /** A probe goes out now. */
    probed(now: number): void;
    /** Nothing is read from now on, so nothing can be missed. */
    deafen(): void;
    /** A complete frame came in. */
    life(): void;
    /** A probe's own answer: the round-trip time in seconds, if only one was out. */
    answered(now: number): number | null;
}
