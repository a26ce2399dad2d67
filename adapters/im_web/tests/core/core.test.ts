import { describe, expect, test } from 'vitest'
import { LocalProtocolError } from '../../src/core'
import type { CoreInput } from '../../src/core'
import { explain } from '../../src/core/explain'
import { Bench, events, types } from './bench'

describe('a log-in', () => {
  test('goes from Connect to Authenticated, a step for each thing that happens', () => {
    const bench = new Bench()
    const { core } = bench
    expect(core.state()).toEqual({
      status: 'DISCONNECTED',
      reason: 'connect() was not called yet',
      attempts: 0,
      retryAt: null,
      retryIn: null,
      lastError: null,
    })
    expect(bench.step({ type: 'Connect' })).toMatchObject([
      {
        type: 'OpenTransport',
        transport: 1,
        host: 'im.example',
        port: 9,
        secure: false,
        unixPath: null,
      },
      {
        type: 'Notify',
        event: { type: 'StateChanged', current: { status: 'CONNECTING', reason: 'connecting' } },
      },
    ])
    expect(core.nextDeadline()).toBe(10)
    bench.now = 1
    expect(bench.step({ type: 'TransportOpened', transport: 1 })).toEqual([
      { type: 'StartLink', transport: 1 },
    ])
    const opened = bench.step({ type: 'LinkOpened', transport: 1, capable: true })
    expect(types(opened)).toEqual(['Connected', 'SendText', 'StateChanged'])
    const said = JSON.parse((opened[1] as { text: string }).text) as { message: string }
    expect(said).toMatchObject({ type: 'AUTH_REQUEST' })
    expect(said.message).toBe(
      '{"accessToken":"t0","userId":7,"capabilities":["seq","batch","status","receipts","typing",' +
        '"presence","refresh","sessions","inline"],"deviceId":"a1a1a1a1a1a1a1a1",' +
        '"limits":{"frameBytes":1048576,"batch":64}}',
    )
    expect(core.login.state).toBe('authenticating')
    expect(core.nextDeadline()).toBe(11)
    bench.now = 2
    const welcomed = bench.hears('AUTH_RESPONSE', {
      code: 200,
      data: {
        userId: 7,
        username: 'grace',
        deviceId: 'a1a1a1a1a1a1a1a1',
        capabilities: ['typing', 'batch', 'flying'],
      },
    })
    expect(types(welcomed)).toEqual(['Authenticated', 'GuaranteeChanged', 'StateChanged'])
    expect(events(welcomed).slice(0, 2)).toEqual([
      {
        type: 'Authenticated',
        userId: 7,
        username: 'grace',
        capabilities: ['batch', 'typing'],
      },
      { type: 'GuaranteeChanged', guarantee: 'exactly-once' },
    ])
    expect(core.state()).toMatchObject({ status: 'AUTHENTICATED', reason: 'logged in' })
    expect(core.guarantee).toBe('exactly-once')
    expect(core.timers.all()).toEqual([
      ['WATCH', 3],
      ['HEARTBEAT_DUE', 32],
    ])
  })

  test('that is refused halts the client until there is a new token', () => {
    const bench = new Bench()
    bench.step({ type: 'Connect' })
    bench.open()
    const refused = bench.hears('AUTH_RESPONSE', { code: 40101, message: 'expired' })
    expect(types(refused)).toEqual([
      'AuthFailed',
      'SendClose',
      'CloseTransport',
      'Disconnected',
      'ErrorOccurred',
      'StateChanged',
    ])
    const { core } = bench
    expect(core.reconnect).toBe('halted')
    expect(core.state()).toMatchObject({
      status: 'DISCONNECTED',
      reason: 'the server refused the log-in',
      lastError: {
        code: 'TOKEN_INVALID',
        serverCode: 40101,
        serverText: 'expired',
        retryable: false,
        terminal: true,
      },
    })
    expect(explain(core)).toContain('Only a new token, or connect(), goes on.')
    const again = bench.step({ type: 'UpdateToken', token: 't1' })
    expect(types(again)).toEqual(['AbortTransport', 'OpenTransport', 'StateChanged'])
    const opened = bench.open()
    expect((opened[1] as { text: string }).text).toContain('t1')
  })

  test('whose token has expired halts the client if nothing can get another', () => {
    const bench = Bench.loggedIn()
    bench.step({ type: 'PeerClosed', transport: 1, code: 4003, reason: 'too old' })
    expect(bench.core.login.state).toBe('refused')
    expect(bench.core.state()).toMatchObject({
      status: 'DISCONNECTED',
      reason: 'the token has expired; give a new one',
      lastError: { code: 'TOKEN_INVALID', serverText: 'too old', retryable: false, terminal: true },
    })
    expect(bench.core.timers.get('RECONNECT')).toBeNull()
    bench.step({ type: 'TransportLost', transport: 1, reason: '' })
    expect(bench.core.connection).toBe('disconnected')
    expect(bench.core.linkWanted).toBe(false)
  })

  test('as another user than the one who was asked for is none', () => {
    const bench = new Bench({ userId: "d'Arc" })
    bench.step({ type: 'Connect' })
    bench.open()
    bench.hears('AUTH_RESPONSE', { code: 0, data: { userId: '9223372036854775807' } })
    expect(bench.core.reconnect).toBe('halted')
    expect(bench.core.reason).toBe(
      'the token is of user 9223372036854775807, and user_id is "d\'Arc": the server logged in ' +
        'another user than the one who was asked for',
    )
  })
})

describe('what the caller may not do', () => {
  test('throws a LocalProtocolError and leaves everything as it was', () => {
    const bench = Bench.loggedIn()
    const { core } = bench
    const picture = (): unknown => [
      core.connection,
      core.reconnect,
      core.login.state,
      core.liveness.state,
      core.timers.all(),
      core.state(),
      core.transport,
      { ...core.counters },
    ]
    const before = picture()
    const wrong: CoreInput[] = [
      { type: 'TransportOpened', transport: 1 },
      { type: 'TransportFailed', transport: 1, kind: 'dns', reason: '' },
      { type: 'LinkOpened', transport: 1, capable: false },
      { type: 'LinkRefused', transport: 1, status: 500, retryAfter: null, reason: '' },
      { type: 'UpdateToken', token: '' },
      { type: 'Cancel', ref: 1 },
      { type: 'MarkRead', fromUser: 0, msgId: 1 },
      { type: 'MarkRead', fromUser: 1, msgId: 0 },
      { type: 'SetTyping', toUser: '' },
      { type: 'SessionCall', ref: 1, op: 'get' },
      { type: 'SessionCall', ref: 1, op: 'get', sessionId: '7' },
      { type: 'SessionCall', ref: 1, op: 'history', peerId: 1, sessionId: 1 },
      { type: 'SessionCall', ref: 1, op: 'history', peerId: 1, pageSize: 1001 },
      { type: 'Jump' } as unknown as CoreInput,
    ]
    for (const input of wrong) {
      expect(() => bench.step(input), JSON.stringify(input)).toThrow(LocalProtocolError)
      expect(picture(), JSON.stringify(input)).toEqual(before)
    }
    expect(bench.step({ type: 'TimePassed', wall: null })).toEqual([])
  })

  test('is named with the state that does not allow it', () => {
    const bench = Bench.loggedIn()
    expect(() => bench.step({ type: 'TransportOpened', transport: 1 })).toThrow(
      'TransportOpened: the connection is open',
    )
    expect(() => bench.step({ type: 'SessionCall', ref: 1, op: 'create', bookId: 1 })).toThrow(
      'SessionCall: create takes book_id, buyer_id and seller_id',
    )
  })

  test('does not include an answer to a transport that is gone: that changes nothing', () => {
    const bench = Bench.loggedIn()
    expect(bench.step({ type: 'TransportLost', transport: 0, reason: 'late' })).toEqual([])
    expect(bench.core.connection).toBe('open')
  })
})

test('a clock that goes back is taken as standing still', () => {
  const bench = Bench.loggedIn()
  const { core } = bench
  bench.now = 0.5
  bench.step({ type: 'TimePassed', wall: null })
  bench.now = 0.25
  const sent = bench.step({ type: 'NetworkChanged' })
  expect(types(sent)).toEqual(['HeartbeatSent', 'SendText'])
  expect(core.timers.get('HEARTBEAT_ANSWER')).toBe(1.3)
  expect(core.state(0.25)).toEqual(core.state())
})

test('a machine that slept probes its link, and waits no longer for what the sleep has seen', () => {
  const bench = Bench.loggedIn()
  bench.now = 0.5
  const actions = bench.step({ type: 'TimePassed', wall: 1_700_003_600 })
  expect(types(actions)).toEqual(['HeartbeatSent', 'SendText'])
})

describe('explain', () => {
  test('tells what is waited for, and until when', () => {
    const bench = Bench.loggedIn()
    expect(explain(bench.core, 0.75)).toBe(
      'AUTHENTICATED: logged in. Waiting for: the next look at the clocks (0.2 s left), ' +
        'the next heartbeat (29.2 s left).',
    )
    expect(explain(bench.core, 30)).toContain('the next heartbeat (due)')
    expect(explain(new Bench().core)).toBe(
      'DISCONNECTED: connect() was not called yet. Only connect() goes on.',
    )
  })

  test('tells how often it has failed, and when it tries again', () => {
    const bench = new Bench()
    bench.step({ type: 'Connect' })
    bench.step({ type: 'TransportFailed', transport: 1, kind: 'refused', reason: '' })
    expect(explain(bench.core)).toBe(
      'RECONNECTING: could not reach im.example:9 (refused). Attempt 1 starts in 0.5 s. ' +
        '1 attempts in a row have failed. Waiting for: the next attempt (0.5 s left), ' +
        'the next look at the clocks (1.0 s left).',
    )
  })

  test('tells of a message why it is still pending', () => {
    const bench = new Bench()
    bench.step({ type: 'Connect' })
    bench.step({ type: 'Send', ref: 1, toUser: 8, content: 'one', ttl: 60 })
    bench.step({ type: 'Send', ref: 2, toUser: 8, content: 'two' })
    expect(explain(bench.core, 1.25, 1)).toBe(
      'Message 1 to 8 waits, for a log-in (CONNECTING: connecting). It expires in 58.8 s.',
    )
    expect(explain(bench.core, 0, 2)).toBe(
      'Message 2 to 8 waits, behind 1 others of its conversation, ' +
        'for a log-in (CONNECTING: connecting).',
    )
    bench.open()
    bench.hears('AUTH_RESPONSE', { code: 0 })
    expect(explain(bench.core, 2, 1)).toBe(
      'Message 1 to 8 is in flight, handed over 2.0 s ago (sent once); ' +
        'the server has not answered.',
    )
    expect(explain(bench.core, 2, 3)).toBe(
      "Message 3 is not pending: it has its end, or it is not this client's.",
    )
  })
})
