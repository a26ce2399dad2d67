/** What a client is doing and why, in plain words. */
import type { ClientCore } from './core';
/**
 * The state, its reason, the counts, and every deadline that is set.
 *
 * @param core of whom.
 * @param now defaults to the time of the last step.
 * @param ref what is known of that message instead.
 */
export declare function explain(core: ClientCore, now?: number, ref?: number | null): string;
