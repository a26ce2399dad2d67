/** What is said about the connection, over the messages. */
import type { ConnectionState } from '../../types';
/**
 * Nothing, while all is well. `expired` asks for a new token; `replaced`: the same device has
 * logged in elsewhere; `offline`: no network, or nobody tries.
 */
export type BannerState = 'none' | 'connecting' | 'reconnecting' | 'offline' | 'expired' | 'replaced';
/** The state, and what is said with it. */
export interface Banner {
    readonly state: BannerState;
    /** Which attempt it is, from 1. */
    readonly attempt: number;
    /** When the next attempt starts, ms since 1970. */
    readonly retryAt: number | null;
    /** Messages that wait to be sent. */
    readonly queued: number;
    /** Is there no network, as the browser says? */
    readonly noNetwork: boolean;
    /** Why, in the client's plain words. */
    readonly reason: string;
}
/**
 * @param queued how many messages have no end yet.
 * @param network does the browser say that there is one?
 */
export declare function bannerOf(state: ConnectionState, queued: number, network: boolean): Banner;
