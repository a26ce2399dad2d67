/** What a dialect of the wire has to do. The engine knows nothing else of how messages look. */
import type { ClientMessage, ServerMessage } from './messages';
import type { Id } from './types';
/**
 * A well-formed envelope of a type that this side doesn't know: an event, never a failure.
 *
 * One that has a `seq` stands in the mailbox, and counts like every other (protocol.md section 2).
 */
export interface Unknown {
    type: 'Unknown';
    kind: string;
    seq: number | null;
}
/** A message of a known type that breaks its rules. Its neighbours are not touched. */
export interface Malformed {
    type: 'Malformed';
    kind: string;
    reason: string;
    /** The msgId, where it could be read all the same, so that its sender can be answered. */
    msgId: Id | null;
}
/** What a frame holds. */
export type Incoming = ServerMessage | Unknown | Malformed;
/** A whole frame that can't be read: not JSON, not envelopes, an empty or too long batch. */
export declare class BadFrame extends Error {
    readonly reason: string;
    /** The code to close with (RFC 6455 section 7.4.1). */
    readonly closeCode: number;
    constructor(reason: string, 
    /** The code to close with (RFC 6455 section 7.4.1). */
    closeCode?: number);
}
/** A way to write the messages down, and what can be said in it. */
export interface Dialect {
    /** What a configuration calls it. */
    readonly name: string;
    /**
     * Can it say what protocol.md section 2 adds? If not, nothing of it is ever asked for, and a log-in
     * without an answer is no sign of a strict server.
     */
    readonly extensions: boolean;
    /**
     * The most unanswered messages, all conversations together; null sets no limit.
     *
     * 1 where an answer need not name its message (`ChatAnswer`).
     */
    readonly inFlight: number | null;
    /**
     * Read a text frame; an array holds at most `batch` envelopes, 0 allows no array.
     *
     * @throws BadFrame - nothing in the frame can be used.
     */
    decode(text: string, batch: number): Incoming[];
    /**
     * Write one message as one envelope.
     *
     * @param message - what to say.
     * @param how - `wallMs`: milliseconds since 1970, for dialects that write down when; `inline`: the
     * peer has granted `inline` (protocol.md section 2).
     * @throws LocalProtocolError - the dialect has no word for it.
     */
    encode(message: ClientMessage, how?: {
        wallMs?: number;
        inline?: boolean;
    }): string;
    /** Put at least one written envelope into one frame, in order. */
    join(envelopes: readonly string[]): string;
}
