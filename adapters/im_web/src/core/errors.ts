/**
 * What can go wrong, in the words that users of this system know.
 *
 * Two kinds never mix. `LocalProtocolError` is a mistake of the calling program: it is thrown, names
 * the state and the input, and has changed nothing. Everything that a peer or a network does wrong
 * is an `IMError`: it carries an `IMErrorCode`, and says whether trying again can help.
 */

import { ERROR_FLAGS } from '../generated/tables'
import type { IMErrorCode } from '../generated/types'
import { repr } from './text'

export type { IMErrorCode }

/** What an `IMError` says beside its code and text. */
export interface IMErrorDetails {
  serverCode?: number | null
  serverText?: string | null
  /** As it follows from the code, unless given. */
  retryable?: boolean | null
  /** As it follows from the code, unless given. */
  terminal?: boolean | null
}

/**
 * A failure that is nobody's bug here: the network, the server, a refused login or message.
 *
 * Thrown by a call of a client and given to its `error` callback.
 */
export class IMError extends Error {
  override readonly name = 'IMError'
  /** What kind of failure. */
  readonly code: IMErrorCode
  /** What has happened, for people. */
  readonly text: string
  /**
   * The peer's own number, as it stood on the wire (protocol.md section 1, "Codes"), a close code
   * (RFC 6455 section 7.4) or an HTTP status; null if there is none.
   */
  readonly serverCode: number | null
  /** The peer's own words, printable and cut to 200 characters; null if none. */
  readonly serverText: string | null
  /** Trying again can help. */
  readonly retryable: boolean
  /** The client has given up and waits for `connect()` or a new token. */
  readonly terminal: boolean

  constructor(code: IMErrorCode, text: string, details: IMErrorDetails = {}) {
    const serverCode = details.serverCode ?? null
    const serverText = details.serverText == null ? null : printable(details.serverText)
    super(
      `${code}: ${text}` +
        (serverCode === null ? '' : ` (server code ${serverCode})`) +
        (serverText ? ` (server says ${repr(serverText)})` : ''),
    )
    this.code = code
    this.text = text
    this.serverCode = serverCode
    this.serverText = serverText
    this.retryable = details.retryable ?? ERROR_FLAGS[code].retryable
    this.terminal = details.terminal ?? ERROR_FLAGS[code].terminal
  }
}

/**
 * The calling program did what the state does not allow. Nothing has changed.
 *
 * The text names the state and the input, or the argument that is out of range.
 */
export class LocalProtocolError extends Error {
  override readonly name = 'LocalProtocolError'
}

/** A value that breaks a rule. The text says which, and never shows a token or content. */
export class ValueError extends Error {
  override readonly name = 'ValueError'
}

/** What no screen shows: controls, formats, surrogates, private and unassigned, white space. */
const UNPRINTABLE = /(?! )[\p{C}\p{Z}]/u

/** Is there nothing in it but letters, marks, digits, signs and plain spaces? */
export function isPrintable(text: string): boolean {
  return !UNPRINTABLE.test(text)
}

/** Words of a peer, safe to log: no control characters, at most `limit` characters. */
export function printable(text: string, limit = 200): string {
  // two units a character at most
  const given = [...text.slice(0, 2 * limit + 2)]
  const shown = [
    ...given
      .slice(0, limit)
      .map((c) => (isPrintable(c) ? c : escaped(c)))
      .join(''),
  ]
  const cut = given.length > limit || shown.length > limit
  return cut ? shown.slice(0, limit - 1).join('') + '…' : shown.join('')
}

const SHORT: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r' }

function escaped(character: string): string {
  const point = character.codePointAt(0) ?? 0
  const hex = point.toString(16)
  if (point < 256) return SHORT[character] ?? `\\x${hex.padStart(2, '0')}`
  return point < 65_536 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`
}
