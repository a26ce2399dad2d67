/**
 * The client's protocol engine on whole text frames: `ClientCore`.
 *
 * Every input goes through `step`; every effect stands in the list that it returns. The states are
 * those of `machines`, the deadlines those of `timers`. What a log-in, a heartbeat, a retry or a
 * message on its way means is decided by the parts beside this file and carried out here: state
 * first, effect after.
 */
import type { CoreAction } from './actions';
import type { GivenConfig } from './config';
import type { Counters } from './effects';
import type { Start } from './ending';
import type { ConnectionState } from './events';
import type { CoreInput } from './inputs';
import type { OutgoingRecord } from './journal';
import { Welcome } from './welcome';
import type { UserId } from './wire/types';
/**
 * A client without a transport: whole text frames and time in, actions out.
 *
 * With a journal the engine wants what it does written (`WriteJournal`) from the start; what an
 * earlier process has kept is what it goes on from.
 */
export declare class ClientCore extends Welcome {
    #private;
    /**
     * @param config what to do; what is left out is as in `DEFAULTS`.
     * @param start what time it is, where delays are drawn from, and what was kept.
     * @throws ValueError: the configuration can't be; the text names the field.
     */
    constructor(config: GivenConfig, start: Start);
    /**
     * Take one input; return what is to be done about it, in order.
     *
     * A clock that goes back is taken as standing still.
     *
     * @throws LocalProtocolError: the caller did what the state does not allow; nothing has changed.
     * @throws IMError: a Send that can't be taken (QUEUE_FULL, MESSAGE_FORMAT_ERROR), or a
     *   SessionCall (QUEUE_FULL); nothing has changed.
     */
    step(input: CoreInput, now: number): CoreAction[];
    /** When to call `step({ type: 'TimePassed' })` at the latest; null: not before another input. */
    nextDeadline(): number | null;
    /** Is there a link, or will there be one if all goes well? */
    get linkWanted(): boolean;
    /** Would a SessionCall go over HTTP now? */
    get sessionsOverHttp(): boolean;
    /** Who logs in. */
    get userId(): UserId;
    /** What has happened so far. */
    get counters(): Counters;
    /** Where the client is, and why; `now` defaults to the time of the last step. */
    state(now?: number): ConnectionState;
    /** The message that was sent with that key, pending or ended; null: there is none. */
    refOfKey(key: string): number | null;
    /**
     * The messages that the journal has brought back, in the order they were given: those without an
     * end, those that are remembered for their key, and those of whose failure the first step tells.
     * After that step it is empty.
     */
    restored(): OutgoingRecord[];
}
