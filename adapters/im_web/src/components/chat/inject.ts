/** How a chat reaches the components: provided by the application, or made by ChatPage. */
import { inject, provide, type App, type InjectionKey } from 'vue'
import { createChat, type Chat, type ChatOptions } from './chat'
import type { ChatClient } from './client'
import { SPEECH } from './i18n'
import { createLook, LOOK } from './theme'

/** Where components find the chat. */
export const CHAT: InjectionKey<Chat> = Symbol('im chat')

/** The chat around this component; null: there is none, the component shows what it is given. */
export function useChat(): Chat | null {
  return inject(CHAT, null)
}

/** Give a chat to the components below this one. */
export function provideChat(chat: Chat): void {
  provide(CHAT, chat)
  provide(SPEECH, chat.speech)
}

/**
 * Give a chat over this client to all components of an application.
 *
 *     const chat = provideIM(app, { client, lang: 'zh' })
 */
export function provideIM(
  app: App,
  options: ChatOptions & { client: ChatClient; theme?: string | null },
): Chat {
  const chat = createChat(options.client, options)
  app.provide(CHAT, chat)
  app.provide(SPEECH, chat.speech)
  app.provide(
    LOOK,
    createLook(() => options.theme),
  )
  return chat
}
