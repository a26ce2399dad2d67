/**
 * What can go wrong, in the words that users of this system know.
 *
 * Two kinds never mix. `LocalProtocolError` is a mistake of the calling program: it is thrown, names
 * the state and the input, and has changed nothing. Everything that a peer or a network does wrong
 * is an `IMError`: it carries an `IMErrorCode`, and says whether trying again can help.
 */
import type { IMErrorCode } from '../generated/types';
export type { IMErrorCode };
/** What an `IMError` says beside its code and text. */
export interface IMErrorDetails {
    serverCode?: number | null;
    serverText?: string | null;
    /** As it follows from the code, unless given. */
    retryable?: boolean | null;
    /** As it follows from the code, unless given. */
    terminal?: boolean | null;
}
/**
 * A failure that is nobody's bug here: the network, the server, a refused login or message.
 *
 * Thrown by a call of a client and given to its `error` callback.
 */
export declare class IMError extends Error {
    readonly name = "IMError";
    /** What kind of failure. */
    readonly code: IMErrorCode;
    /** What has happened, for people. */
    readonly text: string;
    /**
     * The peer's own number, as it stood on the wire (protocol.md section 1, "Codes"), a close code
     * (RFC 6455 section 7.4) or an HTTP status; null if there is none.
     */
    readonly serverCode: number | null;
    /** The peer's own words, printable and cut to 200 characters; null if none. */
    readonly serverText: string | null;
    /** Trying again can help. */
    readonly retryable: boolean;
    /** The client has given up and waits for `connect()` or a new token. */
    readonly terminal: boolean;
    constructor(code: IMErrorCode, text: string, details?: IMErrorDetails);
}
/**
 * The calling program did what the state does not allow. Nothing has changed.
 *
 * The text names the state and the input, or the argument that is out of range.
 */
export declare class LocalProtocolError extends Error {
    readonly name = "LocalProtocolError";
}
/** A value that breaks a rule. The text says which, and never shows a token or content. */
export declare class ValueError extends Error {
    readonly name = "ValueError";
}
/** Is there nothing in it but letters, marks, digits, signs and plain spaces? */
export declare function isPrintable(text: string): boolean;
/** Words of a peer, safe to log: no control characters, at most `limit` characters. */
export declare function printable(text: string, limit?: number): string;
