/** Mounting a component in a test, and looking at it by its data-testid. */
import { createApp, h, nextTick, type App, type Component } from 'vue'
import { createChat, type Chat, type ChatOptions } from '../../src/components/chat/chat'
import { createSpeech, SPEECH } from '../../src/components/chat/i18n'
import { CHAT } from '../../src/components/chat/inject'
import type { FakeClient } from './fake-client'

/** A component in the document. */
export class Mounted {
  readonly root = document.createElement('div')
  readonly app: App

  constructor(component: Component, props: Record<string, unknown> = {}, chat?: Chat) {
    document.body.append(this.root)
    this.app = createApp({ render: () => h(component, props) })
    this.app.provide(SPEECH, chat?.speech ?? createSpeech('en'))
    if (chat) this.app.provide(CHAT, chat)
    this.app.mount(this.root)
  }

  all<T extends HTMLElement = HTMLElement>(testid: string): T[] {
    return [...this.root.querySelectorAll<T>(`[data-testid="${testid}"]`)]
  }

  maybe<T extends HTMLElement = HTMLElement>(testid: string): T | null {
    return this.all<T>(testid)[0] ?? null
  }

  get<T extends HTMLElement = HTMLElement>(testid: string): T {
    const found = this.maybe<T>(testid)
    if (!found) throw new Error(`there is no ${testid} in ${this.root.innerHTML}`)
    return found
  }

  async click(testid: string): Promise<void> {
    this.get(testid).click()
    await settled()
  }

  async type(testid: string, text: string): Promise<void> {
    const field = this.get<HTMLInputElement>(testid)
    field.value = text
    field.dispatchEvent(new Event('input', { bubbles: true }))
    await settled()
  }

  async press(testid: string, key: string, more: KeyboardEventInit = {}): Promise<KeyboardEvent> {
    const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...more })
    this.get(testid).dispatchEvent(event)
    await settled()
    return event
  }

  unmount(): void {
    this.app.unmount()
    this.root.remove()
  }
}

/** All that follows at once has happened: promises, and what Vue shows of it. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve()
  for (let i = 0; i < 8; i++) await nextTick()
}

/** A chat over a fake client, in English. */
export async function chatOver(client: FakeClient, options: ChatOptions = {}): Promise<Chat> {
  const chat = createChat(client, { lang: 'en', ...options })
  await settled()
  return chat
}
