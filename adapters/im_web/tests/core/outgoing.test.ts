import { describe, expect, test } from 'vitest'
import { Outgoing } from '../../src/core/message'
import { Outbox } from '../../src/core/outgoing'
import type { Priority } from '../../src/core/turns'
import { Chance, WALKS } from './sending-kit'

const PRIORITIES: Priority[] = ['high', 'normal', 'low']

function message(ref: number, toUser: number | string, priority: Priority = 'normal'): Outgoing {
  const given = new Outgoing({
    ref,
    toUser,
    content: 'ä'.repeat(1 + (ref % 5)),
    messageType: 'text',
    sessionId: null,
    priority,
    key: null,
    expiresAt: null,
  })
  given.msgId = 1000 + ref
  return given
}

describe('the turns', () => {
  /** The priorities of the first `count` that may go. */
  function taken(outbox: Outbox, count: number): Priority[] {
    return Array.from({ length: count }, () => {
      const next = outbox.take(Infinity)!
      outbox.handOver(next, 0)
      return next.priority
    })
  }

  test('of thirteen turns eight are high, four are normal and one is low', () => {
    const outbox = new Outbox()
    let ref = 0
    for (let n = 0; n < 300; n++) {
      for (const priority of PRIORITIES) outbox.add(message(++ref, `${priority} ${n}`, priority))
    }
    for (let round = 0; round < 10; round++) {
      const order = taken(outbox, 13).map((name) => name[0])
      expect(order.join('')).toBe('hhhhhhhhnnnnl')
    }
  })

  test('a flood of high messages does not stop a low one', () => {
    const outbox = new Outbox()
    for (let ref = 1; ref <= 100; ref++) outbox.add(message(ref, `h${ref}`, 'high'))
    outbox.add(message(101, 'slow', 'low'))
    expect(taken(outbox, 20).indexOf('low')).toBe(8)
  })

  test('what stands before an urgent message of its conversation hurries too', () => {
    const outbox = new Outbox()
    outbox.add(message(1, 'other'))
    outbox.add(message(2, 'both', 'low'))
    outbox.add(message(3, 'both', 'high'))
    outbox.perConversation = null
    outbox.relist()
    expect([outbox.take(9)!.ref, outbox.take(9)!.ref, outbox.take(9)!.ref]).toEqual([2, 3, 1])
  })

  test('conversations that were held go on in the order in which they began', () => {
    const outbox = new Outbox()
    const users = Array.from({ length: 40 }, (_, n) => `user ${n}`)
    outbox.hold(new Set(users.toReversed()))
    users.forEach((user, n) => outbox.add(message(n + 1, user)))
    expect(outbox.take(40)).toBeNull()
    outbox.hold(new Set())
    expect(users.map(() => outbox.take(40)!.ref)).toEqual(users.map((_, n) => n + 1))
  })
})

test('what no transport ever had is told by priority, the oldest first', () => {
  const outbox = new Outbox()
  for (let ref = 1; ref <= 9; ref++) outbox.add(message(ref, ref, PRIORITIES[ref % 3]))
  outbox.take(1)
  const refs = (...names: Priority[]) => [...outbox.untouched(names)].map((m) => m.ref)
  expect(refs('high')).toEqual([6, 9])
  expect(refs('low', 'normal')).toEqual([2, 5, 8, 1, 4, 7])
  outbox.finish(outbox.get(5)!, 'cancel')
  expect(refs('low')).toEqual([2, 8])
})

/** Anything that can happen to an outbox, and what must be true of it all the time. */
class Walk {
  readonly chance: Chance
  readonly outbox = new Outbox()
  /** all without an end, as they were given */
  readonly given: Outgoing[] = []
  readonly ready: Outgoing[] = []
  held = new Set<string>()
  readonly resting = new Map<string, number>()
  now = 0
  refs = 0
  msgIds = 5000

  constructor(readonly seed: number) {
    this.chance = new Chance(seed)
  }

  step(): void {
    const { chance, outbox } = this
    const flying = outbox.allUnanswered()
    const what = chance.pick(['add', 'add', 'take', 'take', 'take', 'go', 'go', 'answer', 'rare'])
    if (what === 'add') {
      const one = message(++this.refs, `u${chance.int(1, 6)}`, chance.pick(PRIORITIES))
      this.given.push(one)
      outbox.add(one)
    } else if (what === 'take') {
      this.take()
    } else if (what === 'go') {
      const one = this.ready.shift()
      if (one) outbox.handOver(one, this.now)
    } else if (flying.length && what === 'answer') {
      this.answer(chance.pick(flying))
    } else if (what === 'rare') {
      this.rare()
    }
    this.check()
  }

  take(): void {
    const one = this.outbox.take(6)
    if (one === null) return
    const others = this.given.filter((m) => m.toUser === one.toUser && !this.away(m))
    expect(one, 'nobody overtakes another of his conversation').toBe(others[0])
    expect(this.held.has(one.toUser as string), 'a held one goes').toBe(false)
    expect(this.resting.has(one.toUser as string), 'a resting one goes').toBe(false)
    this.ready.push(one)
  }

  /** Is it in flight, or about to be? */
  away(one: Outgoing): boolean {
    return one.state === 'in_flight' || this.ready.includes(one)
  }

  answer(one: Outgoing): void {
    const { chance, outbox } = this
    const what = chance.int(1, 10)
    if (what < 7) {
      this.end(one, chance.pick(['acked', 'refused', 'certainty_lost']))
    } else if (what < 9) {
      const rest = chance.odds(0.5) ? this.now + chance.int(1, 5) : null
      outbox.retry(one, rest)
      if (rest !== null) this.resting.set(one.toUser as string, rest)
    } else {
      outbox.renumber(one, ++this.msgIds)
    }
  }

  end(one: Outgoing, event: string): void {
    this.outbox.finish(one, event)
    expect(one.ended).toBe(true)
    this.given.splice(this.given.indexOf(one), 1)
    if (this.ready.includes(one)) this.ready.splice(this.ready.indexOf(one), 1)
    if (!this.given.some((m) => m.toUser === one.toUser)) this.resting.delete(`${one.toUser}`)
  }

  rare(): void {
    const { chance, outbox } = this
    const what = chance.int(1, 5)
    if (what === 1) {
      outbox.linkLost()
      this.ready.length = 0
      outbox.perConversation = chance.odds(0.5) ? 1 : null
      outbox.relist()
    } else if (what === 2) {
      this.held = new Set([`u${chance.int(1, 6)}`].filter(() => chance.odds(0.5)))
      outbox.hold(this.held)
    } else if (what === 3) {
      this.now += chance.int(1, 4)
      outbox.wake(this.now)
      for (const [user, at] of this.resting) if (at <= this.now) this.resting.delete(user)
    } else if (what === 4 && this.given.length) {
      const one = chance.pick(this.given)
      if (one.state === 'queued') this.end(one, chance.pick(['cancel', 'expire', 'refused']))
      else if (one.state === 'unconfirmed') this.end(one, chance.pick(['found', 'certainty_lost']))
    }
  }

  check(): void {
    const { outbox, given } = this
    const flying = given.filter((m) => m.state === 'in_flight')
    expect(outbox.size).toBe(given.length)
    expect(outbox.bytes).toBe(given.reduce((sum, m) => sum + 2 * m.content.length, 0))
    expect(outbox.inFlight).toBe(flying.length)
    expect(outbox.allUnanswered().every((m) => outbox.unanswered(m.msgId) === m)).toBe(true)
    expect(outbox.oldest).toBe(outbox.allUnanswered()[0])
    expect(outbox.toHandOver()).toEqual(this.ready)
    expect(outbox.nextWake()).toBe(this.resting.size ? Math.min(...this.resting.values()) : null)
    if (this.chance.odds(0.1)) {
      for (const name of PRIORITIES) {
        const untouched = given.filter((m) => m.priority === name && !m.sends && !this.away(m))
        const told = [...outbox.untouched([name])]
        // one that was taken, and came back before it was handed over, is not untouched any more
        expect(untouched.filter((m) => told.includes(m))).toEqual(told)
      }
    }
  }

  /** All goes well from here on: everybody has an end, in order. */
  finish(): void {
    const { outbox } = this
    outbox.linkLost()
    this.ready.length = 0
    outbox.perConversation = 1
    outbox.hold(new Set())
    this.held.clear()
    outbox.wake(Infinity)
    this.resting.clear()
    outbox.relist()
    while (this.given.length) {
      this.take()
      const one = this.ready.shift()
      expect(one, `${this.given.length} never get their turn`).toBeDefined()
      outbox.handOver(one!, this.now)
      expect(outbox.inFlight).toBe(1)
      this.end(one!, 'acked')
    }
    expect(outbox.size + outbox.bytes + outbox.inFlight).toBe(0)
    expect(outbox.take(9)).toBeNull()
  }
}

test(
  'whatever happens, a conversation keeps its order and everybody gets his turn',
  () => {
    for (let seed = 0; seed < 40; seed++) {
      const walk = new Walk(seed)
      try {
        for (let n = 0; n < 250; n++) walk.step()
        walk.finish()
      } catch (error) {
        ;(error as Error).message = `seed ${seed}: ${(error as Error).message}`
        throw error
      }
    }
  },
  WALKS,
)
