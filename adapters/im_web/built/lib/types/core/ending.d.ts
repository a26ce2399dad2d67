/**
 * The state of a client's link, how the link ends, and what follows: a delay, or giving up.
 *
 * State first, effect after.
 */
import { Backoff } from './backoff';
import type { CoreConfig } from './config';
import { Effects } from './effects';
import { IMError } from './errors';
import type { Guarantee } from './events';
import type { FramingViolated, PeerClosed, TransportLost } from './inputs';
import type { JournalState } from './journal';
import { Journaling } from './journaling';
import { Life } from './life';
import { Liveness } from './liveness';
import { Login } from './login';
import { Receiving } from './receiving';
import { Refresh } from './refresh';
import type { Rng } from './rng';
import { Sending } from './sending';
import { Sessions } from './sessions';
import { Timers } from './timers';
import type { Blame, Verdict } from './wire/closes';
import type { Kick, ServerLimits } from './wire/messages';
/** What of a server's limits counts for frames. */
type FrameLimits = Pick<ServerLimits, 'batch' | 'frameBytes'>;
/** … where it tells none. */
export declare const FRAME_LIMITS: FrameLimits;
/** Is it one of these codes? */
export declare function among(codes: readonly number[], code: number): boolean;
/** What an engine starts with. */
export interface Start {
    /** seconds on any monotonic clock; the same clock as in every later call */
    now: number;
    /** seconds since 1970 at `now` */
    wall: number;
    /** where delays and the device id are drawn from */
    rng: Rng;
    /** what an earlier process has kept; null: nothing is kept */
    journal?: JournalState | null;
}
/** What is known of the link, and every way out of it. */
export declare class Ending {
    #private;
    readonly config: CoreConfig;
    readonly deviceId: string;
    connection: string;
    reconnect: string;
    /** the present transport, or the last one */
    transport: number;
    readonly timers: Timers;
    readonly backoff: Backoff;
    readonly liveness: Liveness;
    readonly login: Login;
    readonly fx: Effects;
    readonly journaling: Journaling;
    readonly sending: Sending;
    readonly receiving: Receiving;
    readonly life: Life;
    readonly sessions: Sessions;
    readonly refresh: Refresh;
    /** what the server has granted on this link, sorted */
    capabilities: string[];
    guarantee: Guarantee | null;
    reason: string;
    lastError: IMError | null;
    /** nothing is read from the transport: the application is behind */
    paused: boolean;
    protected readonly rng: Rng;
    protected limits: FrameLimits;
    protected kick: Kick | null;
    protected wasAuthenticated: boolean;
    protected toldConnected: boolean;
    /** when the last attempt came before its time */
    protected hurriedAt: number;
    /** when AUTH_REQUEST went out */
    protected askedAt: number;
    /** when KICK came */
    protected kickedAt: number;
    /** a message has begun to come in and is not complete */
    protected half: boolean;
    /** @param config what to do. */
    constructor(config: CoreConfig, { now, wall, rng, journal }: Start);
    /** The peer broke the protocol; with a close code the link ends over it. */
    protected violated(reason: string, closeCode?: number | null): void;
    protected onPeerClosed(closed: PeerClosed): void;
    protected onTransportLost(lost: TransportLost): void;
    protected onFramingViolated({ reason, code }: FramingViolated): void;
    /** The link went without a close frame: 1006. */
    protected lost(why: string, abort?: boolean): void;
    /** End an open link with a close frame. */
    protected endLink(code: number, reason: string, blame?: Blame, lastWords?: boolean): void;
    /**
     * Whatever lived on the link ends; the transport may still be closing.
     *
     * @param lastWords the peer still reads; nothing may follow its own close, or a broken frame.
     */
    protected linkEnds(blame?: Blame, lastWords?: boolean): void;
    /** Read again, if we don't. */
    protected resumeReading(): void;
    /** Send a close frame and wait, not for ever, for the peer's. */
    protected close(code: number, reason: string): void;
    /** Let the transport go without another word. */
    protected drop(): void;
    /** The transport is no more. */
    protected gone(): void;
    /** An attempt or a link has ended: schedule the next attempt, or give up. */
    protected comeBack(error: IMError, reason: string, verdict?: Pick<Verdict, 'reconnect' | 'counts' | 'failedDelay'> | null, retryAfter?: number | null): void;
    /** Trying again can't help. Only connect() or a new token goes on. */
    protected halt(error: IMError, reason: string): void;
    /** Look at the clocks now and then, while logged in or waiting for an attempt. */
    protected watch(): void;
    /** Every Connected is followed by one Disconnected. */
    protected tellDisconnected(error: IMError | null): void;
    protected flush(): void;
    protected connectionTo(event: string): void;
    protected reconnectTo(event: string): void;
}
export {};
