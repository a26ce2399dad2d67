/**
 * A new token on the live connection, before the old one expires (protocol.md section 2,
 * `refresh`).
 *
 * Everything here is a decision; the core fetches, sends and tells.
 */
import type { CoreConfig } from './config';
import { Trouble } from './effects';
import type { Effects } from './effects';
import type { Login } from './login';
import type { Rng } from './rng';
import type { Timers } from './timers';
import type { AuthData, AuthResponse } from './wire/messages';
/** The token that the present link is logged in with, and the one that shall take its place. */
export declare class Refresh {
    #private;
    /** the token whose AUTH_REQUEST is unanswered */
    out: string | null;
    /** the token function is to be asked, or is being asked, for a new one */
    wanted: boolean;
    /**
     * @param config how long to wait.
     * @param login holds the token of the next log-in.
     * @param fx takes what is to be told.
     * @param timers gets the deadlines.
     * @param rng where delays are drawn from.
     */
    constructor(config: CoreConfig, login: Login, fx: Effects, timers: Timers, rng: Rng);
    /** Logged in. What was given meanwhile goes out at once. */
    online(data: AuthData | null, granted: boolean): void;
    /** The link is gone, and its deadlines with it. The next log-in takes what is held. */
    offline(): void;
    /** AUTH_EXPIRING came. */
    expiring(expiresIn: number): void;
    /** It is time for a new token. */
    due(): void;
    /** A new token is on its way to the server, or about to be. */
    get awaited(): boolean;
    /** The machine has slept so long, and the token went on to grow old. */
    slept(seconds: number): void;
    /** A token came: of the token function, or of the application. */
    tokenHeld(): void;
    /** The token function has failed. Was it asked for this? Then it will be again. */
    fetchFailed(): boolean;
    /** The token to be sent now, if there is one. */
    offer(): string | null;
    /** AUTH_RESPONSE came for the token that is out. */
    answered(response: AuthResponse): void;
    /** There is no answer: probe first, then drop the link. */
    overdue(probeTimeout: number, late: boolean): Trouble;
}
