/** The application's own names for its sends: one key, one message, also after its end. */
import type { OutgoingRecord } from './journal';
/** Which message has which key. */
export declare class Keys {
    #private;
    /** @param kept - seconds for which a key is remembered after the end of its message. */
    constructor(kept: number);
    /** The message with that key; null: there is none, or its end is too long ago. */
    refOf(key: string, wallMs: number): number | null;
    /** The message of that ref, if it has a key and an end. */
    ended(ref: number): OutgoingRecord | null;
    /** A message has this key now. */
    take(key: string, ref: number): void;
    /** The message with this key is as if it had never been. */
    free(key: string): void;
    /** A message with a key has its end. */
    keep(record: OutgoingRecord): void;
    /** Forget those whose end is too long ago: which. */
    forgetOld(wallMs: number): OutgoingRecord[];
}
