/**
 * Messages on their way out: order, window, and what is known of each.
 *
 * The unit of order is the conversation, that is the recipient. A message leaves here in one of five
 * ways: accepted, rejected, cancelled, expired, or in doubt.
 */
import type { Outgoing } from './message';
import type { Priority } from './turns';
import type { Id, UserId } from './wire/types';
/** All messages without an end, in conversations that take turns. */
export declare class Outbox {
    #private;
    /** UTF-8 bytes of all contents */
    bytes: number;
    /** 1 against a plain server; null: no limit per conversation */
    perConversation: number | null;
    /** How many there are. */
    get size(): number;
    /** How many were handed over on this link and are unanswered. */
    get inFlight(): number;
    /** The message of that ref, if it has no end yet. */
    get(ref: number): Outgoing | undefined;
    /** The message in flight with that msgId. */
    unanswered(msgId: Id): Outgoing | undefined;
    /** What is in flight, the oldest first. */
    allUnanswered(): Outgoing[];
    /** What may have arrived over a link that is gone, and waits to go out again. */
    allUnsure(): Outgoing[];
    /** The message that has been in flight longest. */
    get oldest(): Outgoing | undefined;
    /** Those whose turn has come, in that order. */
    toHandOver(): Outgoing[];
    /** Has its turn come? */
    hasTurn(message: Outgoing): boolean;
    /** Does that conversation wait for the status of what was sent before? */
    isHeld(user: UserId): boolean;
    /** Of these priorities, one after the other: what no transport ever had, oldest first. */
    untouched(priorities: readonly Priority[]): Generator<Outgoing>;
    /** How many of its conversation go before it. */
    aheadOf(message: Outgoing): number;
    /** Take a new message, behind the others of its conversation. */
    add(message: Outgoing): void;
    /**
     * The next message whose turn it is; null when the window is full or none may go.
     *
     * It has its place in the window now: follow with `handOver`, at once or later.
     */
    take(window: number): Outgoing | null;
    /** A message whose turn has come goes to the transport. */
    handOver(message: Outgoing, now: number): void;
    /** It has its end: `acked`, `found`, `refused`, `cancel`, `expire` or `certainty_lost`. */
    finish(message: Outgoing, event: string): void;
    /** Back to the front of its conversation, which rests until `notBefore` if there is one. */
    retry(message: Outgoing, notBefore: number | null): void;
    /** Back to the front under a new msgId (protocol.md section 2, code 40900). */
    renumber(message: Outgoing, msgId: number): void;
    /** All that was in flight, or about to be, goes back to the front of its conversation, in order. */
    linkLost(): void;
    /** These conversations, and no others, wait for the status of what was sent before. */
    hold(users: ReadonlySet<UserId>): void;
    /** Conversations whose rest is over may send again. */
    wake(now: number): void;
    /** When the first rest is over. */
    nextWake(): number | null;
    /** Look at every conversation again: `perConversation` has changed. */
    relist(): void;
}
