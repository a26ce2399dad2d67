/** Whose turn it is to send: conversations of three priorities, and nobody waits for ever. */
import type { Priority, UserId } from '../generated/types';
export type { Priority };
/**
 * How many turns each priority has before the next lower one gets its own. A flood of `high` slows
 * `low` down to one message in thirteen, and does not stop it.
 */
export declare const SHARES: Readonly<Record<Priority, number>>;
export declare const PRIORITIES: readonly Priority[];
/** Conversations that may send, each once. Those of one priority take turns. */
export declare class Turns {
    #private;
    /** How many stand there. */
    get length(): number;
    /** Queue up, behind the others of that priority. */
    join(user: UserId, priority: Priority): void;
    /** Stand there no longer. */
    leave(user: UserId, priority: Priority): void;
    /** Whose turn it is; it is out of the queue. Somebody has to stand there. */
    next(): UserId;
}
