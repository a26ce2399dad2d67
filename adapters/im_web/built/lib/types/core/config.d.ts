/**
 * What a client is told: checked at construction, durations in seconds.
 *
 * A mistake is told here, by name, and not later by a connection that fails.
 */
import type * as told from '../generated/types';
export type { HeartbeatConfig, HttpConfig, ReconnectConfig, Timeouts } from '../generated/types';
/** Everything that a client is told, and what follows from it. */
export interface CoreConfig extends told.CoreConfig {
    /** Is it wss? */
    readonly secure: boolean;
    /** The host to connect to, without brackets. */
    readonly host: string;
    /** The port to connect to. */
    readonly port: number;
    /** The request target: path and query. */
    readonly target: string;
    /** What the path of every HTTP call follows. */
    readonly httpUrl: string;
}
type Groups = 'reconnect' | 'heartbeat' | 'timeouts' | 'http';
type Needed = 'wsUrl' | 'token' | 'userId';
/** What an application gives: what is left out is as in `DEFAULTS`. */
export type GivenConfig = Pick<told.CoreConfig, Needed> & Partial<Omit<told.CoreConfig, Needed | Groups>> & {
    [G in Groups]?: Partial<told.CoreConfig[G]>;
};
/**
 * A configuration with all its fields.
 *
 * @param given - what the application gives; what is left out, or undefined, has its default.
 * @throws ValueError - names the field that is wrong or unknown; never shows the token.
 */
export declare function coreConfig(given: GivenConfig): CoreConfig;
