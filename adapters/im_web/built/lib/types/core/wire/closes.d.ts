/**
 * What an end of a connection means: one table (protocol.md section 2, "Closes").
 *
 * A total function from a close code or an HTTP status to: reconnect or not, with a new token or not,
 * after which delay, and whose fault it was.
 */
import { type Verdict } from '../../generated/tables';
export { AUTH_REFUSALS } from '../../generated/tables';
export type { Verdict };
export type { Blame } from '../../generated/types';
/** What to do after a WebSocket close with `code` (RFC 6455 section 7.4). */
export declare function verdictOfClose(code: number): Verdict;
/** What to do when the upgrade was answered with an HTTP `status` other than 101. */
export declare function verdictOfHttp(status: number): Verdict;
