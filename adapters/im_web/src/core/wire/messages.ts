/**
 * The messages of the wire, one interface each (protocol.md section 1, and `seq`, `batch` and the
 * log-in of section 2); the rest of section 2 is in `extensions`.
 *
 * `type` is the class's name on the Python side; the envelope's is in the tables of `directions`. All
 * fields are always there, null where nothing was said.
 */

import type * as wire from '../../generated/messages'
import type { ClientExtension, ServerExtension } from './extensions'
import { isObject } from './json'
import { list, message, type Named, object, type Rule } from './reading'
import {
  boolean,
  code,
  id,
  idOrZero,
  integer,
  lenient,
  lenientId,
  lenientMessageType,
  lenientText,
  lenientUserId,
  millis,
  oneOf,
  optional,
  seconds,
  seq,
  seqOrZero,
  someSeconds,
  string,
  tag,
  text,
} from './types'

// ------------------------------------------------------------------ log-in

/** The last push that the client has processed: where the server goes on. */
export type ResumeFrom = wire.ResumeFrom

/** What this client can take. */
export type ClientLimits = wire.ClientLimits

/** C→S, the first message of a connection. */
export type AuthRequest = Named<'AuthRequest', wire.AuthRequest>

/** The rhythm that the server would like, in seconds. */
export type HeartbeatHint = wire.HeartbeatHint

/** What the server can take and gives. */
export type ServerLimits = wire.ServerLimits

/**
 * What the server says of the log-in. All but the user is section 2.
 *
 * A plain server may use any of these keys for something of its own, so what can't be read is as
 * good as absent.
 */
export type AuthData = wire.AuthData

/** S→C: in, or not. */
export type AuthResponse = Named<'AuthResponse', wire.AuthResponse>

const counted = (least: number, most: number, absent: number) => ({
  rule: integer(least, most),
  absent,
})

const serverLimits = object<ServerLimits>({
  frameBytes: counted(1024, 2 ** 31, 65_536),
  batch: counted(1, 65_536, 64),
  contentUnits: counted(1, 2 ** 31, 1000),
  inFlight: counted(1, 65_536, 64),
  unacked: counted(1, 65_536, 512),
  dedupeSeconds: { rule: someSeconds, absent: 604_800 },
})

/** What holds where the server says nothing. */
export const SERVER_LIMITS = serverLimits({}) as ServerLimits

const authData = object<AuthData>({
  userId: lenientUserId,
  username: lenientText,
  deviceId: lenient(tag),
  capabilities: lenient(list(string(1, 32), 32)),
  serverTime: millis,
  expiresIn: lenient(someSeconds),
  lastMsgId: lenient(idOrZero),
  resume: lenient(oneOf('recovered', 'reset')),
  epoch: lenient(tag),
  oldest: lenient(seqOrZero),
  seq: lenient(seqOrZero),
  heartbeat: lenient(
    object<HeartbeatHint>({
      interval: seconds(0, 86_400, true),
      timeout: seconds(0, 3_600, true),
    }),
  ),
  limits: lenient(serverLimits),
})

/** Nothing is said of the log-in. */
export const NO_AUTH_DATA = authData({}) as AuthData

export const authResponse = message<'AuthResponse', wire.AuthResponse>('AuthResponse', {
  code,
  message: lenientText,
  // null, a string or a list on servers that have nothing to say
  data: { rule: (value) => (isObject(value) ? authData(value) : null), absent: null },
})

// ------------------------------------------------------------------ liveness

/** C→S: are you there? */
export type HeartbeatRequest = Named<'HeartbeatRequest', wire.HeartbeatRequest>

/** S→C: yes. */
export type HeartbeatResponse = Named<'HeartbeatResponse', wire.HeartbeatResponse>

export const heartbeatResponse = message<'HeartbeatResponse', wire.HeartbeatResponse>(
  'HeartbeatResponse',
  {
    timestamp: millis,
    serverTime: millis,
  },
)

// ------------------------------------------------------------------ chat

/** C→S: a message to one user. */
export type ChatSendToOne = Named<'ChatSendToOne', wire.ChatSendToOne>

/** S→C: what became of a message. No code means accepted. */
export type ChatSendResponse = Named<'ChatSendResponse', wire.ChatSendResponse>

export const chatSendResponse = message<'ChatSendResponse', wire.ChatSendResponse>(
  'ChatSendResponse',
  {
    msgId: id,
    code: optional(code),
    message: lenientText,
    sessionId: lenientId,
    timestamp: millis,
  },
)

/**
 * S→C: what became of the only message in flight. No code means accepted.
 *
 * Of dialects without msgId alone, so it stands in none of the tables of `directions`.
 */
export interface ChatAnswer {
  type: 'ChatAnswer'
  code: number | null
  message: string | null
}

/**
 * S→C: a message for you. `seq` is there when the capability was granted.
 *
 * With `toUser` it is a copy of what another device of yours has sent: `deviceId`.
 */
export type ChatRedirectToUser = Named<'ChatRedirectToUser', wire.ChatRedirectToUser>

export const chatRedirectToUser = message<'ChatRedirectToUser', wire.ChatRedirectToUser>(
  'ChatRedirectToUser',
  {
    content: text,
    msgId: lenientId,
    fromUser: lenientUserId,
    sessionId: lenientId,
    messageType: lenientMessageType,
    timestamp: millis,
    seq: optional(seq),
    toUser: lenientUserId,
    deviceId: lenient(tag),
  },
)

/** C→S: I have read what `fromUser` wrote. */
export type ChatReadReceipt = Named<'ChatReadReceipt', wire.ChatReadReceipt>

/** S→C: noted. */
export type ChatReadReceiptResponse = Named<'ChatReadReceiptResponse', wire.ChatReadReceiptResponse>

export const chatReadReceiptResponse = message<
  'ChatReadReceiptResponse',
  wire.ChatReadReceiptResponse
>('ChatReadReceiptResponse', {
  msgId: id,
  code: optional(code),
  message: lenientText,
})

/** S→C: something that you sent was wrong; with `msgId` it says which message. */
export type ChatError = Named<'ChatError', wire.ChatError>

export const chatError = message<'ChatError', wire.ChatError>('ChatError', {
  code: optional(code),
  message: lenientText,
  errorMsg: lenientText,
  msgId: lenientId,
})

/** The words of a ChatError, whichever key they came under. */
export function textOf(error: ChatError): string | null {
  return error.message || error.errorMsg
}

// ------------------------------------------------------------------ section 2: seq, closes

/** C→S: everything up to this seq was handled by the application. */
export type ChatAck = Named<'ChatAck', wire.ChatAck>

/** C→S: I have a hole; send again what follows this seq. */
export type SyncRequest = Named<'SyncRequest', wire.SyncRequest>

/** S→C: the pushes go on behind `after`, or, after a reset, from `oldest`. */
export type SyncResponse = Named<'SyncResponse', wire.SyncResponse>

export const syncResponse = message<'SyncResponse', wire.SyncResponse>('SyncResponse', {
  status: oneOf('recovered', 'reset'),
  oldest: seqOrZero,
  epoch: optional(tag),
})

/** S→C: this connection ends; decides over the close that follows. */
export type Kick = Named<'Kick', wire.Kick>

export const kick = message<'Kick', wire.Kick>('Kick', {
  reason: lenientText,
  reconnect: { rule: boolean, absent: true },
  retryAfter: optional(someSeconds),
})

/** What a client says. */
export type ClientMessage =
  | AuthRequest
  | HeartbeatRequest
  | ChatSendToOne
  | ChatReadReceipt
  | ChatAck
  | SyncRequest
  | ClientExtension

/** What a server says. */
export type ServerMessage =
  | AuthResponse
  | HeartbeatResponse
  | ChatSendResponse
  | ChatAnswer
  | ChatRedirectToUser
  | ChatReadReceiptResponse
  | ChatError
  | SyncResponse
  | Kick
  | ServerExtension

/** How a message is read, whichever it is. */
export type MessageRule = Rule<ServerMessage>
