// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Chat } from '../../src/components/chat/chat'
import type { Conversation } from '../../src/components/chat/conversations'
import type { HistoryRequest } from '../../src/types'
import { AUTHENTICATED, FakeClient, session } from './fake-client'
import { chatOver, settled } from './mount'

let client: FakeClient
let chat: Chat

beforeEach(() => {
  client = new FakeClient(1)
  vi.spyOn(document, 'hasFocus').mockReturnValue(true)
})
afterEach(() => {
  chat.stop()
  vi.useRealTimers()
  vi.restoreAllMocks()
  localStorage.clear()
})

const texts = (conversation: Conversation) => conversation.messages.map((entry) => entry.content)
const states = (conversation: Conversation) => conversation.messages.map((entry) => entry.state)

function open(user: number | string): Conversation {
  chat.open(user)
  return chat.current.value!
}

describe('conversations', () => {
  it('are one for each other user, the newest first, with the last message', async () => {
    client.sessions = [session(1, 1, 2), session(2, 3, 1), session(3, 1, 2, { bookId: 7 })]
    client.past(2, 2, 10, 'older', 1000)
    client.past(3, 1, 11, 'newer', 2000)
    chat = await chatOver(client)
    expect(chat.conversations.value.map((one) => one.user)).toEqual([3, 2])
    expect(chat.conversations.value.map(texts)).toEqual([['newer'], ['older']])
    expect(chat.conversations.value[1]!.sessions.map((one) => one.id)).toEqual([3, 1])
  })

  it('write in the newest session that is open', async () => {
    client.sessions = [session(1, 1, 2), session(2, 1, 2, { bookId: 7, sessionStatus: 2 })]
    chat = await chatOver(client)
    chat.send(open(2), 'hi')
    expect(client.called('queueMessage')).toEqual([[{ toUserId: 2, content: 'hi', sessionId: 1 }]])
  })

  it('can be opened with somebody with whom there is no session', async () => {
    chat = await chatOver(client)
    chat.send(open('bravo'), 'hi')
    expect(client.called('queueMessage')).toEqual([[{ toUserId: 'bravo', content: 'hi' }]])
  })

  it('ask a plain server for the history of the session, not of the user', async () => {
    client.capabilities = []
    client.sessions = [session(5, 1, 2)]
    chat = await chatOver(client)
    expect(client.called('getHistory')).toEqual([[{ sessionId: 5, pageSize: 50 }]])
  })

  it.each([[['seq', 'sessions']], [[]]])(
    'opened before the log-in have their history after it (%j)',
    async (capabilities) => {
      client.state = { ...AUTHENTICATED, status: 'connecting' }
      client.capabilities = []
      client.sessions = [session(5, 1, 2)]
      client.past(2, 2, 10, 'of all sessions', 1000)
      client.history.set('session:5', client.history.get('2')!)
      chat = await chatOver(client)
      const conversation = open(2)
      await settled()
      expect(client.called('getHistory')).toEqual([])
      client.capabilities = capabilities
      client.become({})
      await settled()
      expect(texts(conversation)).toEqual(['of all sessions'])
      expect(conversation.older).toBe('none')
    },
  )
})

describe('messages', () => {
  it('that come while a page is on its way are there once, in order', async () => {
    let release = () => {}
    client.holdHistory = new Promise((go) => (release = go))
    client.sessions = [session(1, 1, 2)]
    client.past(2, 2, 10, 'past', 1000, 3)
    client.past(2, 2, 11, 'both', 2000, 2)
    chat = await chatOver(client)
    client.receive(2, 11, 'both', { timestamp: 2000 })
    client.receive(2, 12, 'live', { timestamp: 3000 })
    release()
    await settled()
    expect(texts(open(2))).toEqual(['past', 'both', 'live'])
    expect(chat.current.value!.unread).toBe(2)
  })

  it('come in pages, until there are no more', async () => {
    client.sessions = [session(1, 1, 2)]
    for (let i = 1; i <= 120; i++) client.past(2, 2, i, `m${i}`, i * 1000)
    chat = await chatOver(client)
    const conversation = open(2)
    expect(conversation.messages).toHaveLength(50)
    await chat.loadOlder(conversation)
    await chat.loadOlder(conversation)
    expect(conversation.messages).toHaveLength(120)
    expect(conversation.older).toBe('none')
    expect(texts(conversation)[0]).toBe('m1')
    await chat.loadOlder(conversation)
    expect(client.called('getHistory')).toHaveLength(3)
  })

  it('that could not be loaded are when the user asks again, or after a log-in', async () => {
    client.past(2, 2, 10, 'past', 1000)
    client.past(3, 3, 11, 'past', 1000)
    chat = await chatOver(client)
    const refuse = () => vi.spyOn(client, 'getHistory').mockRejectedValueOnce(new Error('refused'))
    refuse()
    const first = open(2)
    await settled()
    expect([first.older, texts(first)]).toEqual(['failed', []])
    await chat.loadOlder(first)
    expect([first.older, texts(first)]).toEqual(['none', ['past']])
    refuse()
    const second = open(3)
    await settled()
    client.become({ status: 'reconnecting' })
    await settled()
    client.become({})
    await settled()
    expect([second.older, texts(second)]).toEqual(['none', ['past']])
  })

  it('of before are loaded after the next log-in, if the connection is lost', async () => {
    client.sessions = [session(1, 1, 2)]
    for (let i = 1; i <= 60; i++) client.past(2, 2, i, `m${i}`, i * 1000)
    chat = await chatOver(client)
    const conversation = open(2)
    client.become({ status: 'reconnecting' })
    client.capabilities = [] // nothing is granted on the next link yet
    await chat.loadOlder(conversation)
    expect(conversation.older).toBe('failed')
    client.capabilities = ['seq', 'sessions']
    client.become({})
    await settled()
    expect(conversation.older).toBe('some')
    await chat.loadOlder(conversation)
    expect(conversation.messages).toHaveLength(60)
    expect(
      client.called('getHistory').map(([request]) => (request as HistoryRequest).peerId),
    ).toEqual([2, 2, 2])
  })

  it('are loaded again when some may be missing; a gap begins anew', async () => {
    client.sessions = [session(1, 1, 2)]
    client.past(2, 2, 1, 'first', 1000)
    chat = await chatOver(client)
    const conversation = open(2)
    for (let i = 2; i <= 100; i++) client.past(2, 2, i, `m${i}`, i * 1000)
    client.tell('notice', { type: 'MessagesMayBeMissing', oldest: 1 })
    await settled()
    expect(texts(conversation)[0]).toBe('m51')
    expect(conversation.older).toBe('some')
  })

  it('go from sending over sent and delivered to read', async () => {
    chat = await chatOver(client)
    const conversation = open(2)
    chat.send(conversation, 'hi')
    expect(states(conversation)).toEqual(['sending'])
    const sent = client.last()
    client.settle(sent, 'in_flight', { msgId: 77 })
    client.settle(sent, 'accepted', { timestamp: 5000 })
    expect(states(conversation)).toEqual(['sent'])
    const receipt = { msgIds: [77], user: 2, sessionId: null, timestamp: null }
    client.tell('receipt', { ...receipt, status: 'delivered' })
    expect(states(conversation)).toEqual(['delivered'])
    client.tell('receipt', { ...receipt, status: 'read' })
    expect(states(conversation)).toEqual(['read'])
  })

  it('that failed can be sent again, or discarded', async () => {
    chat = await chatOver(client)
    const conversation = open(2)
    chat.send(conversation, 'hi')
    client.fail(client.last(), 'MESSAGE_SEND_FAILED')
    expect(states(conversation)).toEqual(['failed'])
    chat.retry(conversation, conversation.messages[0]!)
    expect(states(conversation)).toEqual(['sending'])
    expect(client.called('queueMessage')).toHaveLength(2)
    client.fail(client.last(), 'IN_DOUBT')
    chat.discard(conversation, conversation.messages[0]!)
    expect(conversation.messages).toEqual([])
  })

  it('of before a reload, which wait in the outbox, are there', async () => {
    client.queueMessage({ toUserId: 2, content: 'waits' })
    chat = await chatOver(client)
    expect(states(open(2))).toEqual(['sending'])
    expect(chat.banner.value.queued).toBe(1)
  })

  it('of this user’s other devices are own ones', async () => {
    client.sessions = [session(1, 1, 2)]
    chat = await chatOver(client)
    const event = { toUser: 2, content: 'elsewhere', sessionId: 1, msgId: 5, messageType: 'text' }
    client.tell('ownMessage', { ...event, timestamp: 1000, seq: 1 })
    expect(open(2).messages).toMatchObject([{ mine: true, state: 'sent', content: 'elsewhere' }])
  })
})

describe('what is unread', () => {
  beforeEach(() => {
    client.sessions = [session(1, 1, 2, { buyerReaded: 2 })]
    client.past(2, 2, 1, 'read', 1000, 3)
    client.past(2, 2, 2, 'new', 2000, 2)
    client.past(2, 2, 3, 'newer', 3000, 2)
  })

  it('is counted, and marked where it begins', async () => {
    chat = await chatOver(client)
    const conversation = chat.conversations.value[0]!
    expect(conversation.unread).toBe(2)
    expect(conversation.divider).toBe('2:2')
  })

  it('is not counted twice when it comes again after a lost link', async () => {
    chat = await chatOver(client)
    client.become({ status: 'reconnecting' })
    await settled()
    client.past(2, 2, 4, 'newest', 4000, 1)
    client.sessions = [session(1, 1, 2, { buyerReaded: 3 })]
    client.become({})
    await settled()
    client.receive(2, 4, 'newest', { timestamp: 4000 })
    expect(chat.conversations.value[0]!.unread).toBe(3)
    expect(client.called('getHistory')).toHaveLength(1)
  })

  it('is read when the user looks at it, and the server is told the last one', async () => {
    chat = await chatOver(client)
    const conversation = open(2)
    chat.seen(conversation)
    expect(conversation.unread).toBe(0)
    expect(client.called('markRead')).toEqual([[2, 3]])
    chat.seen(conversation)
    expect(client.called('markRead')).toHaveLength(1)
    expect(conversation.divider).toBe('2:2')
    chat.open(null)
    expect(conversation.divider).toBeNull()
  })

  it('is less when it was read elsewhere', async () => {
    chat = await chatOver(client)
    client.tell('readElsewhere', { fromUser: 2, msgId: 2 })
    expect(chat.conversations.value[0]!.unread).toBe(1)
  })

  it('is less when it was read in another tab, which is told nothing by the server', async () => {
    chat = await chatOver(client)
    const other = await chatOver(client)
    chat.seen(open(2))
    const [key, newValue] = ['im:read:1', localStorage.getItem('im:read:1')]
    window.dispatchEvent(new StorageEvent('storage', { key, newValue }))
    expect(other.conversations.value[0]!.unread).toBe(0)
    other.stop()
  })

  it('is in the title, as long as the chat lives', async () => {
    document.title = 'Shop'
    chat = await chatOver(client, { titleBadge: true })
    expect(document.title).toBe('(2) Shop')
    chat.seen(open(2))
    await settled()
    expect(document.title).toBe('Shop')
    client.receive(2, 9, 'hey')
    await settled()
    chat.stop()
    expect(document.title).toBe('Shop')
  })

  it('has no divider while the user watches, and one when the user looks away', async () => {
    client.sessions = [session(1, 1, 3)]
    chat = await chatOver(client)
    const conversation = open(3)
    client.receive(3, 50, 'seen at once')
    expect(conversation.divider).toBeNull()
    chat.seen(conversation)
    window.dispatchEvent(new Event('blur'))
    client.receive(3, 51, 'not seen')
    client.receive(3, 52, 'nor this')
    expect(conversation.divider).toBe('3:51')
    expect(conversation.unread).toBe(2)
  })
})

describe('typing', () => {
  it('of the other one ends with a message, or when it is old', async () => {
    vi.useFakeTimers()
    chat = await chatOver(client)
    const conversation = open(2)
    client.tell('typing', { fromUser: 2, active: true })
    expect(conversation.typing).toBe(true)
    client.receive(2, 1, 'done')
    expect(conversation.typing).toBe(false)
    client.tell('typing', { fromUser: 2, active: true })
    vi.advanceTimersByTime(5_900)
    expect(conversation.typing).toBe(true)
    vi.advanceTimersByTime(200)
    expect(conversation.typing).toBe(false)
  })

  it('of this user is told, and its end: when nothing is pressed, and when it is sent', async () => {
    vi.useFakeTimers()
    chat = await chatOver(client)
    const conversation = open(2)
    chat.pressed(conversation, true)
    vi.advanceTimersByTime(3_100)
    expect(client.called('setTyping')).toEqual([
      [2, true],
      [2, false],
    ])
    chat.pressed(conversation, true)
    chat.send(conversation, 'x')
    vi.advanceTimersByTime(10_000)
    expect(client.called('setTyping').slice(2)).toEqual([
      [2, true],
      [2, false],
    ])
  })
})

it('shows presence', async () => {
  chat = await chatOver(client)
  client.tell('presence', { user: 2, online: true, lastSeen: null })
  expect(open(2).online).toBe(true)
  client.tell('presence', { user: 2, online: false, lastSeen: 5000 })
  expect(open(2)).toMatchObject({ online: false, lastSeen: 5000 })
})

it('does not know who is online while there is no connection', async () => {
  chat = await chatOver(client)
  client.tell('presence', { user: 2, online: true, lastSeen: null })
  client.become({ status: 'reconnecting', attempts: 1 })
  await settled()
  expect(open(2).online).toBeNull()
})

describe('alerts', () => {
  class Shown {
    static all: Shown[] = []
    static permission = 'default'
    static requestPermission = async () => (Shown.permission = 'granted')
    onclick = () => {}
    close() {}
    constructor(
      readonly title: string,
      readonly options: { body: string },
    ) {
      Shown.all.push(this)
    }
  }

  beforeEach(() => {
    Shown.all = []
    Shown.permission = 'default'
    vi.stubGlobal('Notification', Shown)
  })
  afterEach(() => void vi.unstubAllGlobals())

  it('ask for nothing by themselves, and show only what nobody sees', async () => {
    chat = await chatOver(client, { nameOf: () => 'Mira' })
    window.dispatchEvent(new Event('blur'))
    client.receive(2, 1, 'one')
    expect(Shown.all).toEqual([])
    await chat.alerts.ask()
    client.receive(2, 2, 'two')
    expect(Shown.all).toMatchObject([{ title: 'Message from Mira', options: { body: 'two' } }])
    Shown.all[0]!.onclick()
    expect(chat.current.value!.user).toBe(2)
    window.dispatchEvent(new Event('focus'))
    client.receive(2, 3, 'three')
    client.receive(3, 4, 'in another conversation')
    expect(Shown.all).toHaveLength(1)
  })

  it('are silent when muted, and stay so', async () => {
    const tones: number[] = []
    const node = {
      connect: () => node,
      gain: { setValueAtTime() {}, exponentialRampToValueAtTime() {} },
    }
    class Audio {
      currentTime = 0
      destination = {}
      resume = async () => {}
      close = async () => {}
      createGain = () => node
      createOscillator = () => ({
        ...node,
        frequency: { value: 0 },
        start: (at: number) => tones.push(at),
        stop() {},
      })
    }
    vi.stubGlobal('AudioContext', Audio)
    chat = await chatOver(client)
    client.receive(2, 1, 'one')
    expect(tones).toHaveLength(2)
    chat.alerts.toggleMute()
    client.receive(2, 2, 'two')
    expect(tones).toHaveLength(2)
    chat.stop()
    chat = await chatOver(client)
    expect(chat.alerts.muted.value).toBe(true)
  })
})
