import { beforeEach, describe, expect, test } from 'vitest'
import { Admission } from '../../src/core/admission'
import { IMError, LocalProtocolError } from '../../src/core/errors'
import { Keys } from '../../src/core/keys'
import { Outbox } from '../../src/core/outgoing'
import type { Send } from '../../src/generated/types'
import type { GivenConfig } from '../../src/core/config'
import { Bench, Chance, config } from './sending-kit'

let outbox: Outbox
let bench: Bench
let keys: Keys

function door(more: Partial<GivenConfig> = {}): Admission {
  return new Admission(config(more), bench.fx, outbox, keys)
}

function send(ref: number, more: Partial<Send> = {}): Send {
  return { type: 'Send', ref, toUser: 7, content: 'hello', ...more }
}

/** Let a message in that nothing speaks against. */
function letIn(admission: Admission, ref: number, more: Partial<Send> = {}): void {
  const message = admission.lookAt(send(ref, more))!
  message.msgId = ref
  outbox.add(message)
}

beforeEach(() => {
  outbox = new Outbox()
  bench = new Bench()
  keys = new Keys(60)
})

describe('what no server takes is refused in words', () => {
  test.each<[Partial<Send>, string]>([
    [{ priority: 'urgent' as 'high' }, 'priority is one of high, normal, low'],
    [{ key: '' }, 'key has 1 to 256 printable characters'],
    [{ key: 'a\u0000b' }, 'key has 1 to 256 printable characters'],
    [{ key: 'k'.repeat(257) }, 'key has 1 to 256 printable characters'],
    [{ ttl: 0 }, 'ttl is a number of seconds, above 0 and up to 1e+09'],
    [{ ttl: NaN }, 'ttl is a number of seconds, above 0 and up to 1e+09'],
    [{ ttl: 1e9 + 1 }, 'ttl is a number of seconds, above 0 and up to 1e+09'],
    [{ content: '  ' }, 'content is empty'],
    [{ content: 'x'.repeat(1001) }, 'content has 1001 UTF-16 units, the limit is 1000'],
  ])('$1', (more, text) => {
    const refused = () => door().lookAt(send(1, more))
    expect(refused).toThrow(IMError)
    expect(refused).toThrow(`MESSAGE_FORMAT_ERROR: ${text}`)
  })

  test('and the longest that a server takes is taken', () => {
    const key = '𝒌'.repeat(256)
    expect(door().lookAt(send(1, { key, ttl: 1e9, content: 'x'.repeat(1000) }))!.key).toBe(key)
  })
})

test('what is left out has its default, and a user id in digits is the number', () => {
  const message = door({ timeToLive: 0.0015 }).lookAt(send(1, { toUser: '7' }))!
  const { toUser, messageType, priority, key, sessionId, expiresAt } = message
  expect([toUser, messageType, priority, key, sessionId]).toEqual([7, 'text', 'normal', null, null])
  expect(expiresAt).toBe(bench.fx.wallMs + 2)
})

describe('a key', () => {
  test('given again for the same message is nothing new', () => {
    const admission = door()
    letIn(admission, 1, { key: 'a' })
    keys.take('a', 1)
    expect(admission.lookAt(send(2, { key: 'a' }))).toBeNull()
    expect(() => admission.lookAt(send(3, { key: 'a', content: 'other' }))).toThrow(
      'Send: the key of message 1 is used for another recipient or content',
    )
  })

  test('of a message with an end is known until it is too old', () => {
    const admission = door()
    const message = admission.lookAt(send(1, { key: 'a' }))!
    keys.keep({ ...message.record(), end: 'accepted', endedAt: bench.fx.wallMs })
    expect(admission.lookAt(send(2, { key: 'a' }))).toBeNull()
    expect(() => admission.lookAt(send(1))).toThrow(LocalProtocolError)
    bench.fx.now += 61
    expect(admission.lookAt(send(2, { key: 'a' }))).not.toBeNull()
  })
})

describe('a full outbox', () => {
  const refs = (dropped: { ref: number }[] | null) => dropped?.map(({ ref }) => ref) ?? null

  test('rejects, and says how full it is', () => {
    const admission = door({ maxQueue: 2 })
    letIn(admission, 1)
    expect(admission.makeRoom(admission.lookAt(send(2))!)).toEqual([])
    letIn(admission, 2)
    expect(admission.makeRoom(admission.lookAt(send(3))!)).toBeNull()
    const text = '2 messages wait already (max_queue), 10 bytes (max_queue_bytes); '
    expect(admission.full().text).toBe(`${text}wait for some to end`)
  })

  test('drops the oldest of all priorities, as many as the bytes want', () => {
    const admission = door({ maxQueueBytes: 1024, whenQueueFull: 'drop_oldest' })
    const priority = ['low', 'high', 'normal'] as const
    for (let ref = 1; ref <= 10; ref++) {
      letIn(admission, ref, { content: 'x'.repeat(100), priority: priority[ref % 3]! })
    }
    expect(refs(admission.makeRoom(admission.lookAt(send(11))!))).toEqual([])
    const large = admission.lookAt(send(11, { content: 'x'.repeat(250) }))!
    expect(refs(admission.makeRoom(large))).toEqual([1, 2, 3])
    outbox.take(9) // the first is about to go, so it stays
    expect(refs(admission.makeRoom(large))).toEqual([2, 3, 4])
  })

  test('drops the lowest priority first, and nothing that hurries more', () => {
    const admission = door({ maxQueue: 4, whenQueueFull: 'drop_lowest_priority' })
    const priorities = ['normal', 'high', 'low', 'normal'] as const
    priorities.forEach((priority, n) => letIn(admission, n + 1, { priority, toUser: n + 1 }))
    const dropped = (priority: Send['priority']) =>
      refs(admission.makeRoom(admission.lookAt(send(9, { priority }))!))
    expect([dropped('high'), dropped('normal'), dropped('low')]).toEqual([[3], [3], [3]])
    outbox.finish(outbox.get(3)!, 'cancel')
    letIn(admission, 5, { priority: 'high' })
    expect([dropped('high'), dropped('normal'), dropped('low')]).toEqual([[1], [1], null])
  })

  test('never takes what has more bytes than may wait', () => {
    const admission = door({
      maxQueueBytes: 1024,
      contentUnits: 2000,
      whenQueueFull: 'drop_oldest',
    })
    const refused = () =>
      admission.makeRoom(admission.lookAt(send(1, { content: 'ä'.repeat(513) }))!)
    expect(refused).toThrow('more bytes than may wait (1024, max_queue_bytes)')
  })

  test('lets those in line in, in their order, and nobody before them', () => {
    const admission = door({ maxQueue: 1 })
    letIn(admission, 1)
    for (const ref of [2, 3]) admission.wait(admission.lookAt(send(ref))!)
    expect(admission.nextInLine()).toBeNull()
    expect(() => admission.lookAt(send(3))).toThrow('Send: ref 3 is in use')
    outbox.finish(outbox.get(1)!, 'cancel')
    expect(admission.makeRoom(admission.lookAt(send(4))!)).toBeNull()
    expect(admission.nextInLine()!.ref).toBe(2)
    expect([...admission.line.keys()]).toEqual([3])
  })
})

test('that it fills and drains is told once each, with hysteresis', () => {
  const admission = door({ maxQueue: 10 })
  const told: string[] = []
  const chance = new Chance(3)
  let ref = 0
  let filling = false
  for (let n = 0; n < 500; n++) {
    const oldest = [...outbox.untouched(['normal'])][0]
    if (outbox.size < 10 && (chance.odds(0.5) || !oldest)) letIn(admission, ++ref)
    else if (oldest) outbox.finish(oldest, 'cancel')
    admission.tell()
    const events = bench.take()
    const should: boolean = filling ? outbox.size >= 5 : outbox.size >= 8
    const type = should ? 'OutboxFilling' : 'OutboxDrained'
    const wanted = { type, messages: outbox.size, bytes: 5 * outbox.size }
    expect(events).toEqual(should === filling ? [] : [wanted])
    filling = should
    told.push(...events.map((event) => event.type))
  }
  expect(told.length).toBeGreaterThan(8)
})
