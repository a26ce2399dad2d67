/**
 * Received messages that the application is not done with.
 *
 * A message stays here until it is handled, or the engine has dropped it. The engine acknowledges by
 * the same rule, so whatever is here would come again after a crash.
 */
import type { CoreInput, MessageReceived, MessageUndeliverable } from '../generated/types';
import type { ChatReceivedMessage } from '../types';
import type { Callbacks } from './callbacks';
export declare class Inbox {
    #private;
    readonly callbacks: Callbacks;
    readonly feed: (input: CoreInput) => void;
    readonly flowing: () => boolean;
    readonly manual: boolean;
    /**
     * @param feed - tells the engine what is taken, and what is handled.
     * @param flowing - can messages still come?
     * @param manual - a message is acknowledged only when the application says so.
     */
    constructor(callbacks: Callbacks, feed: (input: CoreInput) => void, flowing: () => boolean, manual: boolean);
    /** A message came in, or comes again because the application has failed on it. */
    received(event: MessageReceived): void;
    /** The engine has dropped it, or given it up: nobody gets it any more. */
    dropped(delivery: number): void;
    /** Give the callback, if there is one, what nobody has. */
    offer(): void;
    /** Nothing is offered any more: another tab will be. */
    close(): void;
}
/** A message as the application gets it. */
export declare function received(event: MessageReceived | MessageUndeliverable, ack: () => void): ChatReceivedMessage;
