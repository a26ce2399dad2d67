/**
 * The messages that protocol.md section 2 adds beside `seq` and `batch`: status, receipts, typing,
 * presence, refresh, sessions.
 */

import type * as wire from '../../generated/messages'
import { MAX_IDS } from '../../generated/tables'
import { list, message, type Named, object } from './reading'
import {
  boolean,
  code,
  id,
  lenientId,
  lenientText,
  millis,
  oneOf,
  optional,
  seq,
  someSeconds,
  string,
  wireUserId,
} from './types'

/** C→S, with `status`: what became of these messages of this device? */
export type MessageStatusRequest = Named<'MessageStatusRequest', wire.MessageStatusRequest>

/** What became of one message; `timestamp` is when it was accepted. */
export type StatusItem = wire.StatusItem

/** S→C: that. It is final: after a login nothing of an older connection is taken any more. */
export type MessageStatusResponse = Named<'MessageStatusResponse', wire.MessageStatusResponse>

export const messageStatusResponse = message<'MessageStatusResponse', wire.MessageStatusResponse>(
  'MessageStatusResponse',
  {
    items: list(
      object<StatusItem>({
        msgId: id,
        status: oneOf('never', 'accepted', 'delivered', 'read', 'forgotten'),
        timestamp: millis,
      }),
      MAX_IDS,
    ),
  },
)

/** S→C, with `receipts`, numbered: these messages of yours reached `user`, or were read. */
export type ReceiptPush = Named<'ReceiptPush', wire.ReceiptPush>

export const receiptPush = message<'ReceiptPush', wire.ReceiptPush>('ReceiptPush', {
  msgIds: list(id, MAX_IDS),
  user: wireUserId,
  status: oneOf('delivered', 'read'),
  sessionId: lenientId,
  timestamp: millis,
  seq: optional(seq),
})

/** S→C, with `receipts`, numbered: another device of yours has read up to this message. */
export type ReadSync = Named<'ReadSync', wire.ReadSync>

export const readSync = message<'ReadSync', wire.ReadSync>('ReadSync', {
  fromUser: wireUserId,
  msgId: id,
  seq: optional(seq),
})

/** C→S, with `typing`: I have begun, or stopped, to write to somebody. */
export type Typing = Named<'Typing', wire.Typing>

/** S→C, with `typing`: somebody has begun, or stopped, to write to you. */
export type TypingPush = Named<'TypingPush', wire.TypingPush>

export const typingPush = message<'TypingPush', wire.TypingPush>('TypingPush', {
  fromUser: wireUserId,
  active: boolean,
})

/** S→C, with `presence`: somebody with whom you share a session came, or left. */
export type Presence = Named<'Presence', wire.Presence>

export const presence = message<'Presence', wire.Presence>('Presence', {
  user: wireUserId,
  online: boolean,
  lastSeen: millis,
})

/** S→C, with `refresh`: the token has so many seconds left. */
export type AuthExpiring = Named<'AuthExpiring', wire.AuthExpiring>

export const authExpiring = message<'AuthExpiring', wire.AuthExpiring>('AuthExpiring', {
  expiresIn: someSeconds,
})

/** C→S, with `sessions`: a call of section 3. `params` are the fields of its query or body. */
export type SessionRequest = Named<'SessionRequest', wire.SessionRequest>

/** S→C: its answer, as over HTTP. */
export type SessionResponse = Named<'SessionResponse', wire.SessionResponse>

export const sessionResponse = message<'SessionResponse', wire.SessionResponse>('SessionResponse', {
  id: string(1, 64),
  code,
  data: { rule: (value) => value, absent: null },
  message: lenientText,
})

/** What a client says of these. */
export type ClientExtension = MessageStatusRequest | Typing | SessionRequest

/** What a server says of these. */
export type ServerExtension =
  | MessageStatusResponse
  | ReceiptPush
  | ReadSync
  | TypingPush
  | Presence
  | AuthExpiring
  | SessionResponse
