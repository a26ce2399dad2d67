/** Who waits in connect(), and why the client has given up. */
import { IMError } from '../core/errors';
import type { Environment } from '../types';
export declare class Standing {
    #private;
    readonly env: Environment;
    /** why the client will not go on by itself */
    gaveUp: IMError | null;
    constructor(env: Environment);
    /** Does anybody wait in connect()? */
    get waiting(): boolean;
    /**
     * Wait for a log-in.
     *
     * @param retry - failed attempts are no end of it.
     * @param timeout - ms; null waits as long as it takes.
     * @param late - makes the error of one that took too long.
     * @returns why there is none; null: logged in.
     */
    wait(retry: boolean, timeout: number | null, late: (timeout: number) => IMError): Promise<IMError | null>;
    /** A log-in succeeded. */
    loggedIn(): void;
    /** An attempt, or a link, failed; with `anotherWay` it is no failure of connect() yet. */
    trouble(error: IMError, anotherWay: boolean): void;
    /** Nobody waits in connect() any more. */
    turnAway(error: IMError | null): void;
}
