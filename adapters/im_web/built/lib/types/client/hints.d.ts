/** What a browser tells of the machine: a network that comes and goes, a page that sleeps. */
import type { Environment } from '../types';
/** What hears of it. */
export interface HintListener {
    /** There is a network (again), or there is none. */
    network(online: boolean): void;
    /** The page may have slept, or its timers may be late: look at the clocks. */
    awake(): void;
    /** The page is about to be frozen or left. */
    asleep(): void;
}
/** Listen; returns what ends it. */
export declare function listen(env: Environment, listener: HintListener): () => void;
