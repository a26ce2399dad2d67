import { expect, test } from 'vitest'
import { IMError, LocalProtocolError } from '../../src/client'
import type { ChatReceivedMessage, MessageError } from '../../src/types'
import { listen, settle, until, World } from '../kit/world'

// ------------------------------------------------------------------ out

test('sendMessage resolves with the message when the server has accepted it', async () => {
  const world = new World()
  const client = world.tab().client()
  const heard = listen(client, 'messageSent', 'outboxChanged')
  await client.connect()
  const sent = await client.sendMessage({ toUserId: 456, content: 'hello', sessionId: null })
  expect(sent).toMatchObject({
    ...{ status: 'accepted', toUserId: 456, content: 'hello', messageType: 'text', error: null },
    timestamp: world.clock.wall(),
  })
  expect(world.server.accepted).toMatchObject([
    { toUser: 456, content: 'hello', msgId: sent.msgId },
  ])
  await settle()
  expect(heard).toContainEqual(['messageSent', sent])
  expect(heard).toContainEqual(['outboxChanged'])
  expect(client.outbox).toEqual([])
})

test('a message that the server refuses rejects, and error.sent is which', async () => {
  const world = new World()
  const client = world.tab().client()
  const heard = listen(client, 'messageFailed', 'error')
  await client.connect()
  world.server.answers['CHAT_SEND_TO_ONE_REQUEST'] = (link, { msgId }) =>
    link.push('CHAT_SEND_RESPONSE', { msgId, code: 403, message: 'blocked' })
  const error: MessageError = await client.sendMessage({ toUserId: 456, content: 'hello' }).then(
    () => expect.unreachable(),
    (error) => error,
  )
  expect(error).toBeInstanceOf(IMError)
  expect(error).toMatchObject({
    code: 'MESSAGE_SEND_FAILED',
    serverCode: 403,
    serverText: 'blocked',
  })
  expect(error.sent).toMatchObject({ content: 'hello', status: 'failed' })
  await settle()
  expect(heard).toEqual([['messageFailed', error]])
})

test('what can not be sent throws at once, and nothing is queued', async () => {
  const world = new World()
  const client = world.tab().client({ maxQueue: 1 })
  await client.connect()
  await client.disconnect()
  const thrown = (content: string): unknown => {
    try {
      client.queueMessage({ toUserId: 456, content })
    } catch (error) {
      return error
    }
    return null
  }
  expect(thrown('  ')).toMatchObject({ code: 'MESSAGE_FORMAT_ERROR' })
  expect(thrown('x'.repeat(1001))).toMatchObject({ code: 'MESSAGE_FORMAT_ERROR' })
  expect(client.outbox).toEqual([])
  expect(thrown('one')).toBeNull()
  expect(thrown('two')).toMatchObject({ code: 'QUEUE_FULL' })
  expect(client.outbox.map(({ content }) => content)).toEqual(['one'])
})

test('a message is queued without a connection, and goes out in order when there is one', async () => {
  const world = new World()
  const client = world.tab().client()
  const all = ['a', 'b', 'c'].map((content) => client.queueMessage({ toUserId: 456, content }))
  expect(all.map(({ status }) => status)).toEqual(['queued', 'queued', 'queued'])
  expect(client.outbox).toEqual(all)
  await client.connect()
  await Promise.all(all.map((sent) => sent.accepted()))
  expect(world.server.accepted.map(({ content }) => content)).toEqual(['a', 'b', 'c'])
})

test('a message that waits can be withdrawn, and one that was handed over can not', async () => {
  const world = new World()
  const client = world.tab().client()
  await client.connect()
  world.server.answers['CHAT_SEND_TO_ONE_REQUEST'] = null
  const flying = client.queueMessage({ toUserId: 456, content: 'gone' })
  await settle()
  expect([flying.status, flying.cancel()]).toEqual(['in_flight', false])
  await client.disconnect()
  const waiting = client.queueMessage({ toUserId: 7, content: 'stay' })
  await settle()
  expect(waiting.cancel()).toBe(true)
  await expect(waiting.accepted()).rejects.toMatchObject({ code: 'MESSAGE_CANCELLED' })
  expect([waiting.status, waiting.cancel()]).toEqual(['cancelled', false])
})

test('a message under a key is one message, however often it is sent', async () => {
  const world = new World()
  const client = world.tab().client()
  await client.connect()
  const request = { toUserId: 456, content: 'once', key: 'order-1' }
  const one = client.queueMessage(request)
  expect(client.queueMessage(request)).toBe(one)
  await one.accepted()
  expect(await client.sendMessage(request)).toBe(one)
  expect(world.server.accepted).toHaveLength(1)
  expect(() => client.queueMessage({ ...request, content: 'other' })).toThrow(LocalProtocolError)
  expect(one.key).toBe('order-1')
})

test('what was queued outlives a reload, and is sent once', async () => {
  const world = new World()
  const before = world.tab()
  const first = before.client()
  await first.connect()
  const { deviceId } = first
  world.server.answers['CHAT_SEND_TO_ONE_REQUEST'] = (link, message) => {
    world.server.accept(link, message, false) // it is taken, and the answer is lost
    link.drop()
  }
  first.queueMessage({ toUserId: 456, content: 'taken' })
  await until(() => world.server.accepted.length === 1)
  first.queueMessage({ toUserId: 456, content: 'waits', key: 'k' })
  await settle()
  before.crash()

  delete world.server.answers['CHAT_SEND_TO_ONE_REQUEST']
  const client = world.tab().client()
  await until(() => client.outbox.length === 2, 'restored')
  expect(client.outbox.map(({ content, status }) => [content, status])).toEqual([
    ['taken', 'in_flight'],
    ['waits', 'queued'],
  ])
  const heard = listen(client, 'messageSent')
  const again = client.queueMessage({ toUserId: 456, content: 'waits', key: 'k' })
  expect(client.outbox).toContain(again)
  await client.connect()
  await again.accepted()
  await settle()
  expect(client.deviceId).toBe(deviceId)
  expect(world.server.accepted.map(({ content }) => content)).toEqual(['taken', 'waits'])
  expect(heard.map(([, sent]) => Object(sent).content)).toEqual(['taken', 'waits'])
  expect(client.outbox).toEqual([])
})

test('a message with a time to live expires', async () => {
  const world = new World()
  const client = world.tab().client()
  const heard = listen(client, 'messageFailed')
  const sent = client.queueMessage({ toUserId: 456, content: 'soon', ttl: 5000 })
  await world.clock.advance(4000)
  expect(sent.status).toBe('queued')
  await world.clock.advance(2000)
  expect(sent.status).toBe('expired')
  expect(heard[0]?.[1]).toMatchObject({ code: 'MESSAGE_EXPIRED', sent: { content: 'soon' } })
})

test('it is told when a message was read', async () => {
  const world = new World()
  const me = world.tab().client()
  const other = world.tab().client({ userId: 456 })
  const heard = listen(me, 'receipt')
  other.setCallbacks({
    messageReceived: ({ fromUser, msgId }) => other.markRead(fromUser ?? 0, msgId ?? 0),
  })
  await other.connect()
  await me.connect()
  const sent = await me.sendMessage({ toUserId: 456, content: 'read me' })
  await settle()
  expect(sent.receipt).toBe('read')
  expect(heard[0]?.[1]).toMatchObject({ user: 456, status: 'read', msgIds: [sent.msgId] })
})

test('a client that is closed lets nobody wait', async () => {
  const world = new World()
  const client = world.tab().client()
  const sent = client.queueMessage({ toUserId: 456, content: 'later' })
  const failed = sent.accepted().catch((error: unknown) => error)
  await settle()
  await client.close()
  expect(await failed).toMatchObject({ code: 'MESSAGE_SEND_FAILED', sent: { content: 'later' } })
})

// ------------------------------------------------------------------ in

test('a received message has what the server told, and is acknowledged when the callback is done', async () => {
  const world = new World()
  const client = world.tab().client()
  let finish = (): void => {}
  const got: ChatReceivedMessage[] = []
  client.setCallbacks({
    messageReceived: (message) => {
      got.push(message)
      return new Promise((resolve) => (finish = resolve))
    },
  })
  await client.connect()
  world.server.message(123, { content: 'hi', fromUser: 456, msgId: 77, sessionId: 5 })
  world.server.message(123, { content: 'ho', fromUser: 456, msgId: 78, sessionId: 5 })
  await world.clock.advance(1000)
  expect(got).toHaveLength(1) // one at a time
  expect(got[0]).toMatchObject({
    ...{ content: 'hi', fromUser: 456, msgId: 77, sessionId: 5, messageType: 'text', seq: 1 },
    ...{ timestamp: world.clock.epoch, redelivered: false, attempt: 1 },
  })
  expect(world.server.acked(123)).toBe(0)
  finish()
  await world.clock.advance(1000)
  expect([got.length, world.server.acked(123)]).toEqual([2, 1])
})

test('a callback that fails gets its message again at once, and three times in all', async () => {
  const world = new World()
  const client = world.tab().client()
  const heard = listen(client, 'error', 'undeliverable')
  const attempts: [string, number, boolean][] = []
  client.setCallbacks({
    messageReceived: async ({ content, attempt, redelivered }) => {
      attempts.push([content, attempt, redelivered])
      if (content === 'bad') throw new RangeError('no')
    },
  })
  await client.connect()
  world.server.message(123, { content: 'bad', fromUser: 9, msgId: 1 })
  world.server.message(123, { content: 'good', fromUser: 9, msgId: 2 })
  await world.clock.advance(1000)
  expect(attempts.filter(([content]) => content === 'bad')).toEqual([
    ['bad', 1, false],
    ['bad', 2, true],
    ['bad', 3, true],
  ])
  expect(attempts).toContainEqual(['good', 1, false])
  expect(heard.map(([name]) => name)).toEqual(['error', 'error', 'error', 'undeliverable'])
  expect(heard[0]?.[1]).toMatchObject({
    code: 'UNKNOWN_ERROR',
    text: 'the callback messageReceived threw RangeError',
    cause: expect.any(RangeError),
  })
  expect(world.server.acked(123)).toBe(2)
})

test('with manual acknowledging a message is handled when the application says so', async () => {
  const world = new World()
  const client = world.tab().client({ ack: 'manual' })
  const got: ChatReceivedMessage[] = []
  client.on('messageReceived', (message) => void got.push(message))
  await client.connect()
  world.server.message(123, { content: 'a', fromUser: 9, msgId: 1 })
  world.server.message(123, { content: 'b', fromUser: 9, msgId: 2 })
  await world.clock.advance(1000)
  expect(world.server.acked(123)).toBe(0)
  got[1]?.ack()
  await world.clock.advance(1000)
  expect(world.server.acked(123)).toBe(0) // the first is not
  got[0]?.ack()
  got[0]?.ack()
  await world.clock.advance(1000)
  expect(world.server.acked(123)).toBe(2)
})

test('a message waits for a callback, and comes again after a reload', async () => {
  const world = new World()
  const before = world.tab()
  const first = before.client()
  await first.connect()
  world.server.message(123, { content: 'wait', fromUser: 9, msgId: 1 })
  await settle()
  before.crash()
  const client = world.tab().client()
  const got: string[] = []
  client.once('messageReceived', ({ content }) => void got.push(content))
  await client.connect()
  await settle()
  expect(got).toEqual(['wait'])
  const third = world.tab().client({ tabs: true })
  expect(third.role).toBe('follower')
})

test('a message that was handled does not come again after a reload', async () => {
  const world = new World()
  const before = world.tab()
  const first = before.client()
  const got: string[] = []
  const note = ({ content }: ChatReceivedMessage): void => void got.push(content)
  first.setCallbacks({ messageReceived: note })
  await first.connect()
  world.server.answers['CHAT_ACK_REQUEST'] = null // the server never heard of it
  world.server.message(123, { content: 'once', fromUser: 9, msgId: 1 })
  await world.clock.advance(1000)
  before.crash()
  const client = world.tab().client()
  client.setCallbacks({ messageReceived: note })
  await client.connect()
  await world.clock.advance(1000)
  expect(got).toEqual(['once'])
  expect(world.server.link().of('AUTH_REQUEST')[0]).toMatchObject({ resume: { seq: 1 } })
})

test('what was handled out of turn does not come again after a reload', async () => {
  const world = new World()
  const before = world.tab()
  const first = before.client({ ack: 'manual' })
  const got: ChatReceivedMessage[] = []
  first.on('messageReceived', (message) => void got.push(message))
  await first.connect()
  // no number of the sender's, so that only its place in the mailbox tells
  world.server.message(123, { content: 'one', fromUser: 9 })
  world.server.message(123, { content: 'two', fromUser: 9 })
  await world.clock.advance(1000)
  got[1]?.ack()
  await world.clock.advance(1000)
  before.crash()
  const client = world.tab().client()
  const again = listen(client, 'messageReceived')
  await client.connect()
  await world.clock.advance(1000)
  expect(again).toMatchObject([['messageReceived', { content: 'one', redelivered: true }]])
})

test('callbacks are called in order, one at a time, and those who left are not', async () => {
  const world = new World()
  const client = world.tab().client()
  const heard: string[] = []
  client.setCallbacks({ connected: () => void heard.push('replaced') })
  client.setCallbacks({
    connected: () => void heard.push('connected'),
    authenticated: () => void heard.push('authenticated'),
    disconnected: undefined,
  })
  const off = client.on('connected', () => void heard.push('gone'))
  client.once('connected', () => void heard.push('once'))
  off()
  client.on('authenticated', () => void heard.push('too'))
  await client.connect()
  await settle()
  expect(heard).toEqual(['connected', 'once', 'authenticated', 'too'])
  client.off('authenticated')
  await client.disconnect()
  await client.connect()
  await settle()
  expect(heard.slice(4)).toEqual(['connected'])
  expect(() => client.on('conected' as 'connected', () => {})).toThrow("no callback 'conected'")
  expect(() => client.setCallbacks({ error: 5 as never })).toThrow(LocalProtocolError)
})

test('disconnect inside a callback does not wait for itself', async () => {
  const world = new World()
  const client = world.tab().client()
  let done = false
  client.setCallbacks({
    authenticated: async () => {
      await client.disconnect()
      done = true
    },
  })
  await client.connect()
  await settle()
  expect(done).toBe(true)
})

// ------------------------------------------------------------------ sessions

test('sessions go over the connection where the server takes them there', async () => {
  const world = new World()
  const client = world.tab().client()
  await client.connect()
  expect(await client.getSession({ sessionId: 5 })).toBeNull()
  const session = await client.getOrCreateSession(1, 123, 456)
  expect(session).toMatchObject({ bookId: 1, buyerId: 123, sellerId: 456, sessionStatus: 1 })
  expect(await client.getOrCreateSession(1, 123, 456)).toEqual(session)
  expect(await client.addSession({ bookId: 2, buyerId: 123, sellerId: 456 })).toMatchObject({
    bookId: 2,
  })
  expect(client.getCachedSession(session.id)).toEqual(session)
  expect(client.getCachedSession(99)).toBeUndefined()
  expect(client.getAllCachedSessions()).toHaveLength(2)
  expect(await client.getCurrentSessions()).toHaveLength(2)
  await client.sendMessage({ toUserId: 456, content: 'one', sessionId: session.id })
  await client.sendMessage({ toUserId: 456, content: 'two', sessionId: session.id })
  const page = await client.getHistory({ sessionId: session.id, pageSize: 1 })
  expect(page.hasNext).toBe(true)
  expect(page.records).toMatchObject([{ content: 'two', senderId: 123, receiverId: 456 }])
  expect(world.server.calls).toEqual([])
  await expect(client.getHistory({})).rejects.toThrow(LocalProtocolError)
})

test('sessions go over HTTP to a plain server, with the token', async () => {
  const world = new World({ plain: true })
  const client = world.tab().client()
  await client.connect()
  const session = await client.getOrCreateSession(1, 123, 456)
  expect(session.bookId).toBe(1)
  const { url, init } = world.server.calls[0] ?? {}
  expect(url).toBe('http://localhost:8080/im/session/startChat')
  expect(init).toMatchObject({ method: 'POST', redirect: 'manual', credentials: 'omit' })
  expect(new Headers(init?.headers).get('satoken')).toBe('a-token')
  expect(await client.getSession({ sessionId: session.id })).toMatchObject({ id: session.id })
})

test('a call over HTTP that a browser can not make fails in words', async () => {
  const world = new World({ plain: true })
  const client = world.tab().client({}, { fetch: () => Promise.reject(new TypeError('Failed')) })
  await client.connect()
  const failed = client.addSession({ bookId: 1, buyerId: 123, sellerId: 4 }).catch((error) => error)
  await world.clock.advance(20_000)
  expect(await failed).toMatchObject({
    code: 'NETWORK_ERROR',
    text: expect.stringContaining('CORS'),
  })
})
