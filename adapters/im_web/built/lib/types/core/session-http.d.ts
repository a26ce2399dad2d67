/**
 * How a call about sessions goes over HTTP (protocol.md section 3). Functions without a memory;
 * `sessions` has it.
 */
import type { CallHttp } from './actions';
import type { CoreConfig } from './config';
import type { HttpAnswered } from './inputs';
import type { Reply } from './session-calls';
import type { Call } from './calling';
/** Can it be sent, and nothing be smuggled with it? */
export declare function fitsAHeader(token: string): boolean;
/**
 * The request of a call.
 *
 * @param config where it goes.
 * @param call what is asked; its `token` is what it is asked with, its `request` the number.
 * @param timeout seconds after which nobody waits any more.
 */
export declare function request(config: CoreConfig, call: Call, timeout: number): CallHttp;
/**
 * What an answer comes down to: by its code, else by its HTTP status.
 *
 * @throws BadAnswer: it says that all is well, and can't be read.
 */
export declare function readReply(answered: HttpAnswered): Reply;
