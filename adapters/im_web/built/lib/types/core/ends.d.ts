/**
 * How messages end of which the server has said nothing: refused over a close, in doubt, expired,
 * dropped, withdrawn, or never on disk.
 *
 * An end is noted in the journal, if there is one; see `recording` for when it is told.
 */
import { Admission } from './admission';
import type { CoreConfig } from './config';
import type { Effects } from './effects';
import { IMError } from './errors';
import type { IMErrorCode } from './errors';
import { Expiry } from './expiry';
import type { Change, JournalState, OutgoingRecord } from './journal';
import type { Journaling } from './journaling';
import { Keys } from './keys';
import { Outgoing } from './message';
import { Outbox } from './outgoing';
import { Recording } from './recording';
import { Status } from './status';
import type { Timers } from './timers';
import type { Blame } from './wire/closes';
/** The outgoing half of a client, what it is made of, and the ends that it makes itself. */
export declare class Ends {
    #private;
    protected readonly config: CoreConfig;
    protected readonly fx: Effects;
    protected readonly timers: Timers;
    protected readonly most: number;
    protected isOnline: boolean;
    protected window: number;
    /** what an earlier process sent as another device: no server can tell us what became of it */
    protected strange: Outgoing[];
    /** with a journal: no ref up to this one is taken */
    protected lastRef: number | null;
    /** what an earlier process has left, until the first step */
    protected left: OutgoingRecord[];
    readonly outbox: Outbox;
    readonly keys: Keys;
    readonly admission: Admission;
    readonly recording: Recording;
    readonly status: Status;
    readonly expiry: Expiry;
    blocked: boolean;
    /** the server knows the identity of a send */
    idempotent: boolean;
    /**
     * @param config what to do.
     * @param fx takes what is to be done.
     * @param timers for answers, retries and expiries.
     * @param journaling the way to the journal.
     * @param deviceId whose sends these are.
     * @param journal what an earlier process has kept; null: nothing is kept.
     */
    constructor(config: CoreConfig, fx: Effects, timers: Timers, journaling: Journaling, deviceId: string, journal: JournalState | null);
    /** Note when a message expires, if it does. */
    protected willExpire({ ref, expiresAt }: Outgoing): void;
    /** An end of the link may be a message's fault (protocol.md section 2, "Closes"). */
    protected blame(blame: Blame): void;
    protected doubt(): void;
    protected endInDoubt(messages: Outgoing[]): void;
    protected fail(message: Outgoing, event: string, code: IMErrorCode, text: string, serverCode?: number | null, serverText?: string | null): void;
    protected failInLine(message: Outgoing, event: string, code: IMErrorCode, text: string): void;
    /**
     * The journal could not take these; returns those of them that it must take all the same.
     *
     * New messages among them fail with `error`.
     */
    unrecorded(changes: Change[], ticket: number, error: IMError): Change[];
    /** May that message still expire? */
    protected expires(ref: number): boolean;
    protected expire(ref: number): void;
    /** The machine was asleep, and the clock with it. */
    slept(seconds: number): void;
}
