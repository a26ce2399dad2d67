/** What a result code means (protocol.md section 1, "Codes"). */

import { CONFLICT, NOT_LOGGED_IN, SERVER_ERROR, TOKEN_INVALID } from '../../generated/tables'
import type { Outcome } from '../../generated/types'

export {
  BAD_REQUEST,
  CONFLICT,
  FORBIDDEN,
  NOT_FOUND,
  NOT_LOGGED_IN,
  OK,
  SERVER_ERROR,
  SESSION_CLOSED,
  TOKEN_INVALID,
  TOO_MANY,
} from '../../generated/tables'
export type { Outcome }

/** Sort a code. No code at all means accepted. */
export function outcome(code: number | null): Outcome {
  if (code === null || code === 0 || code === 200) return 'success'
  if (code === 401 || code === NOT_LOGGED_IN || code === TOKEN_INVALID) return 'auth'
  if (code === CONFLICT) return 'conflict'
  if ((code >= 500 && code <= 599) || code >= SERVER_ERROR) return 'server_error'
  return 'refused'
}
