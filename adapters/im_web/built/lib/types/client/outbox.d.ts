/** The messages on their way out that this tab knows of: its own, and those of the other tabs. */
import { IMError } from '../core/errors';
import type { ReceiptReceived } from '../generated/types';
import type { ChatSendToOneRequest } from '../types';
import { Sent, type SentData } from './sent';
/** A message that has a name before it is sent. */
export type Keyed = ChatSendToOneRequest & {
    key: string;
};
export declare class Outbox {
    #private;
    readonly withdraw: (sent: Sent) => boolean;
    readonly changed: () => void;
    /**
     * @param withdraw - does what `cancel` of a message says.
     * @param changed - told of every change.
     */
    constructor(withdraw: (sent: Sent) => boolean, changed: () => void);
    /** Those without an end, in the order they were given. */
    all(): Sent[];
    /** The one of that name, if it has no end. */
    get(key: string): Sent | undefined;
    /** What a tab that comes late is to know: those without an end, and the last that have one. */
    recent(): SentData[];
    /** Another tab knows this of a message; one that has its end is news only where it had none. */
    heard(data: SentData): void;
    /** Take this in: of a message that is known, or of a new one. */
    put(data: SentData): Sent;
    /** This is known of it now. */
    update(sent: Sent, data: Partial<SentData>): void;
    /** Another tab was asked to send it, and can't. */
    refused(key: string, error: unknown): void;
    /** Forget it: it was never taken. */
    drop(sent: Sent): void;
    /** Messages were delivered, or read. */
    receipt({ msgIds, user, status }: ReceiptReceived): void;
    /** Another tab was asked to send it. */
    ask(request: Keyed): void;
    /**
     * Another tab has the connection now, and knows these.
     *
     * @param known - the names of all that it will bring to an end.
     * @param kept - does the storage outlive a tab?
     * @returns what it is to be asked to send, as nobody knows whether the last one has.
     */
    takenOver(known: Set<string>, kept: boolean): Keyed[];
    /** Nobody waits any more; all stay queued. */
    giveUp(error: IMError): void;
}
