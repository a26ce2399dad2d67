import { expect, test } from 'vitest'
import type { IMClient } from '../../src/client'
import { listen, roleOf, settle, until, World } from '../kit/world'

/** Two tabs that are connected: one leads, one follows. */
async function two(world: World): Promise<{
  leader: IMClient
  follower: IMClient
  crash: () => void
  tab: ReturnType<World['tab']>
}> {
  const tab = world.tab()
  const leader = tab.client()
  await leader.connect()
  const follower = world.tab().client()
  await follower.connect()
  expect([leader.role, follower.role]).toEqual(['leader', 'follower'])
  return { leader, follower, crash: () => tab.crash(), tab }
}

test('two tabs have one connection and one device, and both are told that they are connected', async () => {
  const world = new World()
  const leader = world.tab().client()
  const follower = world.tab().client()
  const heard = listen(follower, 'connected', 'authenticated', 'stateChanged')
  await leader.connect()
  await follower.connect()
  await settle()
  expect(world.server.links).toHaveLength(1)
  expect(follower.getConnectionState().status).toBe('authenticated')
  expect(follower.deviceId).toBe(leader.deviceId)
  expect(follower.capabilities).toEqual(leader.capabilities)
  expect(follower.guarantee).toBe('exactly-once')
  const names = heard.map(([name]) => name).filter((name) => name !== 'stateChanged')
  expect(names).toEqual(['connected', 'authenticated'])
  expect(follower.explain()).toContain('AUTHENTICATED')
})

test('a follower is told that it is logged in where the connection was there before', async () => {
  const world = new World()
  await world.tab().client().connect()
  const follower = world.tab().client()
  const heard = listen(follower, 'stateChanged')
  await follower.connect()
  await settle()
  expect(heard.at(-1)).toMatchObject(['stateChanged', { status: 'authenticated' }])
})

test('a follower connects a leader that is not, and is told what goes on', async () => {
  const world = new World()
  const leader = world.tab().client()
  await roleOf(leader, 'leader')
  const other = world.tab().client()
  const heard = listen(other, 'connected', 'authenticated')
  await other.connect()
  await settle()
  // only a tab that wants the connection leads one
  expect([leader.role, other.role]).toEqual(['follower', 'leader'])
  expect(heard).toEqual([['connected'], ['authenticated']])
  expect(leader.getConnectionState().status).toBe('disconnected')
})

test('a follower sends, and both tabs see what becomes of it', async () => {
  const world = new World()
  const { leader, follower } = await two(world)
  const ofLeader = listen(leader, 'messageSent')
  const ofFollower = listen(follower, 'messageSent')
  const sent = await follower.sendMessage({ toUserId: 456, content: 'hello' })
  expect(sent).toMatchObject({ status: 'accepted', content: 'hello', sessionId: 1000 })
  await settle()
  expect(world.server.accepted).toHaveLength(1)
  expect(ofFollower).toEqual([['messageSent', sent]])
  expect(ofLeader).toMatchObject([['messageSent', { content: 'hello', key: sent.key }]])
  expect(follower.outbox).toEqual([])
})

test('what one tab has queued the others see as well, and can withdraw', async () => {
  const world = new World()
  const { leader, follower } = await two(world)
  world.server.answers['CHAT_SEND_TO_ONE_REQUEST'] = null
  leader.queueMessage({ toUserId: 456, content: 'first' })
  const second = leader.queueMessage({ toUserId: 456, content: 'second', key: 'k2' })
  await settle()
  world.server.refuse = true
  world.server.link().drop()
  await settle()
  const third = follower.queueMessage({ toUserId: 7, content: 'third' })
  await settle()
  expect(follower.outbox.map(({ content }) => content)).toEqual(['first', 'second', 'third'])
  expect(leader.outbox.map(({ content }) => content)).toEqual(['first', 'second', 'third'])
  expect(third.cancel()).toBe(true)
  await settle()
  expect(third.status).toBe('cancelled')
  expect(leader.outbox.map(({ content }) => content)).toEqual(['first', 'second'])
  expect(second.status).toBe('in_flight')
})

test('a follower is told why its message is refused', async () => {
  const world = new World()
  const { follower } = await two(world)
  const heard = listen(follower, 'messageFailed')
  await expect(follower.sendMessage({ toUserId: 456, content: ' ' })).rejects.toMatchObject({
    code: 'MESSAGE_FORMAT_ERROR',
  })
  world.server.answers['CHAT_SEND_TO_ONE_REQUEST'] = (link, { msgId }) =>
    link.push('CHAT_SEND_RESPONSE', { msgId, code: 403, message: 'blocked' })
  await expect(follower.sendMessage({ toUserId: 456, content: 'x' })).rejects.toMatchObject({
    ...{ code: 'MESSAGE_SEND_FAILED', serverText: 'blocked', sent: { content: 'x' } },
  })
  await settle()
  expect(heard.at(-1)?.[1]).toMatchObject({ code: 'MESSAGE_SEND_FAILED' })
})

test('a received message is handled by the leader, and a follower gets a copy', async () => {
  const world = new World()
  const { leader, follower } = await two(world)
  const got: string[] = []
  follower.setCallbacks({
    messageReceived: (message) => {
      got.push(`follower ${message.content}`)
      message.ack() // does nothing
    },
  })
  world.server.message(123, { content: 'hi', fromUser: 9, msgId: 1 })
  await world.clock.advance(1000)
  expect([got, world.server.acked(123)]).toEqual([['follower hi'], 0])
  leader.setCallbacks({ messageReceived: ({ content }) => void got.push(`leader ${content}`) })
  await world.clock.advance(1000)
  expect([got, world.server.acked(123)]).toEqual([['follower hi', 'leader hi'], 1])
})

test('a follower asks about sessions, and has them in its cache', async () => {
  const world = new World()
  const { leader, follower } = await two(world)
  const session = await follower.getOrCreateSession(1, 123, 456)
  expect(session).toMatchObject({ bookId: 1 })
  expect(follower.getCachedSession(session.id)).toEqual(session)
  expect(leader.getAllCachedSessions()).toEqual([session])
  await expect(follower.getHistory({})).rejects.toThrow('history takes')
  const late = world.tab().client()
  await late.connect()
  expect(late.getAllCachedSessions()).toEqual([session])
})

test('when the tab that leads crashes with a send open, it is sent once', async () => {
  const world = new World()
  const { follower, crash } = await two(world)
  const heard = listen(follower, 'disconnected', 'connected', 'authenticated', 'reconnected')
  world.server.answers['CHAT_SEND_TO_ONE_REQUEST'] = (link, message) => {
    world.server.accept(link, message, false) // the answer never comes
  }
  const taken = follower.queueMessage({ toUserId: 456, content: 'taken' })
  await until(() => world.server.accepted.length === 1)
  delete world.server.answers['CHAT_SEND_TO_ONE_REQUEST']
  const before = follower.deviceId
  crash()
  const waits = follower.queueMessage({ toUserId: 456, content: 'asked of nobody' })
  expect(follower.role).toBe('follower')
  await taken.accepted()
  await waits.accepted()
  await settle()
  expect(follower.role).toBe('leader')
  expect(follower.deviceId).toBe(before)
  expect(world.server.accepted.map(({ content }) => content)).toEqual(['taken', 'asked of nobody'])
  expect(heard).toEqual([['disconnected'], ['connected'], ['authenticated'], ['reconnected']])
})

test('a log-in that was lost before its tab was is told as a return as well', async () => {
  const world = new World()
  const { follower, crash } = await two(world)
  world.server.refuse = true
  world.server.link().drop()
  await settle()
  crash()
  const heard = listen(follower, 'disconnected', 'authenticated', 'reconnected')
  world.server.refuse = false
  await until(() => follower.getConnectionState().status === 'authenticated')
  await settle()
  expect(heard).toEqual([['authenticated'], ['reconnected']])
})

test('a send that the next leader has no memory of is in doubt, and not sent twice', async () => {
  const world = new World()
  const tab = world.tab()
  await tab.client({ storage: 'memory' }).connect()
  const follower = world.tab().client({ storage: 'memory' })
  await follower.connect()
  world.server.answers['CHAT_SEND_TO_ONE_REQUEST'] = (link, message) => {
    world.server.accept(link, message, false)
  }
  const sent = follower.queueMessage({ toUserId: 456, content: 'taken' })
  await until(() => sent.status === 'in_flight')
  tab.crash()
  await expect(sent.accepted()).rejects.toMatchObject({ code: 'IN_DOUBT' })
  expect(world.server.accepted).toHaveLength(1)
})

test('a leader that is closed in order hands over, and the others go on', async () => {
  const world = new World()
  const { leader, follower } = await two(world)
  const third = world.tab().client()
  await third.connect()
  const heard = listen(third, 'disconnected', 'reconnected')
  await leader.close()
  await until(() => third.getConnectionState().status === 'authenticated' && heard.length === 2)
  expect([follower.role, third.role]).toEqual(['leader', 'follower'])
  expect(heard).toEqual([['disconnected'], ['reconnected']])
  const sent = await third.sendMessage({ toUserId: 456, content: 'goes on' })
  expect(sent.status).toBe('accepted')
  expect(world.server.links.filter(({ open }) => open)).toHaveLength(1)
})

test('disconnect in one tab leaves the others their connection', async () => {
  const world = new World()
  const { leader, follower } = await two(world)
  const ofLeader = listen(leader, 'disconnected')
  await leader.disconnect()
  await until(() => follower.role === 'leader')
  await until(() => follower.getConnectionState().status === 'authenticated')
  expect(ofLeader).toEqual([['disconnected']])
  expect(leader.getConnectionState().reason).toBe('disconnected by the application')
  const got = listen(leader, 'messageReceived', 'connected')
  world.server.message(123, { content: 'not for it', fromUser: 9, msgId: 1 })
  await settle()
  expect(got).toEqual([])
  await leader.connect()
  expect([leader.role, leader.getConnectionState().status]).toEqual(['follower', 'authenticated'])
  await follower.disconnect()
  await until(() => leader.role === 'leader')
  await until(() => leader.getConnectionState().status === 'authenticated')
  await leader.disconnect()
  await settle()
  expect(world.server.links.every(({ open }) => !open)).toBe(true)
})

test('a disconnect of a follower ends nothing', async () => {
  const world = new World()
  const { leader, follower } = await two(world)
  const heard = listen(follower, 'disconnected', 'heartbeatSent')
  await follower.disconnect()
  expect(follower.getConnectionState().status).toBe('disconnected')
  await world.clock.advance(31_000)
  expect(heard).toEqual([['disconnected']])
  expect(leader.getConnectionState().status).toBe('authenticated')
})

test('a page that is frozen lets another lead, and comes back as a follower', async () => {
  const world = new World()
  const { leader, follower, tab } = await two(world)
  const heard = listen(leader, 'disconnected', 'authenticated')
  tab.document.dispatchEvent(new Event('freeze'))
  expect(leader.getConnectionState().reason).toBe('the browser has put this page to sleep')
  await until(() => follower.role === 'leader')
  await until(() => follower.getConnectionState().status === 'authenticated')
  tab.document.dispatchEvent(new Event('resume'))
  await until(() => leader.getConnectionState().status === 'authenticated')
  await settle()
  expect(leader.role).toBe('follower')
  expect(heard).toEqual([['disconnected'], ['authenticated']])
})

test('a page that comes back out of the cache alone leads again', async () => {
  const world = new World()
  const tab = world.tab()
  const client = tab.client()
  await client.connect()
  tab.window.dispatchEvent(new Event('pagehide'))
  expect(client.role).toBe('follower')
  await settle()
  expect(world.server.link().open).toBe(false)
  tab.window.dispatchEvent(new Event('pageshow'))
  await until(() => client.getConnectionState().status === 'authenticated')
  expect(client.role).toBe('leader')
})

test('a new token is known to the tab that leads next', async () => {
  const tokens = ['a-token']
  const world = new World({ tokens })
  const { leader, follower, crash } = await two(world)
  tokens[0] = 'second'
  leader.updateAccessToken('second')
  await settle()
  crash()
  await until(() => follower.role === 'leader')
  await until(() => follower.getConnectionState().status === 'authenticated')
  tokens[0] = 'third'
  world.server.link().drop()
  await world.clock.advance(10_000)
  expect(follower.getConnectionState().lastError?.code).toBe('TOKEN_INVALID')
  const late = world.tab().client()
  late.updateAccessToken('third')
  await until(() => follower.getConnectionState().status === 'authenticated')
})

test('without locks a tab is alone, with a device of its own, and says so', async () => {
  const world = new World()
  const one = world.tab().client({}, { locks: undefined })
  const other = world.tab().client({}, { BroadcastChannel: undefined })
  const heard = listen(one, 'notice')
  await one.connect()
  await other.connect()
  expect([one.role, other.role]).toEqual(['alone', 'alone'])
  expect(one.deviceId).not.toBe(other.deviceId)
  expect(heard[0]?.[1]).toMatchObject({
    type: 'TabsUnavailable',
    reason: expect.stringContaining('https'),
  })
  expect(await world.disk.databases()).toEqual([])
})

test('a page that the browser gives no lock is alone as well', async () => {
  const world = new World()
  const request = (): Promise<never> => Promise.reject(new DOMException('no', 'SecurityError'))
  const client = world.tab().client({}, { locks: { request } })
  const heard = listen(client, 'notice')
  await client.connect()
  expect([client.role, client.getConnectionState().status]).toEqual(['alone', 'authenticated'])
  await settle()
  expect(heard[0]?.[1]).toMatchObject({ type: 'TabsUnavailable' })
  expect(await world.disk.databases()).toEqual([])
})

test('with tabs false a tab is alone, and nothing needs to be said', async () => {
  const world = new World()
  const client = world.tab().client({ tabs: false })
  const heard = listen(client, 'notice')
  await client.connect()
  await settle()
  expect(client.role).toBe('alone')
  expect(heard.map(([, event]) => Object(event).type)).toEqual(['GuaranteeChanged'])
})

test('an error comes to a follower as what it is', async () => {
  const world = new World()
  const { follower } = await two(world)
  const heard = listen(follower, 'error')
  world.server.link().close(4004, 'the phone won')
  await settle()
  expect(heard[0]?.[1]).toMatchObject({
    name: 'IMError',
    code: 'CONNECTION_LOST',
    serverCode: 4004,
  })
  expect(follower.getConnectionState().lastError).toMatchObject({ serverText: 'the phone won' })
  await expect(follower.sendMessage({ toUserId: 1, content: 'x' })).rejects.toMatchObject({
    code: 'CONNECTION_LOST',
  })
})
