/** One message on its way out, from the application's hand to its end. */
import type { OutgoingRecord } from './journal';
import type { Priority } from './turns';
import type { Id, UserId } from './wire/types';
/** What the application says of a message. */
export type Wanted = Pick<OutgoingRecord, 'ref' | 'toUser' | 'content' | 'messageType' | 'sessionId' | 'priority' | 'key' | 'expiresAt'>;
/** One message that has no end yet. */
export declare class Outgoing {
    readonly ref: number;
    msgId: number;
    readonly toUser: UserId;
    readonly content: string;
    readonly messageType: string;
    readonly sessionId: Id | null;
    readonly priority: Priority;
    readonly key: string | null;
    /** milliseconds since 1970, for the journal */
    readonly expiresAt: number | null;
    state: string;
    /** UTF-8 bytes of the content */
    readonly size: number;
    /** among all messages of this outbox, in the order they were given */
    place: number;
    /** how often it was handed to a transport, at least */
    sends: number;
    /** how often to a server that might take it twice */
    unsureSends: number;
    /** how often a server failed on it, and said so */
    errors: number;
    /** a link was lost while it was unanswered: it may have arrived */
    unsure: boolean;
    /** … and that was in an earlier process */
    ofBefore: boolean;
    sentAt: number;
    /** when it was first handed over by this process; null: never */
    firstAt: number | null;
    /**
     * the same, or a little earlier, in milliseconds since 1970, and by any process: from here on it is
     * not withdrawn by us, as it may have been sent
     */
    handedAt: number | null;
    /** a plain server asked for patience until then */
    notBefore: number | null;
    /** it has a new msgId after a 40900; that happens once */
    renumbered: boolean;
    /** the last thing noted of it in the journal; null: nothing is */
    ticket: number | null;
    /** the journal has it otherwise, so it has to be written before it is handed over */
    dirty: boolean;
    constructor(wanted: Wanted);
    /**
     * A message of an earlier process. What was, or was about to be, handed to a transport there may
     * have arrived; what was not certainly has not.
     */
    static restored(record: OutgoingRecord): Outgoing;
    /**
     * Move on in its machine.
     *
     * @throws LocalProtocolError: the machine doesn't allow it.
     */
    to(event: string): void;
    /** It has its end. */
    get ended(): boolean;
    /** What the journal keeps of it; `unsure`: as one that a plain server gets once more. */
    record(unsure?: boolean): OutgoingRecord;
}
