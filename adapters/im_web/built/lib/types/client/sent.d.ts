/** A message on its way out, as an application sees it. */
import { IMError } from '../core/errors';
import type { OutgoingRecord } from '../core/journal';
import type { MessageError, SentMessage, SentStatus } from '../types';
import type { Event, Id, UserId } from '../generated/types';
/** What is known of it: plain data, so that another tab can have it too. */
export interface SentData {
    key: string;
    msgId: Id | null;
    toUserId: UserId;
    content: string;
    messageType: string;
    sessionId: Id | null;
    status: SentStatus;
    receipt: null | 'delivered' | 'read';
    timestamp: number;
    error: IMError | null;
}
/** An error with the message that it is about. */
export declare function errorOf(error: IMError, sent: SentMessage): MessageError;
/** How a message stands that has ended with this error. */
export declare function statusOf(error: IMError): SentStatus;
export declare class Sent implements SentMessage {
    private readonly withdraw;
    key: string;
    msgId: Id | null;
    toUserId: UserId;
    content: string;
    messageType: string;
    sessionId: Id | null;
    status: SentStatus;
    receipt: null | 'delivered' | 'read';
    timestamp: number;
    error: MessageError | null;
    private waiters;
    /**
     * @param data - what is known of it.
     * @param withdraw - does what `cancel` says.
     */
    constructor(data: SentData, withdraw: (sent: Sent) => boolean);
    /** It has its end, whichever. */
    get done(): boolean;
    accepted(): Promise<SentMessage>;
    cancel(): boolean;
    /** This is known of it now. */
    update(data: Partial<SentData>): void;
    /** The client has given up, or is closed: nobody waits any more; the message stays queued. */
    giveUp(error: IMError): void;
    /** What another tab may know of it. */
    data(): SentData;
}
/** What an engine's event changes of a message; null: it is about none. */
export declare function changeOf(event: Event): Partial<SentData> | null;
/** What an earlier life has left. */
export declare function restored(record: OutgoingRecord, key: string, now: number): SentData;
