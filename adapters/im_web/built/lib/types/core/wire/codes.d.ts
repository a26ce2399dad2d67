/** What a result code means (protocol.md section 1, "Codes"). */
import type { Outcome } from '../../generated/types';
export { BAD_REQUEST, CONFLICT, FORBIDDEN, NOT_FOUND, NOT_LOGGED_IN, OK, SERVER_ERROR, SESSION_CLOSED, TOKEN_INVALID, TOO_MANY, } from '../../generated/tables';
export type { Outcome };
/** Sort a code. No code at all means accepted. */
export declare function outcome(code: number | null): Outcome;
