/**
 * Does the client want a link, and what it does to get one: a token, a transport, an upgrade.
 *
 * With `ending` the part of `ClientCore` that knows transports, tokens and delays, and nothing of
 * messages. State first, effect after.
 */
import { Ending } from './ending';
import type { LinkRefused, TokenFailed, TokenReady, TransportFailed, TransportOpened, UpdateToken } from './inputs';
/** From the wish for a connection to an upgraded link. */
export declare class Lifecycle extends Ending {
    #private;
    protected onConnect(): void;
    protected onDisconnect(): void;
    protected onUpdateToken({ token }: UpdateToken): void;
    /** Start one attempt: a token first, then a transport. */
    protected attempt(): void;
    /**
     * There is a network: try soon, unless the server said when. At a pace, as a system may tell of it
     * many times.
     */
    protected hurry(): void;
    /** The delay is over. */
    protected retry(): void;
    /** Ask the token function, unless it is being asked: whoever needs a token gets that one. */
    protected fetchToken(): void;
    protected onTokenReady({ request, token }: TokenReady): void;
    protected onTokenFailed({ request, reason }: TokenFailed): void;
    protected tokenFailed(why: string): void;
    protected onTransportOpened({ transport }: TransportOpened): void;
    protected onTransportFailed({ kind, reason }: TransportFailed): void;
    protected onLinkRefused({ status, reason, retryAfter }: LinkRefused): void;
}
