/** URLs as a configuration has them. What is wrong is told without quoting: it may be a password. */
/** The parts of a URL that an engine needs. */
export interface Url {
    /** Without its colon, in small letters. */
    scheme: string;
    /** In small letters, without brackets; "" if there is none. */
    host: string;
    /** 0: none is named. */
    port: number;
    /** The path and query, at least "/". */
    target: string;
    /** A user or password stands before the host. */
    user: boolean;
    /** There is something behind a #. */
    fragment: boolean;
}
/**
 * Where a WebSocket server is: ws://… or wss://…, without user, password or fragment.
 *
 * @throws ValueError - it is no such URL.
 */
export declare function checkUrl(url: string): Url;
/**
 * Where an HTTP server is, without a slash at its end.
 *
 * @throws ValueError - it is no such URL.
 */
export declare function checkBaseUrl(url: string): string;
