// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Chat } from '../../src/components/chat/chat'
import { fromRecord } from '../../src/components/chat/timeline'
import ChatWindow from '../../src/components/ChatWindow.vue'
import { FakeClient, session } from './fake-client'
import { chatOver, Mounted, settled } from './mount'

let client: FakeClient
let chat: Chat | undefined
let shown: Mounted | undefined

beforeEach(() => {
  client = new FakeClient(1)
  vi.spyOn(document, 'hasFocus').mockReturnValue(true)
})
afterEach(() => {
  shown?.unmount()
  chat?.stop()
  chat = undefined
  vi.restoreAllMocks()
  localStorage.clear()
})

async function openWith(user: number | string, props: Record<string, unknown> = {}) {
  chat ??= await chatOver(client)
  chat.open(user)
  shown = new Mounted(ChatWindow, props, chat)
  await settled()
  return shown
}

const states = () => shown!.all('message').map((one) => one.dataset['state'])
const queued = () => client.called('queueMessage').map(([request]) => request)

describe('writing', () => {
  it('sends with Enter, as it was written, and empties the field', async () => {
    const pane = await openWith(2)
    await pane.type('composer', '  hello\nyou ')
    const event = await pane.press('composer', 'Enter')
    expect(event.defaultPrevented).toBe(true)
    expect(queued()).toMatchObject([{ toUserId: 2, content: '  hello\nyou ' }])
    expect(pane.get<HTMLTextAreaElement>('composer').value).toBe('')
    expect(states()).toEqual(['sending'])
  })

  it('does not send with Shift+Enter, nor with the Enter that ends a composition', async () => {
    const pane = await openWith(2)
    await pane.type('composer', '你')
    for (const more of [{ shiftKey: true }, { isComposing: true }, { keyCode: 229 }]) {
      const event = await pane.press('composer', 'Enter', more)
      expect(event.defaultPrevented).toBe(false)
    }
    expect(queued()).toEqual([])
  })

  it('does not send what is empty', async () => {
    const pane = await openWith(2)
    await pane.type('composer', ' \n\u00a0 ')
    await pane.press('composer', 'Enter')
    expect(pane.get<HTMLButtonElement>('send').disabled).toBe(true)
    expect(queued()).toEqual([])
  })

  it('counts UTF-16 units without the space around, and stops at the limit', async () => {
    const pane = await openWith(2)
    await pane.type('composer', 'short')
    expect(pane.maybe('counter')).toBeNull()
    await pane.type('composer', `  ${'😀'.repeat(500)}  `)
    expect(pane.get('counter').textContent).toContain('1000/1000')
    expect(pane.get<HTMLButtonElement>('send').disabled).toBe(false)
    await pane.type('composer', `${'😀'.repeat(500)}x`)
    expect(pane.get('counter').textContent).toMatch(/1001\/1000.*1 character too many/s)
    await pane.press('composer', 'Enter')
    expect(queued()).toEqual([])
  })

  it('keeps what was not sent, for each conversation, also after a reload', async () => {
    let pane = await openWith(2)
    await pane.type('composer', 'for two')
    chat!.open(3)
    await settled()
    expect(pane.get<HTMLTextAreaElement>('composer').value).toBe('')
    await pane.type('composer', 'for three')
    chat!.open(2)
    await settled()
    expect(pane.get<HTMLTextAreaElement>('composer').value).toBe('for two')
    pane.unmount()
    chat!.stop()
    chat = undefined
    pane = await openWith(3)
    expect(pane.get<HTMLTextAreaElement>('composer').value).toBe('for three')
    await pane.press('composer', 'Enter')
    expect(localStorage.getItem('im:draft:1:3')).toBeNull()
    expect(localStorage.getItem('im:draft:1:2')).toBe('for two')
  })

  it('keeps the text and says why when it could not even be queued', async () => {
    const pane = await openWith(2)
    client.refusal = Object.assign(new Error('the outbox is full'), { code: 'QUEUE_FULL' })
    await pane.type('composer', 'hi')
    await pane.press('composer', 'Enter')
    expect(pane.get<HTMLTextAreaElement>('composer').value).toBe('hi')
    expect(pane.root.querySelector('[role=alert]')!.textContent).toMatch(/too many messages/)
  })
})

describe('a conversation', () => {
  it('shows marks, and offers to send again what failed', async () => {
    client.past(2, 2, 1, 'theirs', 1000)
    client.past(2, 1, 2, 'sent', 2000, 1)
    client.past(2, 1, 3, 'delivered', 3000, 2)
    client.past(2, 1, 4, 'read', 4000, 3)
    const pane = await openWith(2)
    await pane.type('composer', 'failing')
    await pane.press('composer', 'Enter')
    client.fail(client.last(), 'MESSAGE_EXPIRED')
    await settled()
    expect(states()).toEqual(['received', 'sent', 'delivered', 'read', 'failed'])
    expect(pane.root.textContent).toContain('its time was over')
    await pane.click('retry')
    expect(states().at(-1)).toBe('sending')
    expect(queued().at(-1)).toMatchObject({ content: 'failing' })
  })

  it('marks as read what is seen at the end, but not while nobody looks', async () => {
    client.past(2, 2, 1, 'a', 1000, 2)
    const pane = await openWith(2)
    expect(client.called('markRead')).toEqual([[2, 1]])
    window.dispatchEvent(new Event('blur'))
    client.receive(2, 2, 'b')
    await settled()
    expect(client.called('markRead')).toHaveLength(1)
    expect(pane.get('divider-new').nextElementSibling!.textContent).toContain('b')
    window.dispatchEvent(new Event('focus'))
    await settled()
    expect(client.called('markRead').at(-1)).toEqual([2, 2])
  })

  it('with more new messages than are in view is not read at once', async () => {
    vi.spyOn(HTMLElement.prototype, 'clientHeight', 'get').mockReturnValue(600)
    vi.spyOn(HTMLElement.prototype, 'scrollHeight', 'get').mockReturnValue(40_000)
    for (let i = 1; i <= 100; i++) client.past(2, 2, i, `m${i}`, i * 1000, i < 20 ? 3 : 2)
    client.sessions = [session(1, 1, 2, { buyerReaded: 81 })]
    await openWith(2)
    expect(chat!.current.value!.unread).toBe(81)
    expect(client.called('markRead')).toEqual([])
    expect(shown!.get('jump-newest').textContent).toContain('81')
    await shown!.click('jump-newest')
    expect(client.called('markRead')).toEqual([[2, 100]])
  })

  it('shows who writes, and who is there', async () => {
    const pane = await openWith(2)
    client.tell('presence', { user: 2, online: true, lastSeen: null })
    await settled()
    expect(pane.get('presence').textContent).toBe('Online')
    client.tell('typing', { fromUser: 2, active: true })
    await settled()
    expect(pane.get('typing').textContent).toContain('is writing')
  })

  it('whose session is over can’t be written in, but begun anew', async () => {
    client.sessions = [session(5, 1, 2, { bookId: 7, sessionStatus: 2 })]
    const pane = await openWith(2)
    expect(pane.maybe('composer')).toBeNull()
    await pane.click('renew')
    expect(client.called('getOrCreateSession')).toEqual([[7, 1, 2]])
    expect(pane.maybe('composer')).not.toBeNull()
  })

  it('is the one of the session that it is given', async () => {
    client.past(3, 3, 1, 'from three', 1000)
    const pane = await openWith(2, { session: session(9, 1, 3) })
    expect(pane.root.textContent).toContain('from three')
    await pane.type('composer', 'hi')
    await pane.press('composer', 'Enter')
    expect(queued()).toMatchObject([{ toUserId: 3, sessionId: 9 }])
  })

  it('goes back with Escape', async () => {
    const onBack = vi.fn()
    const pane = await openWith(2, { onBack })
    await pane.press('composer', 'Escape')
    await pane.click('back')
    expect(onBack).toHaveBeenCalledTimes(2)
  })
})

describe('without a chat', () => {
  const given = session(9, 1, 2)

  it('shows what it is given, and says what was written', async () => {
    const onSendMessage = vi.fn()
    const record = {
      msgId: 1,
      senderId: 2,
      receiverId: 1,
      messageType: 'text',
      content: '<b>x</b>',
    }
    const messages = [fromRecord({ ...record, messageStatus: 1, sendTime: '1000' }, 1)]
    shown = new Mounted(ChatWindow, { session: given, messages, onSendMessage })
    await settled()
    expect(shown.get('message').textContent).toContain('<b>x</b>')
    await shown.type('composer', 'hello')
    await shown.press('composer', 'Enter')
    expect(onSendMessage.mock.calls).toEqual([['hello']])
    expect(shown.all('message')).toHaveLength(1)
  })

  it('asks to choose a conversation when there is none', () => {
    shown = new Mounted(ChatWindow, { session: null })
    expect(shown.root.textContent).toContain('Choose a conversation')
    expect(shown.maybe('composer')).toBeNull()
  })
})
