import { describe, expect, it } from 'vitest'
import {
  add,
  fromReceived,
  fromRecord,
  fromSent,
  merge,
  put,
  read,
  receipt,
  remove,
  timeOf,
  unread,
  type Timeline,
} from '../../src/components/chat/timeline'
import type { ChatReceivedMessage, HistoryRecord, SentMessage } from '../../src/types'

const ME = 1
const OTHER = 2

function record(msgId: number, senderId: number, status = 1, sendTime = `${msgId * 1000}`) {
  const made: HistoryRecord = {
    msgId,
    senderId,
    receiverId: senderId === ME ? OTHER : ME,
    messageType: 'text',
    content: `m${msgId}`,
    messageStatus: status,
    sendTime,
  }
  return fromRecord(made, ME)
}

function live(msgId: number, timestamp = msgId * 1000) {
  const message = { content: `m${msgId}`, msgId, timestamp, messageType: 'text' }
  return fromReceived(message as ChatReceivedMessage, OTHER, 0)
}

function own(key: string, more: Partial<SentMessage> = {}) {
  const sent = {
    key,
    msgId: null,
    toUserId: OTHER,
    content: key,
    messageType: 'text',
    sessionId: null,
    status: 'queued',
    receipt: null,
    timestamp: 0,
    error: null,
    ...more,
  }
  return fromSent(sent as SentMessage, ME)
}

const texts = (list: Timeline) => list.map((entry) => entry.content)
const states = (list: Timeline) => list.map((entry) => entry.state)

describe('a timeline', () => {
  it('shows once what comes by a history page and live', () => {
    const page = [record(1, OTHER), record(2, ME), record(3, OTHER)]
    const list = merge(add(add([], live(3)), live(4)), page)
    expect(texts(list)).toEqual(['m1', 'm2', 'm3', 'm4'])
    expect(texts(add(list, live(4)))).toEqual(['m1', 'm2', 'm3', 'm4'])
  })

  it('tells apart messages of two senders with the same msgId', () => {
    const list = merge([live(7)], [record(7, ME), record(7, OTHER)])
    expect(list.map((entry) => entry.mine)).toEqual([true, false])
    expect(new Set(list.map((entry) => entry.id)).size).toBe(2)
  })

  it('keeps the order of a page, whatever the clocks and msgIds say', () => {
    const page = [record(9, OTHER, 1, '9000'), record(3, ME, 1, '100'), record(5, OTHER, 1, '50')]
    expect(texts(merge([live(5, 50)], page))).toEqual(['m9', 'm3', 'm5'])
  })

  it('puts an older page before, and what came meanwhile after', () => {
    const list = merge([], [record(5, OTHER), record(6, ME)])
    const more = merge(add(list, live(7)), [record(3, OTHER), record(4, OTHER)])
    expect(texts(more)).toEqual(['m3', 'm4', 'm5', 'm6', 'm7'])
  })

  it('has the own pending ones last, and the accepted one where the server put it', () => {
    let list = put(merge([], [record(1, OTHER)]), own('a'))
    list = put(list, own('b'))
    list = add(list, live(2, 2000))
    expect(texts(list)).toEqual(['m1', 'm2', 'a', 'b'])
    const id = list[2]!.id
    list = put(list, own('a', { status: 'accepted', msgId: 50, timestamp: 1500 }))
    expect(texts(list)).toEqual(['m1', 'a', 'm2', 'b'])
    expect(list[1]).toMatchObject({ id, state: 'sent', msgId: 50 })
  })

  it('knows an own message again that a page tells before its answer came', () => {
    let list = put([], own('a', { status: 'in_flight', msgId: 50 }))
    list = merge(list, [record(50, ME, 2)])
    expect(list).toHaveLength(1)
    expect(states(list)).toEqual(['delivered'])
    list = put(list, own('a', { status: 'in_flight', msgId: 50 }))
    expect(states(list)).toEqual(['delivered'])
    list = put(list, own('a', { status: 'accepted', msgId: 50, timestamp: 50_000 }))
    expect(states(list)).toEqual(['delivered'])
    expect(list).toHaveLength(1)
  })

  it('never takes a mark back', () => {
    let list: Timeline = [record(50, ME, 1)]
    list = receipt(list, [50], 'read')
    list = receipt(list, [50], 'delivered')
    expect(states(list)).toEqual(['read'])
    expect(states(merge(list, [record(50, ME, 1)]))).toEqual(['read'])
  })

  it('gives receipts only to own messages', () => {
    const list = receipt([record(7, ME), live(7)], [7], 'read')
    expect(states(list)).toEqual(['read', 'received'])
  })

  it('knows what is unread, also after the page that says so has come again', () => {
    let list = merge([], [record(1, OTHER, 3), record(2, OTHER, 2), record(3, OTHER, 2)])
    expect(texts(unread(list))).toEqual(['m2', 'm3'])
    list = read(list, 2)
    expect(texts(unread(list))).toEqual(['m3'])
    list = merge(list, [record(2, OTHER, 2), record(3, OTHER, 2)])
    expect(texts(unread(list))).toEqual(['m3'])
    expect(unread(read(list, null))).toEqual([])
  })

  it('shows a failure, and forgets it', () => {
    const error = { code: 'IN_DOUBT', text: 'nobody knows' } as SentMessage['error']
    const list = put(put([], own('a')), own('a', { status: 'in_doubt', error }))
    expect(list).toMatchObject([{ state: 'failed', error: { code: 'IN_DOUBT' } }])
    expect(remove(list, list[0]!.id)).toEqual([])
  })

  it('reads the times that servers write', () => {
    expect(timeOf('1700000000000')).toBe(1_700_000_000_000)
    expect(timeOf('2024-01-15 10:00:00')).toBe(new Date(2024, 0, 15, 10).getTime())
    expect(timeOf('soon')).toBeNull()
    expect(timeOf(null)).toBeNull()
  })
})
