/**
 * The dialect of an earlier client of the platform: `{"type", "id", "timestamp", "data": {…}}`.
 *
 * It has no msgId. A message's envelope carries our own id for it; a server that echoes the id says
 * with it which message it answers, any other answer is one to the only message in flight
 * (protocol.md section 1, "The second dialect"). Read in two passes, as Invocation is.
 */

import { BAD_REQUEST, NOT_LOGGED_IN, OK } from '../../generated/tables'
import { LocalProtocolError, printable } from '../errors'
import { outcome } from './codes'
import { BadFrame, type Dialect, type Incoming } from './dialect'
import { CLIENT_MESSAGES } from './directions'
import { Float, isObject, type Json, type JsonObject, parseJson } from './json'
import { type AuthData, type ClientMessage, heartbeatResponse, NO_AUTH_DATA } from './messages'
import { Fault, isNothing, kindOf, object, parseFrame, type Rule } from './reading'
import {
  asId,
  code,
  type Id,
  lenient,
  lenientMessageType,
  lenientText,
  lenientUserId,
  millis,
  optional,
  text,
  type UserId,
} from './types'

const YES = /^(?:1|on|t|true|y|yes)$/i
const NO = /^(?:0|off|f|false|n|no)$/i

/** True or false, in one of the ways in which servers write it. */
const flag: Rule<boolean> = (given) => {
  const value = given instanceof Float ? given.value : given
  if (typeof value === 'boolean') return value
  if (value === null || typeof value === 'object' || isHuge(value)) return new Fault('bool_type')
  if (given instanceof Float && value !== 0 && value !== 1) {
    return new Fault(Number.isInteger(value) ? 'bool_parsing' : 'bool_type')
  }
  if (YES.test(String(value))) return true
  return NO.test(String(value)) ? false : new Fault('bool_parsing')
}

const isHuge = (value: Json): boolean =>
  typeof value === 'bigint' && value !== BigInt.asIntN(64, value)

const authFields = object<{
  success: boolean | null
  code: number | null
  message: string | null
  userId: UserId | null
}>({
  success: optional(flag),
  code: lenient(code),
  message: lenientText,
  userId: lenientUserId,
})

const chatFields = object<{
  content: string
  fromUserId: UserId | null
  messageType: string | null
  timestamp: number | null
}>({
  content: text,
  fromUserId: lenientUserId,
  messageType: lenientMessageType,
  timestamp: millis,
})

const answerFields = object<{
  code: number | null
  success: boolean | null
  message: string | null
}>({
  code: optional(code),
  success: optional(flag),
  message: lenientText,
})

/** The second dialect in the field, the client's side of it. */
export class Typed implements Dialect {
  readonly name = 'typed'
  readonly extensions = false
  readonly inFlight = 1

  decode(text: string): Incoming[] {
    const frame = parseFrame(text)
    if (!isObject(frame)) throw new BadFrame('the frame is not an envelope', 1002)
    const kind = kindOf(frame)
    if (kind === null) return [malformed('', 'the envelope has no usable type')]
    const reader = READERS.get(kind)
    if (!reader) return [{ type: 'Unknown', kind: printable(kind), seq: null }]
    // some servers write the fields beside `data`, or no `data` at all
    const fields = Object.assign(Object.create(null) as JsonObject, frame, dataOf(frame))
    const found = reader(fields, frame)
    return [found instanceof Fault ? malformed(kind, String(found)) : found]
  }

  encode(message: ClientMessage, { wallMs = 0 }: { wallMs?: number } = {}): string {
    if (message.type === 'ChatSendToOne') {
      return envelope('chat_message', `m${message.msgId}`, wallMs, {
        toUserId: message.toUser,
        content: message.content,
        messageType: message.messageType || 'text',
      })
    }
    if (message.type === 'HeartbeatRequest') {
      return envelope('heartbeat', `h${wallMs}`, wallMs, { timestamp: wallMs })
    }
    if (message.type === 'AuthRequest' && message.userId !== null) {
      return envelope('auth', `a${wallMs}`, wallMs, {
        token: message.accessToken,
        userId: message.userId,
      })
    }
    const [kind] = CLIENT_MESSAGES[message.type].split(' ')
    throw new LocalProtocolError(`the dialect 'typed' has no word for ${kind}`)
  }

  /** One envelope as it is; there are never several. */
  join([envelope]: readonly string[]): string {
    return envelope as string
  }
}

function envelope(type: string, id: string, timestamp: number, data: object): string {
  return JSON.stringify({ type, id, timestamp, data })
}

function malformed(kind: string, reason: string): Incoming {
  return { type: 'Malformed', kind, reason, msgId: null }
}

/** Reads what is known of an envelope's fields, and of the envelope itself. */
type Reader = (fields: JsonObject, envelope: JsonObject) => Incoming | Fault

const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['auth_response', authResponse],
  ['heartbeat_response', heartbeatResponse],
  ['chat_message', chatMessage],
  ['chat_response', chatResponse],
])

function chatMessage(fields: JsonObject): Incoming | Fault {
  const chat = chatFields(fields)
  if (chat instanceof Fault) return chat
  const { content, fromUserId, messageType, timestamp } = chat
  return {
    type: 'ChatRedirectToUser',
    content,
    msgId: null,
    fromUser: fromUserId,
    sessionId: null,
    messageType,
    timestamp,
    seq: null,
    toUser: null,
    deviceId: null,
  }
}

function chatResponse(fields: JsonObject, envelope: JsonObject): Incoming | Fault {
  const answer = answerFields(fields)
  if (answer instanceof Fault) return answer
  let { code } = answer
  if (code === null && answer.success === null && dataOf(envelope) === null) {
    // no code means accepted, but not where there may be one that can't be read
    return malformed('chat_response', 'data: not an object')
  }
  if (answer.success === false && outcome(code) === 'success') code = BAD_REQUEST
  const msgId = ourId(envelope.id)
  const message = answer.message
  return msgId === null
    ? { type: 'ChatAnswer', code, message }
    : { type: 'ChatSendResponse', msgId, code, message, sessionId: null, timestamp: null }
}

function authResponse(fields: JsonObject): Incoming | Fault {
  const response = authFields(fields)
  if (response instanceof Fault) return response
  let { code } = response
  if (response.success === null && code === null) {
    return malformed('auth_response', 'success: missing')
  }
  if (response.success) code = OK
  else if (code === null || (response.success === false && outcome(code) === 'success')) {
    // it may be the token, and nobody says that it isn't: a token function is asked for another
    code = NOT_LOGGED_IN
  }
  const data: AuthData = { ...NO_AUTH_DATA, userId: response.userId }
  return { type: 'AuthResponse', code, message: response.message, data }
}

/** What `data` holds, as an object or as JSON in a string; null if it holds no object. */
function dataOf(envelope: JsonObject): JsonObject | null {
  let data: Json | undefined = envelope.data
  if (isNothing(data)) return {}
  if (typeof data === 'string') {
    try {
      data = parseJson(data)
    } catch {
      return null
    }
  }
  return isObject(data) ? data : null
}

/** The msgId that an answer's envelope names, if the id is one of ours. */
function ourId(value: Json | undefined): Id | null {
  // the letter tells it from an id that a server made itself
  return typeof value === 'string' && value.startsWith('m') ? asId(value.slice(1)) : null
}
