/** A call about sessions that is under way. */
import type { Backoff } from './backoff';
import { IMError } from './errors';
import type { SessionCall } from './inputs';
import type { SessionOp } from './wire/session';
import type { Id } from './wire/types';
/** One call, from the application's wish to its end, over any number of requests. */
export declare class Call {
    readonly wish: Required<SessionCall>;
    /** what it is kept by */
    readonly key: string;
    /** who waits for it */
    readonly refs: number[];
    deadline: number;
    readonly backoff: Backoff;
    /** what is asked at present, on the way to what is wished */
    doing: SessionOp;
    sessionId: Id | null;
    /** of the CallHttp, or SESSION_REQUEST, that is out; 0: none is */
    request: number;
    /** it is, or was last, out over the WebSocket */
    linked: boolean;
    /** it went out over the WebSocket, which was lost before the answer */
    unsure: boolean;
    /** it can't go on without a token */
    wantsToken: boolean;
    /** when to try again */
    retryAt: number | null;
    /** why the last try has failed, in words */
    trouble: string;
    /** of the last request */
    token: string | null;
    /** the server has refused `token`, and another is awaited */
    refused: boolean;
    /** that was done once, and is not done again */
    renewed: boolean;
    constructor(wish: Required<SessionCall>, key: string, ref: number, deadline: number, backoff: Backoff);
    /** Nothing is out, and nothing is to be waited for. */
    get ready(): boolean;
    /**
     * May it be asked again, the way it goes at present? Over the WebSocket everything may: a server
     * that takes calls there makes no second session of a repeat.
     */
    get repeatable(): boolean;
    /** The error of one that has no answer. */
    lost(why: string): IMError;
}
