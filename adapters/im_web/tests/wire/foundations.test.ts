import { expect, test } from 'vitest'
import { TIMERS } from '../../src/generated/tables'
import { Backoff, baseDelay } from '../../src/core/backoff'
import { coreConfig } from '../../src/core/config'
import { IMError } from '../../src/core/errors'
import { Expiry } from '../../src/core/expiry'
import { hash128 } from '../../src/core/hash'
import { JournalState } from '../../src/core/journal'
import { CONNECTION, SESSION } from '../../src/core/machines'
import { SessionCache } from '../../src/core/session-cache'
import { MEANINGS, Timers } from '../../src/core/timers'
import { Turns } from '../../src/core/turns'
import { validate } from '../../src/core/validation'
import { Invocation } from '../../src/core/wire/invocation'
import { readSession, type SessionVO } from '../../src/core/wire/session'
import { compareIds, isId, userId } from '../../src/core/wire/types'

const GIVEN = { wsUrl: 'ws://h', token: 't', userId: 1 }

test('a configuration says by name which field is wrong, and never shows the token', () => {
  const config = coreConfig(GIVEN)
  expect(config.reconnect.maxDelay).toBe(30)
  expect(coreConfig({ ...GIVEN, userId: '7' }).userId).toBe(7)
  const wrong: [object, RegExp][] = [
    [{ maxretries: 5 }, /^maxretries is no such setting/],
    [{ reconnect: { initialDelay: 0 } }, /^reconnect\.initialDelay is a number above 0/],
    [{ reconnect: { maxDelay: 0.5 } }, /^reconnect\.maxDelay is smaller/],
    [{ reconnect: { typo: 1 } }, /^reconnect\.typo is no such setting/],
    [{ inFlight: 1.5 }, /^inFlight is a whole number/],
    [{ whenFull: 'x' }, /^whenFull is one of block, drop_oldest/],
    [{ wsUrl: 'http://h' }, /^wsUrl: ws_url starts with/],
    [{ token: '' }, /^token has 1 to 8192/],
    [{ http: { prefix: 'im' } }, /^http\.prefix is a path/],
    [{ deviceId: 'a b' }, /^deviceId has 1 to 64/],
    [{ timeouts: { ack: NaN } }, /^timeouts\.ack is a number/],
    [{ maxQueue: Infinity }, /^maxQueue is a whole number/],
  ]
  for (const [more, text] of wrong) expect(() => coreConfig({ ...GIVEN, ...more })).toThrow(text)
})

test('a seq above 2^53-1 breaks the rules, and a time is none', () => {
  const push = (fields: string): unknown =>
    new Invocation().decode(
      `{"type":"CHAT_REDIRECT_TO_USER_REQUEST","message":{"content":"x",${fields}}}`,
      0,
    )[0]
  expect(push('"seq":9007199254740992')).toMatchObject({ reason: 'seq: less_than_equal' })
  expect(push('"seq":9007199254740991')).toMatchObject({ seq: 9007199254740991 })
  expect(push('"timestamp":9007199254740992')).toMatchObject({ content: 'x', timestamp: null })
})

test('a text has at most 65536 characters, however many units these are', () => {
  const push = (content: string): string =>
    new Invocation().decode(
      JSON.stringify({ type: 'CHAT_REDIRECT_TO_USER_REQUEST', message: { content } }),
      0,
    )[0]!.type
  expect(push('😀'.repeat(65_536))).toBe('ChatRedirectToUser')
  expect(push('😀'.repeat(65_537))).toBe('Malformed')
})

test('ids keep their digits and their order', () => {
  const ids = ['9223372036854775807', 10, '9007199254740993', 9, '9007199254740992']
  expect([...ids].sort(compareIds)).toEqual([9, 10, ids[4], ids[2], ids[0]])
  expect(userId(2n ** 60n)).toBe(String(2n ** 60n))
  expect(() => userId(2 ** 60)).toThrow('between 1 and 2^63-1')
  expect(() => userId(1.5)).toThrow('an integer or a string')
  expect([7, '7', '9007199254740993', 2 ** 53, 0].map(isId)).toEqual([
    true,
    false,
    true,
    false,
    false,
  ])
})

test('a rule that is broken is MESSAGE_FORMAT_ERROR, and there are no others', () => {
  expect(validate('userId', '7')).toBe(7)
  expect(() => validate('content', 5)).toThrow(IMError)
  expect(() => validate('toString', 5)).toThrow("there is no rule 'toString'")
})

test('an error knows whether trying again helps, and shows what a peer said as text', () => {
  const error = new IMError('AUTH_FAILED', 'no', { serverCode: 401, serverText: "it's\n" })
  expect([error.retryable, error.terminal]).toEqual([false, true])
  expect(error.message).toBe('AUTH_FAILED: no (server code 401) (server says "it\'s\\\\n")')
  expect(new IMError('SERVER_ERROR', 'x', { retryable: false }).retryable).toBe(false)
})

test('of two deadlines at one time the one goes first whose name in words does', () => {
  const timers = new Timers()
  for (const name of Object.keys(TIMERS)) timers.set(name as keyof typeof TIMERS, 1)
  const words = timers.popDue(1).map(([timer]) => MEANINGS[timer])
  expect(words).toEqual(Object.values(TIMERS).sort())
})

test('a judge that comes too late gives grace once in a row', () => {
  const timers = new Timers()
  const due = (late: number): unknown => {
    timers.set('ACK', 10)
    expect(timers.next()).toBe(10)
    return timers.popDue(10 + late)
  }
  expect([due(1), due(1.5), due(5), due(1.5)]).toEqual([
    [['ACK', false]],
    [['ACK', true]],
    [['ACK', false]],
    [['ACK', true]],
  ])
  timers.set('RETRY', 10)
  expect(timers.popDue(99)).toEqual([['RETRY', false]])
  expect(timers.next()).toBeNull()
})

test('a machine refuses what its state does not know', () => {
  expect(CONNECTION.next('open', 'close_started')).toBe('closing')
  expect(() => CONNECTION.next('open', 'toString')).toThrow(
    "ConnectionMachine: event 'toString' is not allowed in state 'open'",
  )
  expect(SESSION.knows('closed', 'expire')).toBe(false)
})

test('delays grow, and a violation makes them grow on over good links', () => {
  const config = coreConfig(GIVEN).reconnect
  expect([0, 1, 2, 5, 99].map((n) => baseDelay(config, n))).toEqual([1, 1, 2, 16, 30])
  const backoff = new Backoff({ ...config, jitter: 'none' })
  const rng = { uniform: () => 0, hex64: () => '' }
  const lost = (asFailed: boolean): number => {
    backoff.authenticated(0)
    backoff.linkLost(100, asFailed)
    return backoff.nextDelay(100, rng, null)
  }
  expect([lost(true), lost(true), lost(true), lost(false)]).toEqual([1, 2, 4, 1])
  expect(backoff.nextDelay(100, rng, 1e9)).toBe(86_400)
})

test('a random delay is no longer than all before could have made it, and an asked one counts not', () => {
  const backoff = new Backoff(coreConfig(GIVEN).reconnect)
  const rng = { uniform: (_: number, most: number) => most, hex64: () => '' }
  expect([50, 50.5, 50.5, 60].map((now) => backoff.nextDelay(now, rng, null))).toEqual([
    1, 1.5, 1.5, 8,
  ])
  const asked = new Backoff(coreConfig(GIVEN).reconnect)
  expect([asked.nextDelay(0, rng, 7), asked.nextDelay(9, rng, null)]).toEqual([7, 1])
})

test('a flood of high slows low down to one turn in thirteen', () => {
  const turns = new Turns()
  for (let n = 0; n < 30; n += 1) turns.join(n, 'high')
  turns.join('slow', 'low')
  turns.join('steady', 'normal')
  const order = Array.from({ length: 14 }, () => turns.next())
  expect(order.indexOf('steady')).toBe(8)
  expect(order.indexOf('slow')).toBe(9)
  expect(turns.length).toBe(18)
})

test('messages expire in the order of their times, and one timer knows the first', () => {
  const timers = new Timers()
  const expiry = new Expiry(timers)
  const times = Array.from({ length: 200 }, (_, n) => (n * 7919) % 211)
  times.forEach((at, ref) => expiry.add(at, ref))
  expiry.watch((ref) => times[ref]! > 50)
  expect(timers.get('EXPIRY')).toBe(51)
  expiry.slept(1)
  const due = expiry.due(1000).map((ref) => times[ref])
  expect(due).toEqual([...due].sort((a, b) => a! - b!))
  expect(due[0]).toBe(51)
})

test('a journal keeps what its changes say', () => {
  const state = new JournalState({ knownPairs: 1 })
  state.apply([
    { type: 'Cursor', epoch: 'a', seq: 3, fromUser: null, msgId: null },
    { type: 'Handled', seq: 3 },
    { type: 'Handled', seq: 5 },
    { type: 'Offered', seq: 9 },
    { type: 'PairKnown', fromUser: 1, msgId: 1, digest: 'x' },
    { type: 'PairKnown', fromUser: 1, msgId: 2, digest: 'y' },
  ])
  expect([...state.handled]).toEqual([5])
  expect([...state.pairs.values()].map((pair) => pair.msgId)).toEqual([2])
  state.apply([{ type: 'Cursor', epoch: 'b', seq: 0, fromUser: null, msgId: null }])
  expect([state.offered, state.handled.size]).toEqual([0, 0])
})

test('a session whose send was refused has expired', () => {
  const cache = new SessionCache()
  const told = { id: 7, bookId: 0, buyerId: 1, sellerId: 2, sessionStatus: 1 }
  cache.keep(readSession(told) as SessionVO)
  cache.sendRefused(7)
  expect(cache.get(7)?.sessionStatus).toBe(2)
})

test('texts that differ anywhere have other digests', () => {
  const texts = ['', 'a', 'b', 'ab', 'ba', '\0', '\0\0', 'a'.repeat(99), 'é', '\u1234', '\u3412']
  const digests = new Set(texts.map(hash128))
  expect(digests.size).toBe(texts.length)
  for (const digest of digests) expect(digest).toMatch(/^[0-9a-f]{32}$/)
})
