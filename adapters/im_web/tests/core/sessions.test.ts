import { describe, expect, test } from 'vitest'
import { IMError } from '../../src/core'
import type { CoreInput } from '../../src/core'
import { fitsAHeader } from '../../src/core/session-http'
import { Bench, events, types } from './bench'

function asks(ref: number, more: object = {}): CoreInput {
  return { type: 'SessionCall', ref, op: 'get', sessionId: ref, ...more }
}

describe('a call over HTTP', () => {
  test('has its fields in the query as forms are written', () => {
    const bench = new Bench({ wsUrl: 'wss://im.example/ws', http: { prefix: '' } })
    const buyerId = "d'Arc (à) ~*!+&=/?#%"
    const three = { bookId: 0, buyerId, sellerId: '1152921504606846976' }
    const [action] = bench.step({ type: 'SessionCall', ref: 1, op: 'create', ...three })
    expect(action).toEqual({
      type: 'CallHttp',
      request: 1,
      method: 'POST',
      url:
        'https://im.example/session/create?bookId=0&buyerId=d%27Arc+%28%C3%A0%29+~%2A%21%2B%26%3D' +
        '%2F%3F%23%25&sellerId=1152921504606846976',
      headers: [
        ['satoken', 't0'],
        ['Accept', 'application/json'],
        ['Accept-Encoding', 'identity'],
      ],
      body: '',
      limit: 1_048_576,
      timeout: 10,
      unixPath: null,
      proxy: null,
    })
  })

  test('is refused an answer with more bytes than are read', () => {
    const bench = new Bench()
    const answer = (body: string): CoreInput => {
      const [action] = bench.step(asks(5))
      const request = (action as { request: number }).request
      return { type: 'HttpAnswered', request, status: 200, body, retryAfter: null }
    }
    const told = '{"code":0,"data":null,"message":"é"}'
    const fits = told.padEnd(1_048_575) // é has two bytes
    expect(types(bench.step(answer(fits)))).toEqual(['SessionFetched'])
    expect(events(bench.step(answer(`${fits} `)))).toMatchObject([
      {
        type: 'SessionFailed',
        error: { text: "the server's answer can't be read: it has more than 1048576 bytes" },
      },
    ])
  })

  test('takes only a token that a header can hold', () => {
    expect(['t', 'a b', '~!'].map(fitsAHeader)).toEqual([true, true, true])
    expect([' t', 't ', 'a\nb', 'é', 't\n'].map(fitsAHeader)).toEqual(Array(5).fill(false))
  })
})

test('one call too many is refused, and those under way go on', () => {
  const bench = Bench.loggedIn({ capabilities: ['sessions'] })
  for (let ref = 1; ref <= 64; ref++) bench.step(asks(ref))
  const refused = (): unknown => bench.step(asks(65))
  expect(refused).toThrow(IMError)
  expect(refused).toThrow('QUEUE_FULL: 64 calls about sessions are under way already')
  // the same as one under way is no other call
  expect(bench.step(asks(66, { sessionId: 64 }))).toEqual([])
  const answered = bench.hears('SESSION_RESPONSE', { id: '64', code: 40400 })
  expect(events(answered)).toEqual([
    { type: 'SessionFetched', ref: 64, sessions: [] },
    { type: 'SessionFetched', ref: 66, sessions: [] },
  ])
  expect(types(bench.step(asks(65)))).toEqual(['SendText'])
})

test('of too many read marks that wait the oldest goes, and that is told', () => {
  const bench = new Bench()
  for (let user = 1; user <= 1000; user++) {
    bench.step({ type: 'MarkRead', fromUser: user, msgId: user })
  }
  // one that is said again is the newest
  expect(bench.step({ type: 'MarkRead', fromUser: 1, msgId: 5 })).toEqual([])
  expect(events(bench.step({ type: 'MarkRead', fromUser: 'bravo', msgId: 9 }))).toMatchObject([
    {
      type: 'ReadRefused',
      fromUser: 2,
      msgId: 2,
      error: { code: 'QUEUE_FULL', text: 'more than 1000 read marks wait for the server' },
    },
  ])
})
