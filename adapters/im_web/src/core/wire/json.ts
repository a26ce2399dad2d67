/**
 * JSON as the Python side reads it: integers keep all their digits and are told from other numbers,
 * and what no strict parser takes is no JSON here either.
 */

/** A number that was written with a point or an exponent. */
export class Float {
  constructor(readonly value: number) {}
}

/** A JSON value. Integers above 2^53-1 are bigints. Objects have no prototype. */
export type Json = null | boolean | number | bigint | Float | string | Json[] | JsonObject
export interface JsonObject {
  [key: string]: Json
}

/** It is not JSON; the text never shows it. */
export class NotJson extends Error {}

const SPACE = /[ \t\n\r]*/y
const STRING = /"[^"\\\0-\x1f]*(?:\\.[^"\\\0-\x1f]*)*"/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const WORD = /true|false|null/y
const NO_NUMBER = /NaN|-?Infinity/y
const WORDS: Readonly<Record<string, Json>> = { true: true, false: false, null: null }
const LONE_SURROGATE = /\p{Cs}/u
/** The Python side takes no deeper value, and no longer integer. */
const MAX_DEPTH = 200
const MAX_DIGITS = 4300

export function isObject(value: unknown): value is JsonObject {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Float)
  )
}

/** Can it be written as UTF-8, that is, does it hold no lone surrogate? */
export function isText(value: string): boolean {
  return !LONE_SURROGATE.test(value)
}

/**
 * Read JSON.
 *
 * @param text - all of it.
 * @param lax - take NaN and Infinity too.
 * @throws NotJson - it is none, or too deep, or not text.
 */
export function parseJson(text: string, lax = false): Json {
  let at = 0

  const take = (token: RegExp): string | null => {
    token.lastIndex = at
    const found = token.exec(text)
    if (!found) return null
    at = token.lastIndex
    return found[0]
  }
  /** Pass over white space; is this next? Then pass over it too. */
  const skip = (mark: string): boolean => {
    take(SPACE)
    if (text[at] !== mark) return false
    at += 1
    return true
  }
  const expect = (mark: string): void => {
    if (!skip(mark)) throw new NotJson()
  }
  const string = (): string => {
    take(SPACE)
    const token = take(STRING)
    if (token === null) throw new NotJson()
    const value = token.includes('\\') ? unescaped(token) : token.slice(1, -1)
    if (!isText(value)) throw new NotJson()
    return value
  }
  const members = (end: string, depth: number, member: () => void): void => {
    if (skip(end)) return
    if (depth > MAX_DEPTH) throw new NotJson()
    do member()
    while (skip(','))
    expect(end)
  }
  const value = (depth: number): Json => {
    if (skip('{')) {
      const object = Object.create(null) as JsonObject
      members('}', depth, () => {
        const key = string()
        expect(':')
        object[key] = value(depth + 1)
      })
      return object
    }
    if (skip('[')) {
      const list: Json[] = []
      members(']', depth, () => list.push(value(depth + 1)))
      return list
    }
    if (text[at] === '"') return string()
    const number = take(NUMBER)
    if (number !== null) return numeric(number)
    const word = take(WORD)
    if (word !== null) return WORDS[word] as Json
    const none = lax ? take(NO_NUMBER) : null
    if (none === null) throw new NotJson()
    return new Float(Number(none))
  }

  const whole = value(1)
  take(SPACE)
  if (at < text.length) throw new NotJson()
  return whole
}

function unescaped(token: string): string {
  try {
    return JSON.parse(token) as string
  } catch {
    throw new NotJson()
  }
}

function numeric(token: string): Json {
  if (/[.e]/i.test(token)) return new Float(Number(token))
  if (token.replace('-', '').length > MAX_DIGITS) throw new NotJson()
  const value = Number(token)
  // + 0: there is no integer -0
  return Number.isSafeInteger(value) ? value + 0 : BigInt(token)
}
