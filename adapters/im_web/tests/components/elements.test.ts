// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import {
  ChatPageElement,
  ChatWindowElement,
  defineElements,
  SessionListElement,
} from '../../src/elements'
import { FakeClient, session } from './fake-client'
import { settled } from './mount'

beforeEach(() => vi.spyOn(document, 'hasFocus').mockReturnValue(true))
afterEach(() => {
  document.body.replaceChildren()
  vi.restoreAllMocks()
})

const inside = (element: HTMLElement, testid: string) =>
  element.shadowRoot!.querySelector<HTMLInputElement>(`[data-testid="${testid}"]`)

it('have their names, and may be defined twice', () => {
  defineElements()
  expect(customElements.get('im-chat-page')).toBe(ChatPageElement)
})

it('show a page around a client, with no style element anywhere', async () => {
  const client = new FakeClient(1)
  client.sessions = [session(1, 1, 2)]
  const page = document.createElement('im-chat-page') as ChatPageElement
  page.setAttribute('lang', 'zh')
  page.client = client
  document.body.append(page)
  await settled()
  expect(inside(page, 'session-item')!.dataset['user']).toBe('2')
  expect(page.shadowRoot!.textContent).toContain('请选择一个会话')
  expect(page.shadowRoot!.adoptedStyleSheets).toHaveLength(1)
  expect(page.shadowRoot!.querySelector('style')).toBeNull()
  expect(document.querySelector('style')).toBeNull()
})

it('never put a token into an attribute', () => {
  const page = document.createElement('im-chat-page') as ChatPageElement
  page.token = 'secret'
  document.body.append(page)
  expect(page.outerHTML).not.toContain('secret')
})

it('say what was written, and which session was chosen', async () => {
  const heard: unknown[] = []
  for (const name of ['send-message', 'session-select']) {
    document.body.addEventListener(name, (event) => heard.push((event as CustomEvent).detail))
  }
  const window = document.createElement('im-chat-window') as ChatWindowElement
  const list = document.createElement('im-session-list') as SessionListElement
  const given = session(9, 1, 2)
  document.body.append(window, list)
  window.session = given
  list.sessions = [given]
  await settled()
  inside(list, 'session-item')!.click()
  const field = inside(window, 'composer')!
  field.value = 'hello'
  field.dispatchEvent(new Event('input', { bubbles: true }))
  await settled()
  field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }))
  expect(heard).toEqual([given, 'hello'])
})

it('that share a client share its chat', async () => {
  const client = new FakeClient(1)
  client.sessions = [session(1, 1, 2)]
  client.past(2, 2, 1, 'hello from two', 1000)
  const window = document.createElement('im-chat-window') as ChatWindowElement
  const list = document.createElement('im-session-list') as SessionListElement
  window.client = client
  list.client = client
  document.body.append(window, list)
  await settled()
  inside(list, 'session-item')!.click()
  await settled()
  expect(inside(window, 'message')!.textContent).toContain('hello from two')
})

it('go and come back', async () => {
  const list = document.createElement('im-session-list') as SessionListElement
  list.sessions = [session(9, 1, 2)]
  document.body.append(list)
  list.remove()
  await settled()
  expect(inside(list, 'session-item')).toBeNull()
  document.body.append(list)
  expect(inside(list, 'session-item')).not.toBeNull()
})
