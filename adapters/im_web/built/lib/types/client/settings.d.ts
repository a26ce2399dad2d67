/** The configuration of an application, as the core takes it: seconds, and the original's defaults. */
import { type CoreConfig, type GivenConfig } from '../core/config';
import type { IMClientConfig } from '../types';
/** What the core is told, and what it makes of that. */
export interface Settings {
    given: GivenConfig;
    config: CoreConfig;
}
/**
 * What the core is told.
 *
 * @throws {LocalProtocolError} names the key that is unknown, or whose value is wrong; never shows
 * the token.
 */
export declare function settings(config: IMClientConfig): Settings;
