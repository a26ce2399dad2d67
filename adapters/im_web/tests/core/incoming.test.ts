import { expect, test } from 'vitest'
import { Inbox, pairKnown } from '../../src/core/incoming'
import type { Pair, Seen } from '../../src/core/incoming'
import { JournalState } from '../../src/core/journal'
import type { MessageReceived } from '../../src/generated/types'
import { Bench } from './sending-kit'

/** An inbox with a journal, in which every push is shown at once. */
class Box {
  readonly bench: Bench
  readonly inbox: Inbox

  constructor(
    readonly disk: JournalState,
    knownPairs = 8,
  ) {
    this.bench = new Bench(disk)
    this.inbox = new Inbox(knownPairs, this.bench.journaling, disk)
  }

  /** What a message of that number is; a new one has its delivery in `last`. */
  push(seq: number, pair: Pair | null = null): Seen {
    const seen = this.inbox.lookAt(seq, [pair, 'hello'], true)
    if (seen !== 'new') return seen
    const delivery = this.inbox.newDelivery()
    const message: MessageReceived = {
      type: 'MessageReceived',
      delivery,
      content: 'hello',
      fromUser: pair?.[0] ?? null,
      sessionId: null,
      msgId: pair?.[1] ?? null,
      messageType: 'text',
      timestamp: null,
      seq,
      redelivered: false,
      attempt: 1,
    }
    this.inbox.deliver(delivery, seq, pair, message, true)
    this.inbox.show(delivery, message)
    this.inbox.offer()
    this.last = delivery
    return seen
  }
  last = 0

  write(): void {
    this.bench.take()
    this.bench.write()
  }
}

test('what was handled beyond the cursor is known to the next process by its number', () => {
  const disk = new JournalState()
  const box = new Box(disk)
  box.inbox.loggedIn('e', 0)
  for (let seq = 1; seq <= 3; seq++) box.push(seq)
  box.inbox.handle(box.last)
  box.write()
  expect([disk.cursor!.seq, [...disk.handled], disk.offered]).toEqual([0, [3], 3])

  const next = new Box(disk)
  expect(next.inbox.resume()).toEqual({ epoch: 'e', seq: 0, fromUser: null, msgId: null })
  next.inbox.loggedIn('e', 0)
  expect([next.push(1), next.push(2), next.push(3), next.push(4)]).toEqual([
    'new',
    'new',
    'repeat',
    'new',
  ])
  expect(next.inbox.seenBefore).toBe(3)
  for (const delivery of [1, 2]) next.inbox.handle(delivery)
  next.write()
  expect([disk.cursor!.seq, disk.handled.size]).toEqual([3, 0])
})

test('after a reset in the same mailbox nothing that is known of numbers counts', () => {
  const disk = new JournalState()
  const box = new Box(disk)
  box.inbox.loggedIn('e', 0)
  for (let seq = 1; seq <= 3; seq++) box.push(seq)
  box.inbox.handle(3)
  box.write()
  box.inbox.reset('e', 1)
  box.write()
  expect([disk.cursor!.seq, disk.handled.size, disk.offered]).toEqual([0, 0, 3])
  // what is still being handled moves no cursor under its old number
  box.inbox.handle(1)
  expect([box.inbox.handled, box.inbox.waiting]).toEqual([0, 1])
  expect(box.inbox.fail(2, 3)).toMatchObject({ seq: null, attempt: 2, redelivered: true })
})

test('a message that was handled under another number is passed over', () => {
  const disk = new JournalState()
  const box = new Box(disk)
  box.inbox.loggedIn('e', 0)
  box.push(1, [7, 100])
  box.inbox.handle(box.last)
  box.inbox.reset('f', 1)
  expect([box.push(1, [7, 100]), box.push(2, [7, 101])]).toEqual(['repeat', 'new'])
  box.write()
  expect(disk.cursor).toMatchObject({ epoch: 'f', seq: 1, fromUser: 7, msgId: 100 })
  expect(new Box(disk).inbox.lookAt(1, [[7, 100], 'hello'], false)).toBe('repeat')
  expect(new Box(disk).inbox.lookAt(1, [[7, 100], 'hellp'], false)).toBe('new')
  expect(new Box(disk, 0).inbox.lookAt(1, [[7, 100], 'hello'], false)).toBe('new')
})

test('nothing is acknowledged that is not on disk, or did not come over this link', () => {
  const box = new Box(new JournalState())
  box.inbox.loggedIn('e', 0)
  for (let seq = 1; seq <= 2; seq++) box.push(seq)
  for (const delivery of [1, 2]) box.inbox.handle(delivery)
  expect([box.inbox.handled, box.inbox.toAcknowledge()]).toEqual([2, 0])
  box.write()
  expect(box.inbox.toAcknowledge()).toBe(2)
  box.inbox.loggedIn('e', 1)
  expect(box.inbox.toAcknowledge()).toBe(1)
  expect(box.push(2)).toBe('repeat')
  expect(box.inbox.toAcknowledge()).toBe(2)
})

test('a message of which nobody knows who wrote it, or which it is, has no pair', () => {
  const said = { fromUser: 7, msgId: 1, content: 'x' }
  expect(pairKnown(said)!.digest).toBe(pairKnown({ ...said, msgId: 2 })!.digest)
  expect(pairKnown(said)!.digest).not.toBe(pairKnown({ ...said, content: 'y' })!.digest)
  expect([pairKnown({ ...said, fromUser: null }), pairKnown({ ...said, msgId: null })]).toEqual([
    null,
    null,
  ])
})
