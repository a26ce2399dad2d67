/**
 * A browser's WebSocket as a transport: opening it is one step here, as a browser shows nothing of
 * what is between.
 */
import type { CoreInput } from '../core/inputs';
import type { Environment } from '../types';
/** What a link needs of its client. */
export interface LinkOptions {
    env: Environment;
    url: string;
    /** The most bytes of a message. */
    messageBytes: number;
    /** The server is known to take capabilities: a browser can't see its headers. */
    capable: () => boolean;
    /** Takes what happens; may be called inside of any method here. */
    feed: (input: CoreInput) => void;
}
/** One WebSocket, from the wish for it to its end. */
export declare class Link {
    #private;
    readonly transport: number;
    readonly options: LinkOptions;
    /** @param transport - the engine's number of it. */
    constructor(transport: number, options: LinkOptions);
    /** Begin to open it. */
    open(): void;
    /** The upgrade: it is behind us. */
    start(): void;
    /** Write a message. */
    send(text: string): void;
    /**
     * Send a close frame. A page may use 1000 and 3000 to 4999, and a reason of 123 bytes: any other
     * goes without.
     */
    sendClose(code: number, reason: string): void;
    /** Read no more: a browser reads on, so what comes is held back. */
    pause(): void;
    /** Read again. */
    resume(): void;
    /** Write what waits, then close. */
    close(): void;
    /** End it at once, as far as a browser can; nobody hears of it any more. */
    drop(): void;
}
