import { describe, expect, test } from 'vitest'
import { random } from '../../src/lab/chaos'
import { judge, Ledger, together } from '../../src/lab/tally'

/** A ledger to which these texts were sent and accepted, as numbers 1, 2, … */
function accepted(...texts: string[]): Ledger {
  const ledger = new Ledger()
  for (const text of texts) ledger.accepted(ledger.sent(text), String(texts.indexOf(text) + 1))
  return ledger
}

describe('what counts', () => {
  test('a message is open until it has its end', () => {
    const ledger = new Ledger()
    const place = ledger.sent('one')
    ledger.sent('two')
    expect(ledger.tally()).toMatchObject({ sent: 2, accepted: 0, open: 2, underway: 0 })
    ledger.accepted(place, '1')
    ledger.failed()
    expect(ledger.tally()).toMatchObject({ accepted: 1, failed: 1, open: 0, underway: 1 })
  })

  test('a message that arrives before its sender is told that it was accepted is not under way', () => {
    const ledger = new Ledger()
    const place = ledger.sent('quick')
    ledger.received('quick')
    expect(ledger.tally()).toMatchObject({ received: 1, open: 1, underway: 0 })
    ledger.accepted(place, '1')
    expect(ledger.tally()).toMatchObject({ accepted: 1, open: 0, underway: 0 })
  })

  test('a text that arrives twice is duplicated, and received once', () => {
    const ledger = accepted('one', 'two')
    for (const text of ['one', 'two', 'one']) ledger.received(text)
    expect(ledger.tally()).toMatchObject({ received: 2, duplicated: 1, outOfOrder: 0 })
  })

  test('a text that was sent twice may arrive twice, and not three times', () => {
    const ledger = accepted('hello', 'hello')
    ledger.received('hello')
    ledger.received('hello')
    expect(ledger.tally()).toMatchObject({ received: 2, duplicated: 0 })
    ledger.received('hello')
    expect(ledger.tally()).toMatchObject({ received: 2, duplicated: 1 })
  })

  test('a message behind one that was sent after it is out of order', () => {
    const ledger = accepted('one', 'two', 'three')
    for (const text of ['one', 'three', 'two']) ledger.received(text)
    expect(ledger.tally()).toMatchObject({ received: 3, duplicated: 0, outOfOrder: 1 })
  })

  test('a gap is no disorder', () => {
    const ledger = accepted('one', 'two', 'three')
    for (const text of ['one', 'three']) ledger.received(text)
    expect(ledger.tally()).toMatchObject({ received: 2, outOfOrder: 0, underway: 1 })
  })

  test('what was never sent here is left over from before', () => {
    const ledger = accepted('one')
    expect(ledger.received('old')).toBe(false)
    expect(ledger.received('one')).toBe(true)
    expect(ledger.tally()).toMatchObject({ received: 1, duplicated: 0 })
  })

  test('two directions are summed', () => {
    const [a, b] = [accepted('one', 'two'), accepted('three')]
    b.received('three')
    expect(together(a.tally(), b.tally())).toMatchObject({ sent: 3, received: 1, underway: 2 })
  })
})

describe('the verdict', () => {
  const none = new Ledger()
  const ids = (...some: number[]): Set<string> => new Set(some.map(String))

  test('nobody knows while a message has no answer', () => {
    const ledger = new Ledger()
    ledger.sent('one')
    expect(judge([ledger, none], [ids(), ids()], true)).toEqual({
      lost: null,
      stored: null,
      text: '1 message without an answer yet',
    })
  })

  test('nobody knows while something may still arrive', () => {
    expect(judge([accepted('one', 'two'), none], [ids(1, 2), ids()], false)).toMatchObject({
      lost: null,
      text: '2 messages on the way',
    })
  })

  test('nobody knows before the database was read', () => {
    const ledger = accepted('one')
    ledger.received('one')
    expect(judge([ledger, none], null, true).lost).toBeNull()
  })

  test('nobody knows before all is quiet', () => {
    const ledger = accepted('one')
    ledger.received('one')
    expect(judge([ledger, none], [ids(1), ids()], false).lost).toBeNull()
  })

  test('when all has arrived and the database agrees, nothing is lost', () => {
    const ledger = accepted('one', 'two')
    ledger.received('one')
    ledger.received('two')
    expect(judge([ledger, none], [ids(1, 2), ids()], true)).toEqual({
      lost: 0,
      stored: 2,
      text: 'all is at rest, and the server’s database agrees: it has 2',
    })
  })

  test('what was accepted and does not arrive is lost', () => {
    const ledger = accepted('one', 'two')
    ledger.received('one')
    expect(judge([ledger, none], [ids(1, 2), ids()], true).lost).toBe(1)
  })

  test('what arrived and is not in the database is lost as well', () => {
    const ledger = accepted('one', 'two')
    ledger.received('one')
    ledger.received('two')
    expect(judge([ledger, none], [ids(2), ids()], true)).toMatchObject({ lost: 1, stored: 1 })
  })

  test('what is neither in the database nor arrived is lost once', () => {
    expect(judge([accepted('one'), none], [ids(), ids()], true).lost).toBe(1)
  })

  test('what failed is not lost', () => {
    const ledger = new Ledger()
    ledger.sent('one')
    ledger.failed()
    expect(judge([ledger, none], [ids(), ids()], true).lost).toBe(0)
  })

  test('the database has more than anybody was told of', () => {
    const ledger = accepted('one')
    ledger.received('one')
    expect(judge([ledger, none], [ids(1, 5), ids()], true).text).toBe(
      'all is at rest, and the server’s database has 2, 1 of which nobody was told',
    )
  })
})

/** What an honest bookkeeper with the whole list of events would say. */
function recount(sent: string[], heard: string[]) {
  const known = new Set(sent)
  const times = (text: string): number => heard.filter((one) => one === text).length
  const first = heard.filter((text, i) => known.has(text) && heard.indexOf(text) === i)
  const places = first.map((text) => sent.indexOf(text))
  return {
    received: first.length,
    duplicated: sent.reduce((sum, text) => sum + Math.max(0, times(text) - 1), 0),
    outOfOrder: places.filter((place, i) => places.slice(0, i).some((other) => other > place))
      .length,
  }
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])('a random walk is counted as by hand (%i)', (seed) => {
  const draw = random(seed)
  const ledger = new Ledger()
  const sent: string[] = []
  const heard: string[] = []
  const waiting: { text: string; place: number }[] = []
  const taken: string[] = []
  let [accepts, fails] = [0, 0]
  for (let i = 0; i < 300; i++) {
    const what = draw()
    if (what < 0.4) {
      const text = `text ${i}`
      waiting.push({ text, place: ledger.sent(text) })
      sent.push(text)
    } else if (what < 0.7) {
      const next = waiting.shift()
      if (next === undefined) continue
      if (draw() < 0.1) {
        ledger.failed()
        fails++
      } else {
        ledger.accepted(next.place, String(next.place))
        accepts++
        taken.push(next.text)
      }
    } else if (sent.length > 0) {
      // mostly the next one, at times an old one again, or one that is not to come yet
      const fresh = taken.find((text) => !heard.includes(text))
      const text =
        draw() < 0.8 && fresh !== undefined ? fresh : sent[Math.floor(draw() * sent.length)]!
      heard.push(text)
      ledger.received(text)
    }
    const arrived = taken.filter((text) => heard.includes(text)).length
    expect(ledger.tally()).toEqual({
      sent: sent.length,
      accepted: accepts,
      failed: fails,
      open: waiting.length,
      underway: accepts - arrived,
      ...recount(sent, heard),
    })
  }
  expect(ledger.tally().duplicated).toBeGreaterThan(0)
  expect(ledger.tally().outOfOrder).toBeGreaterThan(0)
})
