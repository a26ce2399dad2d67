/** What drives an engine: steps it, carries out what it wants, arms one timer. Decides nothing. */
import type { ClientCore } from '../core';
import type { CoreInput, Event } from '../generated/types';
import type { Environment } from '../types';
import type { Journal } from './journal';
import { type LinkOptions } from './socket';
/** What a driver needs. */
export interface DriverOptions {
    env: Environment;
    /** The access token, or a function that gets one. */
    token: string | (() => string | Promise<string>);
    link: Omit<LinkOptions, 'env' | 'feed'>;
    /** An open one, if the engine has one. */
    journal: Journal | null;
    /** Takes the engine's events, in order; must not throw or call back. */
    deliver: (event: Event) => void;
    /** Takes an exception that is a bug of ours; everything is aborted by then. */
    failed: (error: unknown) => void;
}
/**
 * Carries out an engine's actions.
 *
 * A list of actions is carried out to its end before the next step: what happens meanwhile waits for
 * its turn.
 */
export declare class Driver {
    #private;
    /** nothing is taken any more, for good */
    closed: boolean;
    constructor(core: ClientCore, options: DriverOptions);
    /** Seconds on the engine's clock. */
    now(): number;
    /** Seconds since 1970. */
    wall(): number;
    /**
     * Do what the application wants. It never asks while a list is carried out: its functions are
     * called later.
     *
     * @throws {LocalProtocolError | IMError} the engine refuses it; nothing has changed.
     */
    step(input: CoreInput): void;
    /** `step` for what happens by itself, where there is nobody to throw to. */
    feed(input: CoreInput, now?: number): void;
    /** Resolves when there is no transport and the journal has all that it was to have. */
    quiet(): Promise<void>;
    /** End all that is under way at once; the engine hears that the transports are lost. */
    abort(): void;
    /** Take nothing any more, for good. */
    shut(): void;
}
