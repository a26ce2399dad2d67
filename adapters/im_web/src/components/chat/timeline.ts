/**
 * The messages of one conversation, as a list that is never changed in place.
 *
 * First those that the server has accepted, in its order of acceptance; then the user's own that
 * are under way or have failed, in the order of their sending. A message is known again by who
 * wrote it and its msgId, or, while it has none, by the key of its sending; so what comes twice, by
 * a history page and live, is there once.
 */
import type {
  ChatReceivedMessage,
  HistoryRecord,
  Id,
  OwnMessageEvent,
  SentMessage,
  UserId,
} from '../../types'
import { keyOf, same } from './ids'

/** What is known of a message; `received` is one of the other user. */
export type EntryState = 'sending' | 'sent' | 'delivered' | 'read' | 'failed' | 'received'

/** A message as it is shown. */
export interface Entry {
  /** Its name on the screen; it stays the same when the message is accepted. */
  readonly id: string
  readonly mine: boolean
  readonly from: UserId
  readonly msgId: Id | null
  readonly content: string
  readonly messageType: string
  /** When it was accepted, or given to the client, ms since 1970; null if nobody says. */
  readonly time: number | null
  readonly state: EntryState
  /** Of a received one: has this user read it? Null: the server doesn't tell. */
  readonly seen: boolean | null
  /** The key of its sending; null if another client sent it. */
  readonly key: string | null
  /** Why it failed. */
  readonly error: { readonly code: string; readonly text: string } | null
}

export type Timeline = readonly Entry[]

/** Has the server not accepted it (yet)? Such entries stand last. */
export function isPending(entry: Entry): boolean {
  return entry.state === 'sending' || entry.state === 'failed'
}

/** How many have been accepted: where the pending ones begin. */
export function accepted(list: Timeline): number {
  let end = list.length
  while (end > 0 && isPending(list[end - 1]!)) end--
  return end
}

function nameOf(from: UserId, msgId: Id): string {
  return `${keyOf(from)}:${keyOf(msgId)}`
}

const identity = (entry: Entry): string | null =>
  entry.msgId === null ? null : nameOf(entry.from, entry.msgId)

const RANK = { failed: 0, sending: 1, received: 1, sent: 2, delivered: 3, read: 4 }

/** The one of two states that is known later. */
function later(a: EntryState, b: EntryState): EntryState {
  return RANK[b] > RANK[a] ? b : a
}

/** A message of a history page. */
export function fromRecord(record: HistoryRecord, me: UserId): Entry {
  const mine = same(record.senderId, me)
  const status = record.messageStatus
  return {
    id: nameOf(record.senderId, record.msgId),
    mine,
    from: record.senderId,
    msgId: record.msgId,
    content: record.content,
    messageType: record.messageType ?? 'text',
    time: timeOf(record.sendTime),
    state: !mine ? 'received' : status === 3 ? 'read' : status === 2 ? 'delivered' : 'sent',
    seen: mine || status === null ? null : status === 3,
    key: null,
    error: null,
  }
}

/** A message of another user that has just come. */
export function fromReceived(message: ChatReceivedMessage, from: UserId, now: number): Entry {
  return {
    id: message.msgId === undefined ? `live:${++unnamed}` : nameOf(from, message.msgId),
    mine: false,
    from,
    msgId: message.msgId ?? null,
    content: message.content,
    messageType: message.messageType,
    time: message.timestamp ?? now,
    state: 'received',
    seen: false,
    key: null,
    error: null,
  }
}

/** A message that another device of this user has sent. */
export function fromOwn(event: OwnMessageEvent, me: UserId, now: number): Entry {
  return {
    id: event.msgId === null ? `live:${++unnamed}` : nameOf(me, event.msgId),
    mine: true,
    from: me,
    msgId: event.msgId,
    content: event.content,
    messageType: event.messageType,
    time: event.timestamp ?? now,
    state: 'sent',
    seen: null,
    key: null,
    error: null,
  }
}

/** counts messages without a msgId: the oldest servers give none */
let unnamed = 0

/** A message of this client, as it stands now. */
export function fromSent(sent: SentMessage, me: UserId): Entry {
  const { status, error } = sent
  const state =
    status === 'accepted'
      ? (sent.receipt ?? 'sent')
      : status === 'queued' || status === 'in_flight'
        ? 'sending'
        : 'failed'
  return {
    id: `own:${sent.key}`,
    mine: true,
    from: me,
    msgId: sent.msgId,
    content: sent.content,
    messageType: sent.messageType,
    time: sent.timestamp,
    state,
    seen: null,
    key: sent.key,
    error: error && { code: error.code, text: error.text },
  }
}

/** Add what has come live; a message that is known already changes nothing. */
export function add(list: Timeline, entry: Entry): Timeline {
  const name = identity(entry)
  if (name !== null && list.some((known) => identity(known) === name)) return list
  return insert(list, entry)
}

/** Take over how a message of this client stands. */
export function put(list: Timeline, entry: Entry): Timeline {
  const name = identity(entry)
  const at = list.findIndex(
    (known) => known.id === entry.id || (name !== null && known.mine && identity(known) === name),
  )
  if (at < 0) return insert(list, entry)
  const known = list[at]!
  // a page of the history may have told sooner that it is accepted
  const accepted = !isPending(known) && isPending(entry)
  const next = accepted
    ? { ...known, key: entry.key }
    : {
        ...entry,
        id: known.id,
        state: isPending(entry) ? entry.state : later(known.state, entry.state),
      }
  if (isPending(known) !== isPending(next)) return insert(without(list, at), next)
  return list.map((other, i) => (i === at ? next : other))
}

/** Take away a message, by its name on the screen. */
export function remove(list: Timeline, id: string): Timeline {
  return list.filter((entry) => entry.id !== id)
}

function without(list: Timeline, at: number): Timeline {
  return [...list.slice(0, at), ...list.slice(at + 1)]
}

/** Pending ones go last; accepted ones before those that were accepted later. */
function insert(list: Timeline, entry: Entry): Timeline {
  let at = list.length
  if (!isPending(entry)) {
    at = accepted(list)
    while (at > 0 && (list[at - 1]!.time ?? 0) > (entry.time ?? Infinity)) at--
  }
  return [...list.slice(0, at), entry, ...list.slice(at)]
}

/**
 * Merge a page of the history, whose order is the server's. What is known keeps its name on the
 * screen and whatever is known later of it.
 */
export function merge(list: Timeline, page: Timeline): Timeline {
  if (page.length === 0) return list
  const known = new Map<string, Entry>()
  for (const entry of list) {
    const name = identity(entry)
    if (name !== null) known.set(name, entry)
  }
  const block = page.map((entry) => {
    const old = known.get(identity(entry)!)
    if (old === undefined) return entry
    const state = entry.mine ? later(old.state, entry.state) : entry.state
    const seen = old.seen || entry.seen
    return { ...entry, id: old.id, key: old.key, state, seen }
  })
  const inBlock = new Set(block.map((entry) => entry.id))
  const first = list.findIndex((entry) => inBlock.has(entry.id))
  const rest = list.filter((entry) => !inBlock.has(entry.id))
  // a page that touches nothing known is older than all: newer ones come live
  const before = first < 0 ? 0 : list.slice(0, first).filter((e) => !isPending(e)).length
  return [...rest.slice(0, before), ...block, ...rest.slice(before)]
}

/** Does a page share a message with what is known? */
export function touches(list: Timeline, page: Timeline): boolean {
  const names = new Set(list.filter((entry) => !isPending(entry)).map(identity))
  return page.some((entry) => names.has(identity(entry)))
}

/** The recipient's devices have these messages, or its user has read them. */
export function receipt(
  list: Timeline,
  msgIds: readonly Id[],
  state: 'delivered' | 'read',
): Timeline {
  const ids = new Set(msgIds.map(keyOf))
  return list.map((entry) =>
    entry.mine && entry.msgId !== null && ids.has(keyOf(entry.msgId)) && entry.state !== 'failed'
      ? { ...entry, state: later(entry.state, state) }
      : entry,
  )
}

/** The user has read all up to this message of the other one; null: all. */
export function read(list: Timeline, upTo: Id | null): Timeline {
  let last = list.length - 1
  if (upTo !== null) last = list.findLastIndex((e) => !e.mine && same(e.msgId, upTo))
  return list.map((e, i) => (i <= last && e.seen === false ? { ...e, seen: true } : e))
}

/** The received messages that the user has not read, the oldest first. */
export function unread(list: Timeline): Timeline {
  return list.filter((entry) => entry.seen === false)
}

/** The last message that the other user has written. */
export function lastReceived(list: Timeline): Entry | undefined {
  return list.findLast((entry) => !entry.mine)
}

/** A time as servers write it, ms since 1970: digits of milliseconds, or a date. */
export function timeOf(text: string | null): number | null {
  if (text === null) return null
  const time = /^\d+$/.test(text) ? Number(text) : Date.parse(text.replace(' ', 'T'))
  return Number.isFinite(time) ? time : null
}
