/**
 * Asking the server what became of messages that may have arrived (protocol.md section 2, `status`).
 * Its answer after a log-in is final.
 */
import { Trouble } from './effects';
import type { Effects } from './effects';
import type { Outgoing } from './message';
import type { Timers } from './timers';
import type { MessageStatusResponse, StatusItem } from './wire/extensions';
import type { UserId } from './wire/types';
/** The questions of one log-in, one message at a time. */
export declare class Status {
    #private;
    /**
     * @param fx takes what is said.
     * @param timers for the answer.
     * @param timeout seconds until an answer is overdue.
     */
    constructor(fx: Effects, timers: Timers, timeout: number);
    /** A log-in: these are to be asked for. */
    begin(messages: Outgoing[], frameBytes: number): void;
    /** The link is gone, and the questions with it. */
    stop(): void;
    /** Whose conversations wait for an answer. */
    get users(): Set<UserId>;
    /** Is the server being asked for it? */
    asksFor(message: Outgoing): boolean;
    /** Ask, if there is something to ask and no question is out. */
    pump(): void;
    /** The answer: what is said of each message that was asked for; null: nothing is. */
    answered(response: MessageStatusResponse): [Outgoing, StatusItem | null][];
    /** No answer for too long: probe first, then drop the link. */
    overdue(probeTimeout: number, late: boolean): Trouble;
}
