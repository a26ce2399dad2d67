// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createApp } from 'vue'
import { bannerOf } from '../../src/components/chat/banner'
import { provideIM } from '../../src/components/chat/inject'
import ChatPage from '../../src/components/ChatPage.vue'
import SessionList from '../../src/components/SessionList.vue'
import type { ConnectionState, IMError } from '../../src/types'
import { AUTHENTICATED, FakeClient, session } from './fake-client'
import { Mounted, settled } from './mount'

let client: FakeClient
let shown: Mounted | undefined

beforeEach(() => {
  client = new FakeClient(1)
  client.sessions = [session(1, 1, 2, { bookId: 42 }), session(2, 1, 3, { sessionStatus: 2 })]
  client.past(2, 2, 10, 'newest of two', 2000, 2)
  client.past(3, 3, 11, 'of three', 1000, 3)
  vi.spyOn(document, 'hasFocus').mockReturnValue(true)
})
afterEach(() => {
  shown?.unmount()
  vi.useRealTimers()
  vi.restoreAllMocks()
  localStorage.clear()
})

async function page(props: Record<string, unknown> = {}) {
  const names: Record<string, string> = { 2: 'Mira', 3: '<img src=x onerror=alert(1)>' }
  const options = { nameOf: (user: unknown) => names[String(user)] }
  shown = new Mounted(ChatPage, { client, lang: 'en', options, ...props })
  await settled()
  return shown
}

const items = () => shown!.all('session-item')
const banner = () => shown!.maybe('banner')

describe('the list', () => {
  it('shows names, last messages, unread numbers and what is over', async () => {
    await page()
    expect(items().map((one) => one.dataset['user'])).toEqual(['2', '3'])
    expect(items()[0]!.textContent).toMatch(/Mira.*newest of two.*1.*Book 42.*Active/s)
    expect(items()[1]!.textContent).toMatch(/<img src=x onerror=alert\(1\)>.*Expired/s)
    expect(shown!.root.querySelector('img')).toBeNull()
  })

  it('is searched by name, message and book', async () => {
    await page()
    for (const [sought, found] of [
      ['mir', ['2']],
      ['of three', ['3']],
      ['book 42', ['2']],
      ['nobody', []],
    ] as const) {
      await shown!.type('session-search', sought)
      expect(items().map((one) => one.dataset['user'])).toEqual(found)
    }
    expect(shown!.root.textContent).toContain('Nothing found')
  })

  it('is gone through with the arrow keys, and is one stop of the tab key', async () => {
    await page()
    expect(items().map((one) => one.tabIndex)).toEqual([0, -1])
    items()[0]!.focus()
    const press = (key: string) =>
      document.activeElement!.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))
    press('ArrowDown')
    expect(document.activeElement).toBe(items()[1])
    press('ArrowDown')
    expect(document.activeElement).toBe(items()[1])
    press('ArrowUp')
    expect(document.activeElement).toBe(items()[0])
    press('End')
    expect(document.activeElement).toBe(items()[1])
    press('Home')
    expect(document.activeElement).toBe(items()[0])
  })

  it('opens a conversation, tells the screen reader which, and moves to the field', async () => {
    await page()
    items()[0]!.click()
    await settled()
    expect(items().map((one) => one.getAttribute('aria-current'))).toEqual(['true', null])
    expect(document.activeElement).toBe(shown!.get('composer'))
    await shown!.press('composer', 'Escape')
    expect(document.activeElement).toBe(items()[0])
  })

  it('without a chat shows the sessions that it is given, and says which was chosen', async () => {
    const onSessionSelect = vi.fn()
    const sessions = [session(1, 1, 2), session(2, 3, 1)]
    shown = new Mounted(SessionList, { sessions, userId: 1, onSessionSelect })
    expect(items().map((one) => one.dataset['user'])).toEqual(['2', '3'])
    items()[1]!.click()
    expect(onSessionSelect.mock.calls).toEqual([[sessions[1]]])
  })
})

describe('a new conversation', () => {
  async function ask(user: string, book = '') {
    await page()
    await shown!.click('new-session')
    await shown!.type('new-session-user', user)
    await shown!.type('new-session-book', book)
    shown!.get('new-session-dialog').querySelector('form')!.dispatchEvent(new Event('submit'))
    await settled()
  }

  it('without a book needs only the user', async () => {
    await ask('bravo')
    expect(items().map((one) => one.dataset['user'])).toContain('bravo')
    expect(client.called('getOrCreateSession')).toEqual([])
    await shown!.type('composer', 'hi')
    await shown!.press('composer', 'Enter')
    expect(client.called('queueMessage')).toEqual([[{ toUserId: 'bravo', content: 'hi' }]])
  })

  it('about a book gets its session', async () => {
    await ask('4', '12')
    expect(client.called('getOrCreateSession')).toEqual([[12, 1, 4]])
  })

  it('is not one with oneself', async () => {
    await ask('1')
    expect(shown!.get('new-session-dialog').textContent).toMatch(/can’t write to yourself/)
  })
})

describe('the banner', () => {
  const error = (code: string, serverCode: number | null = null) =>
    ({ code, serverCode, text: code }) as unknown as IMError
  const state = (more: Partial<ConnectionState>): ConnectionState => ({ ...AUTHENTICATED, ...more })

  it.each([
    [{}, true, 'none'],
    [{}, false, 'none'],
    [{ status: 'connecting' }, true, 'connecting'],
    [{ status: 'connected' }, true, 'connecting'],
    [{ status: 'connecting', attempts: 2 }, true, 'reconnecting'],
    [{ status: 'reconnecting', attempts: 1 }, true, 'reconnecting'],
    [{ status: 'reconnecting', attempts: 1 }, false, 'offline'],
    [{ status: 'disconnected' }, true, 'offline'],
    [{ status: 'disconnected', lastError: error('AUTH_FAILED') }, true, 'expired'],
    [{ status: 'disconnected', lastError: error('TOKEN_INVALID') }, false, 'expired'],
    [{ status: 'disconnected', lastError: error('CONNECTION_LOST', 4004) }, true, 'replaced'],
  ] as const)('for %j, network %j, is %s', (more, network, wanted) => {
    expect(bannerOf(state(more), 0, network).state).toBe(wanted)
  })

  it('says so when a message waits on a link that the browser says is dead', () => {
    expect(bannerOf(state({}), 1, false).state).toBe('offline')
    expect(bannerOf(state({}), 1, true).state).toBe('none')
  })

  it('counts the seconds down, and tries at once when asked', async () => {
    vi.useFakeTimers({ now: 1_000_000 })
    await page()
    expect(banner()).toBeNull()
    client.become({ status: 'reconnecting', attempts: 3, retryAt: 1_004_000, reason: 'lost' })
    await settled()
    expect(banner()!.dataset['state']).toBe('reconnecting')
    expect(banner()!.textContent).toMatch(/Attempt 3.*in 4 s.*Try now/s)
    vi.advanceTimersByTime(2_500)
    await settled()
    expect(banner()!.textContent).toMatch(/in 2 s/)
    await shown!.click('try-now')
    expect(client.called('tryNow')).toHaveLength(1)
    client.become({})
    await settled()
    expect(banner()).toBeNull()
  })

  it('says without a network how many messages wait', async () => {
    await page()
    vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false)
    window.dispatchEvent(new Event('offline'))
    client.become({ status: 'reconnecting', attempts: 1 })
    items()[0]!.click()
    await settled()
    for (const text of ['a', 'b']) {
      await shown!.type('composer', text)
      await shown!.press('composer', 'Enter')
    }
    expect(banner()!.dataset).toMatchObject({ state: 'offline', queued: '2' })
    expect(banner()!.textContent).toMatch(/You are offline.*2 messages wait/s)
  })

  it('takes a new token when the log-in has expired', async () => {
    const onRenew = vi.fn()
    await page({ onRenew })
    client.become({ status: 'disconnected', lastError: error('TOKEN_INVALID') })
    await settled()
    await shown!.type('renew-token', ' t1 ')
    banner()!.querySelector('form')!.dispatchEvent(new Event('submit'))
    expect(client.called('updateAccessToken')).toEqual([['t1']])
    expect(client.called('connect')).toHaveLength(1)
    expect(onRenew.mock.calls).toEqual([['t1']])
  })
})

describe('the switches', () => {
  it('change the colours, and keep it', async () => {
    await page({ theme: 'light' })
    const root = () => shown!.root.querySelector<HTMLElement>('.im-page')!
    expect(root().dataset['theme']).toBe('light')
    await shown!.click('theme')
    expect(root().dataset['theme']).toBe('dark')
    shown!.unmount()
    await page({ theme: 'light' })
    expect(root().dataset['theme']).toBe('dark')
  })

  it('change the language of everything', async () => {
    await page()
    await shown!.click('lang')
    expect(shown!.root.textContent).toContain('请选择一个会话')
    expect(items()[1]!.textContent).toContain('已过期')
  })

  it('offer to log out only where somebody listens', async () => {
    await page()
    expect(shown!.maybe('log-out')).toBeNull()
  })
})

it('takes the chat that provideIM has given, and needs no props then', async () => {
  const root = document.createElement('div')
  const app = createApp(ChatPage)
  const chat = provideIM(app, { client, lang: 'zh', theme: 'dark' })
  app.mount(root)
  await settled()
  expect(root.querySelectorAll('[data-testid=session-item]')).toHaveLength(2)
  expect(root.textContent).toContain('请选择一个会话')
  expect(root.querySelector<HTMLElement>('.im-page')!.dataset['theme']).toBe('dark')
  app.unmount()
  chat.stop()
})

it('listens no more when it is gone', async () => {
  await page()
  shown!.unmount()
  shown = undefined
  client.receive(77, 99, 'late')
  await settled()
  expect(client.called('getHistory').length).toBe(2)
})
