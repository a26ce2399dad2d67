/** Who sends which messages, and what an envelope calls them. */

import {
  authExpiring,
  messageStatusResponse,
  presence,
  readSync,
  receiptPush,
  sessionResponse,
  typingPush,
} from './extensions'
import {
  authResponse,
  chatError,
  chatReadReceiptResponse,
  chatRedirectToUser,
  chatSendResponse,
  type ClientMessage,
  heartbeatResponse,
  kick,
  type MessageRule,
  syncResponse,
} from './messages'

/** What clients send: the envelope's `type`, and the fields in the order in which they are written. */
export const CLIENT_MESSAGES: Readonly<Record<ClientMessage['type'], string>> = {
  AuthRequest: 'AUTH_REQUEST accessToken userId capabilities deviceId limits resume',
  HeartbeatRequest: 'HEARTBEAT_REQUEST timestamp',
  ChatSendToOne: 'CHAT_SEND_TO_ONE_REQUEST msgId toUser content sessionId messageType',
  ChatReadReceipt: 'CHAT_READ_RECEIPT_REQUEST msgId fromUser',
  ChatAck: 'CHAT_ACK_REQUEST seq',
  SyncRequest: 'SYNC_REQUEST after',
  MessageStatusRequest: 'MESSAGE_STATUS_REQUEST msgIds',
  Typing: 'TYPING toUser active',
  SessionRequest: 'SESSION_REQUEST id op params',
}

/** What servers send, by the envelope's `type`. */
export const SERVER_MESSAGES: ReadonlyMap<string, MessageRule> = new Map<string, MessageRule>([
  ['AUTH_RESPONSE', authResponse],
  ['HEARTBEAT_RESPONSE', heartbeatResponse],
  ['CHAT_SEND_RESPONSE', chatSendResponse],
  ['CHAT_REDIRECT_TO_USER_REQUEST', chatRedirectToUser],
  ['CHAT_READ_RECEIPT_RESPONSE', chatReadReceiptResponse],
  ['CHAT_ERROR_RESPONSE', chatError],
  ['SYNC_RESPONSE', syncResponse],
  ['KICK', kick],
  ['MESSAGE_STATUS_RESPONSE', messageStatusResponse],
  ['RECEIPT_PUSH', receiptPush],
  ['READ_SYNC', readSync],
  ['TYPING', typingPush],
  ['PRESENCE', presence],
  ['AUTH_EXPIRING', authExpiring],
  ['SESSION_RESPONSE', sessionResponse],
])
