/** How an engine begins: with what is stored, or, where a browser has nothing to store in, without. */
import { Engine, type EngineOptions } from './engine';
/**
 * Make an engine: at once, or when its storage is open. It is made in any case.
 *
 * @param options - what it is made of, but for the storage.
 * @param name - of its database; null: nothing is to be kept.
 * @param without - told why nothing can be kept.
 */
export declare function startEngine(options: Omit<EngineOptions, 'opened'>, name: string | null, without: (reason: string) => void): Engine | Promise<Engine>;
