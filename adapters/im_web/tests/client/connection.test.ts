import { expect, test } from 'vitest'
import { IMClient, IMError, LocalProtocolError } from '../../src/client'
import { listen, settle, until, World } from '../kit/world'

const failure = (promise: Promise<unknown>): Promise<IMError> =>
  promise.then(
    () => expect.unreachable('it did not fail'),
    (error: IMError) => error,
  )

test('connect resolves when the server has accepted the log-in', async () => {
  const world = new World()
  const client = world.tab().client()
  const heard = listen(client, 'connected', 'authenticated', 'disconnected', 'error')
  expect(client.getConnectionState().status).toBe('disconnected')
  await client.connect()
  expect(client.getConnectionState()).toMatchObject({ status: 'authenticated', attempts: 0 })
  expect(world.server.link().of('AUTH_REQUEST')).toMatchObject([
    { accessToken: 'a-token', userId: 123, deviceId: client.deviceId },
  ])
  await settle()
  expect(heard).toEqual([['connected'], ['authenticated']])
  expect(client.capabilities).toContain('seq')
  expect(client.guarantee).toBe('exactly-once')
})

test('disconnect closes the WebSocket, calls the callbacks, and nothing comes back', async () => {
  const world = new World()
  const client = world.tab().client()
  const heard = listen(client, 'disconnected', 'reconnecting', 'error')
  await client.connect()
  await client.disconnect()
  expect(world.server.link().socket.closedWith).toEqual([1000, ''])
  expect(heard).toEqual([['disconnected']])
  await world.clock.advance(600_000)
  expect(world.server.links).toHaveLength(1)
  expect(client.getConnectionState()).toMatchObject({
    status: 'disconnected',
    reason: 'disconnected by the application',
  })
  await client.disconnect() // twice is no error
  await client.connect()
  expect(client.getConnectionState().status).toBe('authenticated')
})

test('a server that answers no close frame holds nobody up', async () => {
  const world = new World()
  const client = world.tab().client()
  await client.connect()
  world.server.ignoresClose = true
  let done = false
  void client.disconnect().then(() => (done = true))
  await world.clock.advance(2900)
  expect(done).toBe(false)
  await world.clock.advance(2000)
  expect(done).toBe(true)
})

test('a failed handshake says what a browser can not tell, and connect fails with it', async () => {
  const world = new World()
  world.server.refuse = true
  const client = world.tab().client()
  const error = await failure(client.connect())
  expect(error).toBeInstanceOf(IMError)
  expect(error.code).toBe('CONNECTION_FAILED')
  expect(error.text).toContain('could not reach localhost:8080')
  expect(error.text).toContain('(Origin)')
  await world.clock.advance(60_000)
  expect(client.getConnectionState().status).toBe('disconnected') // nothing is left running
})

test('with retry a failed attempt is no end of connect', async () => {
  const world = new World()
  world.server.refuse = true
  const client = world.tab().client()
  const heard = listen(client, 'reconnecting')
  let done = false
  void client.connect({ retry: true }).then(() => (done = true))
  await world.clock.advance(100)
  expect(client.getConnectionState()).toMatchObject({ status: 'reconnecting', attempts: 1 })
  const { retryAt, retryIn } = client.getConnectionState()
  expect(retryAt).toBe(world.clock.wall() + (retryIn as number))
  world.server.refuse = false
  await world.clock.advance(5000)
  expect(done).toBe(true)
  expect(heard[0]).toEqual(['reconnecting', 1, 500])
})

test('connect takes no longer than its timeout', async () => {
  const world = new World()
  world.server.refuse = 'hang'
  const client = world.tab().client({ timeouts: { connect: 60_000 } })
  const failed = failure(client.connect({ timeout: 7000 }))
  await world.clock.advance(7000)
  const error = await failed
  expect(error.code).toBe('CONNECTION_TIMEOUT')
  expect(error.text).toBe('not logged in within 7 s: connecting')
})

test('a refused log-in ends connect and tells authFailed', async () => {
  const world = new World({ tokens: ['other'] })
  const client = world.tab().client()
  const heard = listen(client, 'authFailed')
  const error = await failure(client.connect())
  expect(error).toMatchObject({ code: 'TOKEN_INVALID', terminal: true, serverCode: 40101 })
  await settle()
  expect(heard[0]?.[1]).toMatchObject({ code: 'TOKEN_INVALID' })
})

test('a new access token brings a client back that gave up over its log-in', async () => {
  const tokens = ['a-token']
  const world = new World({ tokens })
  const client = world.tab().client()
  await client.connect()
  tokens[0] = 'second'
  world.server.link().drop()
  await world.clock.advance(10_000)
  expect(client.getConnectionState()).toMatchObject({
    status: 'disconnected',
    lastError: { code: 'TOKEN_INVALID' },
  })
  expect(() => client.updateAccessToken('')).toThrow(LocalProtocolError)
  client.updateAccessToken('second')
  await settle()
  expect(client.getConnectionState().status).toBe('authenticated')
})

test('a token function is asked, and asked again when its token is refused', async () => {
  const world = new World({ tokens: ['good'] })
  const given = ['bad', 'good']
  const client = world.tab().client({ token: async () => given.shift() ?? 'none' })
  let done = false
  void client.connect().then(() => (done = true))
  await world.clock.advance(5000)
  expect([done, given]).toEqual([true, []])
})

test('a token function that throws is told by its name alone', async () => {
  const world = new World()
  const client = world.tab().client({
    token: () => {
      throw new TypeError('the secret is 1234')
    },
  })
  const error = await failure(client.connect())
  expect(error.code).toBe('AUTH_FAILED')
  expect(String(error)).toContain('TypeError')
  expect(String(error)).not.toContain('1234')
})

test('a lost link is made again, and that is told in order', async () => {
  const world = new World()
  const client = world.tab().client()
  await client.connect()
  const heard = listen(client, 'connected', 'disconnected', 'reconnecting', 'reconnected', 'error')
  world.server.link().drop()
  await world.clock.advance(10_000)
  expect(heard.map(([name]) => name)).toEqual([
    ...['disconnected', 'error', 'reconnecting', 'connected', 'reconnected'],
  ])
  expect(heard[1]?.[1]).toMatchObject({ code: 'CONNECTION_LOST', terminal: false })
  expect(world.server.links).toHaveLength(2)
})

test('tryNow does not wait for the next attempt', async () => {
  const world = new World()
  const client = world.tab().client({ reconnect: { initialDelay: 20_000, maxDelay: 20_000 } })
  await client.connect()
  world.server.link().drop()
  await settle()
  expect(client.getConnectionState().retryIn).toBe(10_000)
  client.tryNow()
  await settle()
  expect(client.getConnectionState().status).toBe('authenticated')
})

test('after its attempts a client gives up, and connect begins anew', async () => {
  const world = new World()
  const client = world.tab().client({ reconnect: { maxRetries: 2 } })
  const heard = listen(client, 'error')
  await client.connect()
  world.server.refuse = true
  world.server.link().drop()
  await settle()
  const waiting = failure(client.sendMessage({ toUserId: 1, content: 'waits' }))
  await world.clock.advance(60_000)
  expect(heard.at(-1)?.[1]).toMatchObject({ code: 'RECONNECT_FAILED', terminal: true })
  expect(await waiting).toMatchObject({ code: 'RECONNECT_FAILED', sent: { status: 'queued' } })
  const error = await failure(client.sendMessage({ toUserId: 1, content: 'x' }))
  expect(error.code).toBe('RECONNECT_FAILED')
  world.server.refuse = false
  await client.connect()
  expect(client.getConnectionState().status).toBe('authenticated')
})

test('without a reconnect block a client gives up after five attempts, as the README shows', async () => {
  const world = new World()
  world.server.refuse = true
  const tab = world.tab()
  const client = tab.client()
  const failed = failure(client.connect({ retry: true, timeout: null }))
  await world.clock.advance(120_000)
  expect((await failed).code).toBe('RECONNECT_FAILED')
  expect(tab.sockets).toHaveLength(5)
})

test('a token function may use the client', async () => {
  const world = new World()
  const client: IMClient = world.tab().client({
    token: () => {
      client.queueMessage({ toUserId: 456, content: client.getConnectionState().status })
      return 'a-token'
    },
  })
  await client.connect()
  await until(() => world.server.accepted.length === 1)
  expect(world.server.accepted).toMatchObject([{ content: 'connecting' }])
})

test('a close code of the server decides what follows', async () => {
  const world = new World()
  const client = world.tab().client()
  const heard = listen(client, 'error')
  await client.connect()
  world.server.link().close(4004, 'the phone won')
  await world.clock.advance(60_000)
  expect(heard[0]?.[1]).toMatchObject({ serverCode: 4004, serverText: 'the phone won' })
  expect(client.getConnectionState().status).toBe('disconnected')
  expect(world.server.links).toHaveLength(1)
})

test('a binary frame breaks the protocol, and the close goes without a code', async () => {
  const world = new World()
  const client = world.tab().client()
  const heard = listen(client, 'notice')
  await client.connect()
  const link = world.server.link()
  link.binary()
  await world.clock.advance(1)
  expect(heard.map(([, event]) => event)).toContainEqual(
    expect.objectContaining({ type: 'ProtocolViolation', closeCode: 1003 }),
  )
  expect(link.socket.closedWith).toEqual([undefined, undefined]) // 1003 is not a page's to send
  await world.clock.advance(10_000)
  expect(client.getConnectionState().status).toBe('authenticated')
})

test('nothing is written to a WebSocket that closes, and what was queued then comes later', async () => {
  const world = new World()
  const client = world.tab().client({ storage: 'memory' })
  await client.connect()
  world.server.link().close(1012)
  const sent = client.queueMessage({ toUserId: 456, content: 'meanwhile' })
  await world.clock.advance(60_000)
  expect(sent.status).toBe('accepted')
  expect(world.server.complaints).toBe(0)
})

test('a dead link is found, also when nobody closes it', async () => {
  const world = new World()
  const client = world.tab().client({ heartbeat: { interval: 30_000, timeout: 5000 } })
  const heard = listen(client, 'heartbeatSent', 'heartbeatReceived', 'disconnected')
  await client.connect()
  await world.clock.advance(30_500)
  expect(heard).toEqual([['heartbeatSent'], ['heartbeatReceived']])
  world.server.answers['HEARTBEAT_REQUEST'] = null
  await world.clock.advance(46_000)
  expect(heard.map(([name]) => name)).toContain('disconnected')
})

test('timers that a hidden page gets a minute late kill no link', async () => {
  const world = new World()
  const tab = world.tab()
  const client = tab.client()
  const heard = listen(client, 'disconnected')
  await client.connect()
  for (let minute = 0; minute < 10; minute++) {
    world.clock.skip(60_000)
    await world.clock.advance(0)
  }
  expect(heard).toEqual([])
  expect(world.server.link().of('HEARTBEAT_REQUEST').length).toBeGreaterThan(3)
})

test('what comes in is a look at the clock for a page whose timers do not go off', async () => {
  const world = new World()
  const client = world.tab().client()
  await client.connect()
  world.clock.skip(40_000)
  world.server.message(123, { content: 'hi', fromUser: 9, msgId: 1 })
  await settle()
  expect(world.server.link().of('HEARTBEAT_REQUEST')).toHaveLength(1)
})

test('a network that comes back is tried at once, and one that goes is told', async () => {
  const world = new World()
  const tab = world.tab()
  const client = tab.client({ reconnect: { initialDelay: 30_000 } })
  const heard = listen(client, 'notice')
  await client.connect()
  tab.online = false
  tab.window.dispatchEvent(new Event('offline'))
  expect(client.getConnectionState().status).toBe('authenticated') // nothing is ended
  world.server.link().drop()
  await settle()
  expect(client.getConnectionState().reason).toContain('no network')
  tab.online = true
  tab.window.dispatchEvent(new Event('online'))
  await settle()
  expect(client.getConnectionState().status).toBe('authenticated')
  const hints = heard
    .map(([, event]) => event)
    .filter((one) => String(Object(one).type) === 'NetworkHint')
  expect(hints).toEqual([
    { type: 'NetworkHint', online: false },
    { type: 'NetworkHint', online: true },
  ])
})

test('after a sleep of the machine a link is looked at at once', async () => {
  const world = new World()
  const tab = world.tab()
  const client = tab.client()
  await client.connect()
  const before = world.server.link().of('HEARTBEAT_REQUEST').length
  world.clock.epoch += 3_600_000 // the wall clock has run on, and the other has not
  tab.document.dispatchEvent(new Event('visibilitychange'))
  await settle()
  expect(world.server.link().of('HEARTBEAT_REQUEST').length).toBe(before + 1)
})

test('an ordinary server that hangs up twice is not taken for a strict one once it was seen to be capable', async () => {
  const world = new World()
  const client = world.tab().client()
  await client.connect()
  await client.close()
  world.server.answers['AUTH_REQUEST'] = (link) => link.drop()
  const next = world.tab().client({ reconnect: { maxRetries: null } })
  void next.connect({ retry: true, timeout: null })
  await world.clock.advance(30_000)
  expect(world.server.links.length).toBeGreaterThan(4)
  for (const link of world.server.links) {
    expect(link.of('AUTH_REQUEST')[0]).toHaveProperty('capabilities')
  }
})

test('while the application is behind, frames are held back, and come in order later', async () => {
  const world = new World()
  const client = world.tab().client({ maxUnhandled: 2 })
  const notices = listen(client, 'notice')
  await client.connect()
  for (let n = 1; n <= 6; n++) {
    world.server.message(123, { content: `m${n}`, fromUser: 9, msgId: n })
  }
  await settle()
  expect(notices.map(([, event]) => Object(event).type)).toContain('ReadingPaused')
  const { received } = client.inspect().counters
  world.server.message(123, { content: 'm7', fromUser: 9, msgId: 7 })
  await settle()
  expect(client.inspect().counters.received).toBe(received) // the core was told nothing of it
  const got: string[] = []
  client.setCallbacks({ messageReceived: (message) => void got.push(message.content) })
  await world.clock.advance(5000)
  expect(got).toEqual(['m1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7'])
  expect(notices.map(([, event]) => Object(event).type)).toContain('ReadingResumed')
  expect(world.server.acked(123)).toBe(7)
})

test('a full write buffer blocks, and goes on when it is empty', async () => {
  const world = new World()
  const client = world.tab().client()
  await client.connect()
  const { socket } = world.server.link()
  socket.bufferedAmount = 300_000
  const first = client.queueMessage({ toUserId: 1, content: 'one' })
  await settle()
  const second = client.queueMessage({ toUserId: 2, content: 'two' })
  await world.clock.advance(200)
  expect([first.status, second.status]).toEqual(['accepted', 'queued'])
  socket.bufferedAmount = 0
  await world.clock.advance(100)
  expect(second.status).toBe('accepted')
})

test('a wrong configuration is told by its key, and a token is never shown', () => {
  const wrong = (config: object): string => {
    try {
      new IMClient({ wsUrl: 'ws://h/ws', token: 't', userId: 1, ...config })
    } catch (error) {
      expect(error).toBeInstanceOf(LocalProtocolError)
      return (error as Error).message
    }
    return expect.unreachable('it was taken')
  }
  expect(wrong({ wsUrl: 'http://h' })).toContain('wsUrl')
  expect(wrong({ reconect: {} })).toContain('reconect')
  expect(wrong({ reconnect: { initialDelay: -1 } })).toContain('reconnect.initialDelay')
  expect(wrong({ token: '' })).toContain('token')
  expect(wrong({ token: 's3cret'.repeat(10_000) })).not.toContain('s3cret')
})

test('close is for good, and leaves no timer', async () => {
  const world = new World()
  const client = world.tab().client()
  await client.connect()
  await client.close()
  await client.close()
  expect(world.clock.armed).toBe(0)
  await expect(client.connect()).rejects.toThrow(LocalProtocolError)
  expect(() => client.queueMessage({ toUserId: 1, content: 'x' })).toThrow(LocalProtocolError)
})
