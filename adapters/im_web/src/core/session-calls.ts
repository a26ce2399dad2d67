/**
 * What a call about sessions is, over the WebSocket or over HTTP: what may be asked, and what an
 * answer comes down to (protocol.md section 3). Functions without a memory; `sessions` has it.
 */

import { MAX_PAGE, NOT_FOUND } from '../generated/tables'
import { IMError, LocalProtocolError } from './errors'
import type { IMErrorCode } from './errors'
import type { SessionCall } from './inputs'
import { outcome } from './wire/codes'
import type { Json } from './wire/json'
import type { SessionRequest, SessionResponse } from './wire/extensions'
import type { Answer, SessionOp } from './wire/session'
import { asId, userId } from './wire/types'
import type { Id, UserId } from './wire/types'

// ---------------------------------------------------------------- what may be asked

const THREE = 'book_id, buyer_id and seller_id'
const TAKES: Record<SessionOp, string> = {
  get: `session_id, or ${THREE}`,
  create: THREE,
  startChat: THREE,
  getCurrent: 'nothing more',
  history: 'session_id or peer_id',
}
/** What is given, in the order of the names below. */
const COMPLETE: Record<SessionOp, RegExp> = {
  get: /^(s|abc)$/,
  create: /^abc$/,
  startChat: /^abc$/,
  getCurrent: /^$/,
  history: /^(s|p)m?$/,
}

/**
 * The wish in one form, and without its ref: what is equal asks for the same.
 *
 * @throws LocalProtocolError: it is not complete, or says too much.
 */
export function checked(wish: SessionCall): Required<SessionCall> {
  const { op, sessionId, bookId, buyerId, sellerId, peerId, startMsgId } = wish
  const given = Object.entries({
    s: sessionId,
    a: bookId,
    b: buyerId,
    c: sellerId,
    p: peerId,
    m: startMsgId,
  })
  const names = given.map(([name, value]) => (value == null ? '' : name)).join('')
  if (!COMPLETE[op]?.test(names)) fault(`${op} takes ${TAKES[op]}`)
  const past = op === 'history'
  const { direction = 'before', pageSize = 50 } = past ? wish : {}
  if (direction !== 'before' && direction !== 'after') fault("direction is 'before' or 'after'")
  if (!Number.isSafeInteger(pageSize) || pageSize < 1 || pageSize > MAX_PAGE) {
    fault(`page_size is an integer from 1 to ${MAX_PAGE}`)
  }
  return {
    type: 'SessionCall',
    ref: 0,
    op,
    sessionId: id('session_id', sessionId, 1),
    bookId: id('book_id', bookId, 0),
    buyerId: user('buyer_id', buyerId),
    sellerId: user('seller_id', sellerId),
    peerId: user('peer_id', peerId),
    startMsgId: id('start_msg_id', startMsgId, 1),
    direction,
    pageSize,
  }
}

function fault(what: string): never {
  throw new LocalProtocolError(`SessionCall: ${what}`)
}

function id(name: string, value: unknown, least: 0 | 1): Id | null {
  if (value == null) return null
  if (asId(value) === value || (value === 0 && !least)) return value as Id
  return fault(`${name} is an integer from ${least} to 2^63-1`)
}

function user(name: string, value: unknown): UserId | null {
  try {
    return value == null ? null : userId(value)
  } catch (error) {
    return fault(`${name}: ${(error as Error).message}`)
  }
}

// ---------------------------------------------------------------- what is asked

/** The fields of a call, as they stand in its query, its body or its SESSION_REQUEST. */
export type Params = Record<string, Id | string>

/**
 * The fields of a call.
 *
 * @param doing what is asked at present.
 * @param wish what the application wants.
 * @param sessionId get this one.
 * @param userId who asks.
 */
export function params(
  doing: SessionOp,
  wish: Required<SessionCall>,
  sessionId: Id | null,
  userId: UserId,
): Params {
  const fields: Record<string, Id | string | null> =
    doing === 'history'
      ? {
          sessionId: wish.sessionId,
          peerId: wish.peerId,
          startMsgId: wish.startMsgId,
          // not said where it is what every server does, as some refuse what they don't know
          direction: wish.direction === 'after' ? 'after' : null,
          pageSize: wish.pageSize,
        }
      : doing === 'getCurrent'
        ? { userId }
        : doing === 'get' && sessionId !== null
          ? { sessionId }
          : { bookId: wish.bookId, buyerId: wish.buyerId, sellerId: wish.sellerId }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)) as Params
}

/** The message of a call; `number` names it. */
export function overLink(
  doing: SessionOp,
  wish: Required<SessionCall>,
  sessionId: Id | null,
  userId: UserId,
  number: number,
): SessionRequest {
  const fields = params(doing, wish, sessionId, userId)
  return { type: 'SessionRequest', id: `${number}`, op: doing, params: fields }
}

// ---------------------------------------------------------------- the answer

/**
 * What an answer comes down to.
 *
 * - `auth`: the token is no good
 * - `absent`: there is no such session, user or book
 * - `unknown_path`: the server doesn't know this path
 * - `failed`: the server failed; another try may succeed
 * - `refused`: will not be better next time
 * - `moved`: it is somewhere else, and the token does not go there
 */
export type Kind = 'success' | 'auth' | 'absent' | 'unknown_path' | 'failed' | 'refused' | 'moved'

const KINDS: Partial<Record<string, Kind>> = {
  success: 'success',
  auth: 'auth',
  server_error: 'failed',
}

/** What its code means. */
export function kindOf(answer: Answer): Kind {
  const meaning = outcome(answer.code)
  if (meaning === 'refused' && (answer.code === 404 || answer.code === NOT_FOUND)) return 'absent'
  return KINDS[meaning] ?? 'refused'
}

/** An answer, whichever way it came. */
export interface Reply {
  kind: Kind
  /** null where only the HTTP status says something */
  answer: Answer | null
  /** of HTTP; null over the WebSocket */
  status: number | null
  /** seconds that the server wants to be left alone */
  retryAfter: number | null
}

/** Some servers say it in the status, some in the code. */
export function is404(reply: Reply): boolean {
  return reply.status === 404 || reply.answer?.code === 404
}

/** What SESSION_RESPONSE comes down to. */
export function readResponse({ code, data, message }: SessionResponse): Reply {
  const answer = { code, data: data as Json, message }
  return { kind: kindOf(answer), answer, status: null, retryAfter: null }
}

/** The error of an answer that ends a call. */
export function refusal(doing: SessionOp, reply: Reply): IMError {
  let code: IMErrorCode = 'SERVER_ERROR'
  let text = 'the server refused the call'
  if (reply.kind === 'moved') {
    text = 'the server redirects, and the token goes nowhere else; see http.base_url'
  } else if (reply.kind === 'unknown_path') {
    text = 'the server does not know the path; see http.prefix and http.create_path'
  } else if (doing === 'create' || doing === 'startChat') {
    code = 'SESSION_CREATE_FAILED'
    text = 'the server refused the session'
  } else if (reply.kind === 'absent') {
    code = 'SESSION_NOT_FOUND'
    text = `the server knows no such ${doing === 'history' ? 'session' : 'user'}`
  }
  return serverError(code, text, reply)
}

/** An error, with what the server has said. It ends the call, never the connection. */
export function serverError(
  code: IMErrorCode,
  text: string,
  { answer, status }: Reply,
  retryable = false,
): IMError {
  return new IMError(code, text, {
    serverCode: answer ? answer.code : status,
    serverText: answer?.message || null,
    retryable,
    terminal: false,
  })
}
