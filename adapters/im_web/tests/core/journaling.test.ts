import { expect, test } from 'vitest'
import { Effects } from '../../src/core/effects'
import type { Change, WriteJournal } from '../../src/generated/types'
import { Journaling } from '../../src/core/journaling'
import type { Dialect } from '../../src/core/wire/dialect'

const seq = (n: number): Change => ({ type: 'Handled', seq: n })
const pair = (n: number): Change => ({ type: 'PairKnown', fromUser: 7, msgId: n, digest: `${n}` })

function journaling(on = true, knownPairs = 3) {
  const fx = new Effects({} as Dialect, 10, 0)
  const way = new Journaling(fx, on, knownPairs)
  /** What a step asks to be written. */
  const asked = (): WriteJournal | null => {
    way.pump()
    return (fx.take()[0] as WriteJournal | undefined) ?? null
  }
  return { fx, way, asked }
}

test('one list is written at a time, and a ticket is on disk with its list', () => {
  const { way, asked } = journaling()
  expect(asked()).toBeNull()
  const [first, second] = [way.note(seq(1)), way.note(seq(2), seq(3))]
  const one = asked()!
  expect(one.changes).toEqual([seq(1), seq(2), seq(3)])
  const third = way.note(seq(4))
  expect(asked()).toBeNull()
  expect([way.written, way.busy]).toEqual([0, true])
  way.done(one.request)
  expect([first, second, third, way.written]).toEqual([1, 2, 3, 2])
  const two = asked()!
  expect(two.changes).toEqual([seq(4)])
  way.done(two.request)
  expect([way.written, way.busy]).toEqual([3, false])
})

test('an answer to an earlier write changes nothing', () => {
  const { way, asked } = journaling()
  way.note(seq(1))
  const { request } = asked()!
  way.done(request - 1)
  expect(way.failed(request + 1)).toBeNull()
  expect(way.written).toBe(0)
  way.done(request)
  expect(way.failed(request)).toBeNull()
  expect(way.written).toBe(1)
})

test('what could not be written goes first at the next try, a second later', () => {
  const { fx, way, asked } = journaling()
  way.note(seq(1))
  const { request } = asked()!
  way.note(seq(2))
  expect(() => way.again([])).toThrow('a write is under way')
  const [changes, ticket] = way.failed(request)!
  expect([changes, ticket, way.retryAt]).toEqual([[seq(1)], 1, 11])
  way.again(changes)
  expect(asked()).toBeNull()
  fx.now = 11
  const again = asked()!
  expect(again.changes).toEqual([seq(1), seq(2)])
  way.done(again.request)
  expect([way.written, way.retryAt]).toEqual([2, null])
})

test('while the disk is full no more pairs wait than it would keep, the newest of them', () => {
  const { way, asked } = journaling()
  way.note(pair(1), seq(1), pair(2))
  const { request } = asked()!
  way.note(pair(3), pair(4), seq(2), pair(5))
  way.again(way.failed(request)![0])
  way.retryAt = null
  expect(asked()!.changes).toEqual([seq(1), pair(3), pair(4), seq(2), pair(5)])
})

test('without a journal nothing is collected, and everything counts as written', () => {
  const { way, asked } = journaling(false)
  expect(way.note(seq(1))).toBe(0)
  expect(asked()).toBeNull()
  expect([way.written, way.busy]).toEqual([0, false])
})
