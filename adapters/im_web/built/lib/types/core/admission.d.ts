/** Which messages get into the outbox: what no server takes, keys, bounds, and the line outside. */
import type { CoreConfig } from './config';
import type { Effects } from './effects';
import { IMError } from './errors';
import type { Send } from './inputs';
import type { Keys } from './keys';
import { Outgoing } from './message';
import type { Outbox } from './outgoing';
import { Queue } from './queue';
/** The door of the outbox. */
export declare class Admission {
    #private;
    /** the most UTF-16 units of a message that the server takes */
    contentUnits: number;
    /** by ref, messages that wait for room. They have no msgId yet */
    readonly line: Queue<number, Outgoing>;
    constructor(config: CoreConfig, fx: Effects, outbox: Outbox, keys: Keys);
    /**
     * The message that is to be sent; null: it has been taken before, under its key.
     *
     * @throws IMError: MESSAGE_FORMAT_ERROR for what no server takes, and for what makes no sense.
     * @throws LocalProtocolError: the ref is in use, or the key for another message.
     */
    lookAt(send: Send): Outgoing | null;
    /**
     * What has to go so that the message gets in now; null: it can't.
     *
     * @throws IMError: QUEUE_FULL: it never can.
     */
    makeRoom(message: Outgoing): Outgoing[] | null;
    /** Why a message does not get in. */
    full(): IMError;
    /** It stands in line until there is room. */
    wait(message: Outgoing): void;
    /** The first of the line, if there is room for it now: it leaves the line. */
    nextInLine(): Outgoing | null;
    /** Tell when the outbox gets full, and when it is so no more. */
    tell(): void;
}
