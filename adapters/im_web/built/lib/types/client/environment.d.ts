/** What is around a client: the browser's own, or what a test or the lab puts in its place. */
import type { Environment } from '../types';
/** Everything of the browser, but for what is given; what is given as undefined is not there. */
export declare function environment(given?: Partial<Environment>): Environment;
