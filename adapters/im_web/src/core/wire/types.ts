/**
 * The bounded building blocks of every message (protocol.md section 1).
 *
 * Everything that comes in has a bound here: integers a range, strings a length. Ids come as JSON
 * numbers or as decimal strings, and are a number up to 2^53-1 and a string above, here and where
 * they leave, because JavaScript loses precision there.
 */

import {
  MAX_ID,
  MAX_SAFE_INTEGER,
  MAX_SECONDS,
  MAX_TEXT,
  MAX_TOKEN,
  MAX_USER_NAME,
} from '../../generated/tables'
import type { Id, UserId } from '../../generated/types'
import { isPrintable, ValueError } from '../errors'
import { longerThan } from '../text'
import { Float, isText, type Json } from './json'
import { Fault, type Field, type Rule } from './reading'

export { isText }

export type { Id, UserId }

const HIGHEST_ID = BigInt(MAX_ID)
const CANONICAL_ID = /^[1-9]\d{0,18}$/
const DECIMAL = /^-?\d+$/
const TAG = /^[A-Za-z0-9_.:-]{1,64}$/

/** An integer as it stands in a message: a number as long as that is exact, else a string. */
function exact(value: number | bigint): Id {
  return value <= MAX_SAFE_INTEGER ? Number(value) : String(value)
}

function isInteger(value: unknown): value is number | bigint {
  return typeof value === 'bigint' || Number.isSafeInteger(value)
}

/** Which of two ids is the higher: negative, 0 or positive, as for `sort`. */
export function compareIds(one: Id, other: Id): number {
  const [a, b] = [BigInt(one), BigInt(other)]
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * An id from whatever stands for one: a safe integer, a bigint, a canonical decimal string; null if
 * it stands for none between 1 and 2^63-1.
 */
export function asId(value: unknown): Id | null {
  const id = typeof value === 'string' && CANONICAL_ID.test(value) ? BigInt(value) : value
  return isInteger(id) && id >= 1 && id <= HIGHEST_ID ? exact(id) : null
}

/** Is it an id, in the one form that ids have here? */
export function isId(value: unknown): value is Id {
  return value === asId(value)
}

/**
 * Normalise a user id: a canonical decimal string is the number, another string a name.
 *
 * @throws ValueError - not an int64 above zero and not a string of 1 to 128 printable characters.
 */
export function userId(value: unknown): UserId {
  const id = asId(value)
  if (id !== null) return id
  if (typeof value === 'string') {
    if (value && !longerThan(value, MAX_USER_NAME) && isPrintable(value)) return value
    throw new ValueError(`a user name has 1 to ${MAX_USER_NAME} printable characters`)
  }
  throw new ValueError(
    isInteger(value) || Number.isInteger(value)
      ? 'a numeric user id is between 1 and 2^63-1'
      : 'a user id is an integer or a string',
  )
}

/** May it stand in AUTH_REQUEST: 1 to 8192 characters that are text? */
export function isToken(token: unknown): token is string {
  return typeof token === 'string' && !!token && !longerThan(token, MAX_TOKEN) && isText(token)
}

/** May it be the name of an installation, or of an epoch? */
export function isTag(value: unknown): value is string {
  return typeof value === 'string' && TAG.test(value)
}

/** The length that the limit counts: UTF-16 units after trimming. */
export function contentUnits(content: string): number {
  return content.trim().length
}

/**
 * Is this a content that may be sent? (protocol.md section 1)
 *
 * @param content - what would be sent, untrimmed.
 * @param limit - the most UTF-16 units after trimming.
 * @throws ValueError - empty after trimming, too long, or not encodable; the text never holds it.
 */
export function checkContent(content: string, limit: number): void {
  if (content.includes('\0')) {
    throw new ValueError('content holds a NUL character, which databases refuse')
  }
  if (!isText(content)) throw new ValueError('content holds a lone surrogate, which is not text')
  const units = contentUnits(content)
  if (units === 0) throw new ValueError('content is empty')
  if (units > limit) {
    throw new ValueError(`content has ${units} UTF-16 units, the limit is ${limit}`)
  }
}

// ------------------------------------------------------------------ rules for what comes in

/** Decimal strings are numbers on this wire; anything else goes on as it is. */
function decimal(value: Json): Json {
  return typeof value === 'string' && value.length <= 20 && DECIMAL.test(value)
    ? BigInt(value)
    : value
}

/** An integer; with `read` also what that makes one. */
export function integer(
  least: number,
  most: number | bigint,
  read: (value: Json) => Json = (value) => value,
): Rule<number> {
  return (given) => {
    const value = read(given)
    if (!isInteger(value)) return new Fault('int_type')
    if (value > most) return new Fault('less_than_equal')
    if (value < least) return new Fault('greater_than_equal')
    // beyond 2^53-1 only an id can be, and who reads one expects a string
    return exact(value) as number
  }
}

/** A number of seconds; with `above` more than `least`. */
export function seconds(least: number, most: number, above = false): Rule<number> {
  return (given) => {
    const value = asFloat(given)
    if (typeof value === 'string') return new Fault(value)
    if (!Number.isFinite(value)) return new Fault('finite_number')
    if (value > most) return new Fault('less_than_equal')
    if (above ? value <= least : value < least) {
      return new Fault(above ? 'greater_than' : 'greater_than_equal')
    }
    return value
  }
}

const FLOAT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i
const NOT_FINITE = /^[+-]?(?:inf|infinity|nan)$/i

/** The number that a value is read as, or the name of the rule that it breaks. */
function asFloat(value: Json): number | string {
  if (value instanceof Float) return value.value
  if (typeof value === 'string') {
    let text = value.trim()
    if (!/^_|__|_$/.test(text)) text = text.replaceAll('_', '')
    if (FLOAT.test(text)) return Number(text)
    return NOT_FINITE.test(text) ? NaN : 'float_parsing'
  }
  return typeof value === 'object' ? 'float_type' : Number(value)
}

/** A text of at least and at most so many characters. */
export function string(least: number, most: number): Rule<string> {
  return (value) => {
    if (typeof value !== 'string') return new Fault('string_type')
    if (longerThan(value, most)) return new Fault('string_too_long')
    return !value && least ? new Fault('string_too_short') : value
  }
}

/** One of these words. */
export function oneOf<T extends string>(...words: readonly T[]): Rule<T> {
  return (value) => (words.includes(value as T) ? (value as T) : new Fault('literal_error'))
}

/** The same, an integer standing for its digits. */
export function numberToo(rule: Rule<string>): Rule<string> {
  return (value) => rule(isInteger(value) ? String(value) : value)
}

export const id: Rule<Id> = integer(1, HIGHEST_ID, decimal)
/** An id or zero: a cursor that has seen nothing, a book that is none. */
export const idOrZero: Rule<Id> = integer(0, HIGHEST_ID, decimal)
/** A number in a mailbox. There are not so many that JavaScript could not count them. */
export const seq: Rule<number> = integer(1, MAX_SAFE_INTEGER, decimal)
export const seqOrZero: Rule<number> = integer(0, MAX_SAFE_INTEGER, decimal)
/** A user id on the wire, normalised by `userId`. */
export const wireUserId: Rule<UserId> = (value) => {
  try {
    return userId(value)
  } catch {
    return new Fault('value_error')
  }
}
/** A result code; success is 0 on one branch of the family and 200 on the other. */
export const code: Rule<number> = integer(-(2 ** 31), 2 ** 31 - 1, decimal)
/** A count or a state, as a number or a decimal string. */
export const smallNumber: Rule<number> = integer(0, 2 ** 31 - 1, decimal)
export const someSeconds: Rule<number> = seconds(0, MAX_SECONDS)
/** Any text a peer may say to a person. */
export const text: Rule<string> = string(0, MAX_TEXT)
export const tag: Rule<string> = (value) =>
  typeof value !== 'string'
    ? new Fault('string_type')
    : TAG.test(value)
      ? value
      : new Fault('string_pattern_mismatch')
export const boolean: Rule<boolean> = (value) =>
  typeof value === 'boolean' ? value : new Fault('bool_type')
/** A kind of message ("text", "image" …), a number on some servers. */
const messageType: Rule<string> = numberToo((value) => {
  const kind = string(1, 64)(value)
  return typeof kind === 'string' && kind.includes('\0') ? new Fault('value_error') : kind
})

/** May be left out, or null. */
export function optional<T>(rule: Rule<T>): Field<T | null> {
  return { rule: (value) => (value === null ? null : rule(value)), absent: null }
}

/** May be left out; an optional remark of the peer that can't be read is as good as none. */
export function lenient<T>(rule: Rule<T>): Field<T | null> {
  return {
    rule: (value) => {
      const read = rule(value)
      return read instanceof Fault ? null : read
    },
    absent: null,
  }
}

/** A time in milliseconds since 1970. */
export const millis = lenient(seqOrZero)
export const lenientText = lenient(numberToo(text))
export const lenientMessageType = lenient(messageType)
export const lenientId = lenient(id)
export const lenientUserId = lenient(wireUserId)
