/** Calls over HTTP, with `fetch`. */
import type { CallHttp, HttpAnswered, HttpFailed } from '../generated/types';
import type { Environment } from '../types';
/** Carries out CallHttp and CancelHttp; each call that is not cancelled has one answer. */
export declare class HttpCalls {
    #private;
    readonly env: Environment;
    readonly answer: (answer: HttpAnswered | HttpFailed) => void;
    /** @param answer - takes what became of a call, never inside of `start`. */
    constructor(env: Environment, answer: (answer: HttpAnswered | HttpFailed) => void);
    start(call: CallHttp): void;
    /** Nobody waits for it any more. */
    cancel(request: number): void;
    cancelAll(): void;
}
