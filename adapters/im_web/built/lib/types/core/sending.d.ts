/**
 * What becomes of the messages that the application sends: window, answers, timeouts, doubt.
 *
 * Against a server that knows the identity of a send (it echoes our deviceId), messages are pipelined
 * and sent again, in order, on the next connection: exactly once. Against a plain server there is at
 * most one unanswered message per recipient, and what the end of a link left unanswered is sent again
 * (at least once) or ends IN_DOUBT (at most once), as configured.
 */
import { Trouble } from './effects';
import { Ends } from './ends';
import type { Send } from './inputs';
import type { OutgoingRecord } from './journal';
import type { Blame } from './wire/closes';
import type { MessageStatusResponse } from './wire/extensions';
import type { ChatAnswer, ChatError, ChatSendResponse, ServerLimits } from './wire/messages';
/** The outgoing half of a client. */
export declare class Sending extends Ends {
    #private;
    /**
     * Queue a message.
     *
     * @throws IMError: QUEUE_FULL, or MESSAGE_FORMAT_ERROR for a content, recipient or type that no
     *   server takes.
     * @throws LocalProtocolError: the ref is in use, or the key for another message.
     */
    add(send: Send): void;
    /**
     * Withdraw a message.
     *
     * @throws LocalProtocolError: it has an end, or a transport had it.
     */
    cancel(ref: number): void;
    /** The message that was sent with that key. */
    refOfKey(key: string): number | null;
    /** What an earlier process has left, in the order of refs; [] after the first step. */
    restored(): OutgoingRecord[];
    /**
     * Logged in to a server that is like this.
     *
     * @param server.idempotent it knows the identity of a send.
     * @param server.status it can be asked what became of one.
     * @param server.lastId the highest msgId that it knows of this device.
     * @param server.limits null: it tells none.
     */
    online(server: {
        idempotent: boolean;
        status: boolean;
        lastId: number;
        limits: ServerLimits | null;
    }): void;
    /** The link is gone. What was unanswered goes out again, or ends. */
    offline(blame: Blame): void;
    /**
     * At the end of each step: let messages expire, come in, be written down and go out as far as they
     * may, and keep the deadlines of all that.
     */
    pump(): void;
    /**
     * The oldest message is unanswered for too long: probe first, then drop the link.
     *
     * Never sent again on the same connection (protocol.md section 2, "Order").
     */
    ackOverdue(probeTimeout: number, late: boolean): Trouble;
    /** The server has not said what became of messages: as with the answer to one. */
    statusOverdue(probeTimeout: number, late: boolean): Trouble;
    /** A conversation that rested after a server error may go on. */
    retryDue(): void;
    /** CHAT_SEND_RESPONSE came, or the answer of a dialect without msgId. */
    answered(response: ChatSendResponse | ChatAnswer): Trouble | null;
    /**
     * CHAT_ERROR_RESPONSE came.
     *
     * Without a msgId it speaks of a message only if exactly one is unanswered; else it is told as an
     * error, and nothing is guessed.
     */
    refused({ code, message, errorMsg, msgId }: ChatError): Trouble | null;
    /** MESSAGE_STATUS_RESPONSE came: what was unsure is settled, and its conversations go on. */
    toldStatus(response: MessageStatusResponse): void;
}
