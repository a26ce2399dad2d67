/**
 * Calls about sessions: which way they go, what an answer leads to, what is tried again
 * (protocol.md section 3).
 *
 * They go over the WebSocket where the server takes them there, and wait for it while it is lost;
 * else over HTTP, which needs a token and no connection. `Sessions` decides; the core carries out,
 * and gets a token for it where none is held.
 */
import type { CoreConfig } from './config';
import { Trouble } from './effects';
import type { Effects } from './effects';
import { IMError } from './errors';
import type { HttpAnswered, HttpFailed, SessionCall } from './inputs';
import type { Login } from './login';
import type { Rng } from './rng';
import { SessionCache } from './session-cache';
import type { Timers } from './timers';
import type { SessionResponse } from './wire/extensions';
/** The calls under way, and (`cache`) the sessions that are known. */
export declare class Sessions {
    #private;
    readonly cache: SessionCache;
    /**
     * @param config where to ask.
     * @param login whose token is used.
     * @param fx takes what is to be done.
     * @param timers gets the deadlines.
     * @param rng where delays are drawn from.
     */
    constructor(config: CoreConfig, login: Login, fx: Effects, timers: Timers, rng: Rng);
    /** Logged in; `granted`: the server takes calls over this link. */
    online(granted: boolean): void;
    /** The link is gone: what was out on it goes again over the next one. */
    offline(): void;
    /** Does a call go over the WebSocket, now or when there is one again? */
    takesLink(linkWanted: boolean): boolean;
    /** An answer is awaited over the link. */
    get awaited(): boolean;
    /**
     * The application wants something.
     *
     * What is asked already is not asked twice: both get the one answer, and by the deadline of the
     * first.
     *
     * @throws LocalProtocolError: what it wants is not complete, or its ref is in use.
     * @throws IMError: QUEUE_FULL.
     */
    call(wish: SessionCall): void;
    /** SESSION_RESPONSE came; a stale one changes nothing. */
    responded(response: SessionResponse): Trouble | null;
    /** An answer came over HTTP; a stale one changes nothing. */
    answered(answered: HttpAnswered): void;
    /** There is no answer; a stale one changes nothing. */
    failed(failed: HttpFailed): void;
    /** The token function has answered: whoever waited for that goes on, with whatever it is. */
    tokenReady(): void;
    /** There is no token: whoever waited for one can't go on. */
    tokenFailed(error: IMError): void;
    /** Every call ends now. */
    end(error: IMError): void;
    /** A call has taken too long, unless it is we who were asleep. */
    overdue(late: boolean): void;
    /** A call is to be tried again. */
    retryDue(): void;
    /**
     * Send what may go. Is a token wanted for the rest?
     *
     * @param linkWanted there is a link, or will be one if all goes well.
     */
    pump(linkWanted: boolean): boolean;
}
