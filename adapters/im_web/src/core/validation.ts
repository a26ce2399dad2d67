/**
 * The rules for what an application hands over, each by its name: for forms, before anything is sent.
 * The client applies the same ones.
 */

import { DEFAULTS } from '../generated/tables'
import { IMError, isPrintable, LocalProtocolError, ValueError } from './errors'
import { longerThan, repr } from './text'
import { checkUrl } from './url'
import { asId, checkContent, type Id, isTag, isToken, userId } from './wire/types'

export { userId }

/**
 * What a message says: 1 to `units` UTF-16 units after trimming, no NUL, no lone surrogate
 * (protocol.md section 1).
 *
 * @throws ValueError - names what is wrong, never the content.
 */
export function content(value: unknown, units = DEFAULTS.contentUnits): string {
  if (typeof value !== 'string') throw new ValueError(`content is a string, not ${kindOf(value)}`)
  checkContent(value, units)
  return value
}

/**
 * A kind of message ("text", "image" …): 1 to 64 printable characters.
 *
 * @throws ValueError - it is none.
 */
export function messageType(value: unknown): string {
  if (typeof value !== 'string' || !value || longerThan(value, 64) || !isPrintable(value)) {
    throw new ValueError('message_type has 1 to 64 printable characters')
  }
  return value
}

/**
 * The id of a message: between 1 and 2^63-1.
 *
 * @throws ValueError - it is none.
 */
export function msgId(value: unknown): Id {
  return idOf('msg_id', value)
}

/**
 * The id of a session: between 1 and 2^63-1.
 *
 * @throws ValueError - it is none.
 */
export function sessionId(value: unknown): Id {
  return idOf('session_id', value)
}

function idOf(name: string, value: unknown): Id {
  const id = asId(value)
  if (id === null) throw new ValueError(`${name} is an int between 1 and 2^63-1`)
  return id
}

/**
 * An access token: 1 to 8192 characters that can be written as UTF-8.
 *
 * @throws ValueError - it is none; the text never holds it.
 */
export function token(value: unknown): string {
  if (!isToken(value)) throw new ValueError('token has 1 to 8192 characters, and is text')
  return value
}

/**
 * An installation's name at the server: 1 to 64 of A-Z, a-z, 0-9 and `_ . : -`.
 *
 * @throws ValueError - it is none.
 */
export function deviceId(value: unknown): string {
  if (!isTag(value)) throw new ValueError('device_id has 1 to 64 of A-Z, a-z, 0-9 and _ . : -')
  return value
}

/**
 * Where the server is: ws://… or wss://…, without user, password or fragment.
 *
 * @throws ValueError - it is no such URL.
 */
export function wsUrl(value: unknown): string {
  if (typeof value !== 'string') throw new ValueError(`ws_url is a string, not ${kindOf(value)}`)
  checkUrl(value)
  return value
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value
}

/** Every rule by its name; it returns the value as the client uses it, or throws ValueError. */
export const RULES = { content, userId, msgId, sessionId, messageType, token, deviceId, wsUrl }

/**
 * Apply a rule by its name.
 *
 * @param rule - a key of `RULES`.
 * @param value - what the application would hand over.
 * @returns the value as the client uses it: a `userId` of "7" as 7, all others as they are.
 * @throws IMError - MESSAGE_FORMAT_ERROR, saying what is wrong and never showing a token or content.
 * @throws LocalProtocolError - there is no such rule.
 */
export function validate(rule: string, value: unknown): unknown {
  if (!Object.hasOwn(RULES, rule)) {
    const all = Object.keys(RULES).join(', ')
    throw new LocalProtocolError(`there is no rule ${repr(rule)}; there are ${all}`)
  }
  try {
    return RULES[rule as keyof typeof RULES](value)
  } catch (error) {
    if (!(error instanceof ValueError)) throw error
    throw new IMError('MESSAGE_FORMAT_ERROR', error.message)
  }
}
