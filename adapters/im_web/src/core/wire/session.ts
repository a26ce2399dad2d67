/**
 * A session (a book, its buyer, its seller) and the answers to calls about it (protocol.md
 * section 3).
 *
 * Read in two passes like everything else: the answer first, then what it carries, so that one bad
 * session never takes its neighbours along. No error here ever shows the input.
 */

import { MOST_ITEMS } from '../../generated/tables'
import type { HistoryPage, HistoryRecord, SessionOp, SessionVO } from '../../generated/types'
import { isObject, type Json, parseJson } from './json'
import { Fault, object, type Rule } from './reading'
import {
  boolean,
  code,
  type Id,
  id,
  idOrZero,
  lenient,
  lenientMessageType,
  lenientText,
  optional,
  seqOrZero,
  smallNumber,
  text,
  wireUserId,
} from './types'

export { ACTIVE, CLOSED, EXPIRED, STATES } from '../../generated/tables'
export type { HistoryPage, HistoryRecord, SessionOp, SessionVO }

const readed: Rule<boolean | number> = (value) =>
  typeof value === 'boolean' ? value : smallNumber(value)

const sessionVO = object<SessionVO>({
  id,
  bookId: idOrZero,
  buyerId: wireUserId,
  sellerId: wireUserId,
  sessionStatus: lenient(smallNumber),
  expireTime: lenientText,
  createTime: lenientText,
  buyerReaded: lenient(readed),
  sellerReaded: lenient(readed),
})

/**
 * How many messages in a session a user has not read. It is as old as the session; what the user has
 * written never counts.
 *
 * @returns null: the server does not say how many, or the user is neither buyer nor seller.
 */
export function unreadOf(session: SessionVO, user: unknown): number | null {
  const found = wireUserId(user as Json)
  const told =
    found === session.buyerId
      ? session.buyerReaded
      : found === session.sellerId
        ? session.sellerReaded
        : null
  return typeof told === 'boolean' ? (told ? 0 : null) : told
}

const historyRecord = object<HistoryRecord>({
  msgId: id,
  senderId: wireUserId,
  receiverId: optional(wireUserId),
  messageType: lenientMessageType,
  content: text,
  messageStatus: lenient(smallNumber),
  sendTime: lenientText,
})

/** An answer that can't be read; the text says why, and holds none of it. */
export class BadAnswer extends Error {}

/** {"code", "data", "message"}, with whatever `data` is. */
export interface Answer {
  code: number
  data: Json
  message: string | null
}

const answer = object<Omit<Answer, 'data'>>({ code, message: lenientText })

/**
 * Take an answer apart.
 *
 * @param body - the text, or its bytes in UTF-8.
 * @throws BadAnswer - it isn't JSON, or no object with a code.
 */
export function readAnswer(body: string | Uint8Array): Answer {
  let parsed: Json
  try {
    parsed = parseJson(typeof body === 'string' ? body : decoder.decode(body))
  } catch {
    throw new BadAnswer('it is not JSON')
  }
  const found = answer(parsed)
  if (found instanceof Fault) throw new BadAnswer(String(found))
  return { ...found, data: (isObject(parsed) ? parsed.data : null) ?? null }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * One session: all of it, or its id alone; null if there is none.
 *
 * @throws BadAnswer - it is none of the three.
 */
export function readSession(data: Json): SessionVO | Id | null {
  if (data === null) return null
  let found: SessionVO | Id | Fault
  if (isObject(data)) found = sessionVO(data)
  else {
    found = id(data)
    if (found instanceof Fault) found = found.at('id')
  }
  if (found instanceof Fault) throw new BadAnswer(`data: ${String(found)}`)
  return found
}

/**
 * A list of sessions; those that can't be read are left out.
 *
 * @throws BadAnswer - it is no list.
 */
export function readSessions(data: Json): SessionVO[] {
  if (data === null) return []
  if (!Array.isArray(data)) throw new BadAnswer('data: it is no list')
  return readable(data, sessionVO)
}

const pageAround = object<{ hasNext: boolean | null; total: number | null }>({
  hasNext: lenient(boolean),
  total: lenient(seqOrZero),
})

/**
 * A page of messages, with or without {"records": …} around it. What can't be read is left out.
 *
 * @param data - what the answer carries.
 * @param pageSize - how many were asked for: where the server does not say whether there is more, a
 * full page means yes.
 * @throws BadAnswer - it is no page.
 */
export function readHistory(data: Json, pageSize: number): HistoryPage {
  const told = pageAround(data)
  let items: Json = data
  let hasNext: boolean | null = null
  let total: number | null = null
  if (!(told instanceof Fault)) {
    ;({ hasNext, total } = told)
    items = isObject(data) ? (data.records ?? null) : null
  }
  items ??= []
  if (!Array.isArray(items)) throw new BadAnswer('data: it is no page of messages')
  return {
    records: readable(items, historyRecord),
    hasNext: hasNext ?? items.length >= pageSize,
    total,
  }
}

function readable<T>(items: readonly Json[], rule: Rule<T>): T[] {
  return items
    .slice(0, MOST_ITEMS)
    .map(rule)
    .filter((item): item is T & NonNullable<unknown> => !(item instanceof Fault)) as T[]
}
