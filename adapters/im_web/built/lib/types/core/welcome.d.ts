/**
 * What follows when a link is up: the log-in, its answer, and a new token on the way.
 *
 * The part of `ClientCore` in which a link becomes a log-in: state first, effect after.
 */
import { Deadlines } from './deadlines';
import type { LinkOpened } from './inputs';
import type { AuthResponse } from './wire/messages';
/** From an upgraded link to a log-in, or to none. */
export declare class Welcome extends Deadlines {
    #private;
    protected onLinkOpened({ capable }: LinkOpened): void;
    protected onAuthResponse(response: AuthResponse): void;
    /** Send a new token, if there is one for this link. */
    protected offerToken(): void;
}
