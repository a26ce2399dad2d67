/** How long to wait before trying again, and when to stop trying. */
import type { ReconnectConfig } from './config';
import type { Rng } from './rng';
/** A server can't send a client away for longer than this, in seconds. */
export declare const MAX_RETRY_AFTER = 86400;
/** The delay before jitter after that many failures in a row (at least one), in seconds. */
export declare function baseDelay(config: ReconnectConfig, failures: number): number;
/**
 * Counts failures and draws delays.
 *
 * Two counts, because they end differently: `failed` is what `maxRetries` limits and falls back to
 * zero at a log-in; the level is what the delay grows by and falls back only after a link that
 * stayed good, so that a server which accepts log-ins and drops them is not hammered. A wait that
 * the server asked for is no sign of trouble: the next delay is no longer for it.
 *
 * Of random delays several may be short. So that a client is not away long after a short outage for
 * that, none is longer than it would be if those before had been as long as they could be.
 */
export declare class Backoff {
    #private;
    /** Consecutive failed attempts. */
    failed: number;
    /** Attempts scheduled since the last log-in. */
    retries: number;
    /** The present delay is what the server asked for. */
    asked: boolean;
    /** The present attempt came before its time; that it fails proves nothing. */
    early: boolean;
    constructor(config: ReconnectConfig);
    /** The application asked for a connection: nothing of before counts. */
    startOver(): void;
    /** A log-in succeeded. */
    authenticated(now: number): void;
    /** An attempt ended before its log-in, and it counts, unless it came early. */
    attemptFailed(): void;
    /**
     * A logged-in link ended; `asFailed`: over a violation, whose delays grow from one such end to the
     * next however good the links between them were.
     */
    linkLost(now: number, asFailed: boolean): void;
    /** Has the client failed as often as it may? */
    get exhausted(): boolean;
    /**
     * Draw the delay of the next attempt, in seconds; a server's own wish is obeyed, but for one of no
     * delay at all.
     */
    nextDelay(now: number, rng: Rng, retryAfter: number | null): number;
}
