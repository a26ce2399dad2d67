/** `<im-chat-page>`, `<im-chat-window>` and `<im-session-list>`. */
import type { App, Component } from 'vue'
import { createChat, type Chat } from '../components/chat/chat'
import type { ChatClient } from '../components/chat/client'
import { createSpeech, SPEECH } from '../components/chat/i18n'
import { CHAT } from '../components/chat/inject'
import { createLook, LOOK } from '../components/chat/theme'
import type { Entry } from '../components/chat/timeline'
import ChatPage from '../components/ChatPage.vue'
import ChatWindow from '../components/ChatWindow.vue'
import SessionList from '../components/SessionList.vue'
import type { IMClientConfig, SessionVO, UserId } from '../types'
import { VueBase } from './VueBase'

/** one chat for all elements of a page that share a client; it lives as long as the client */
const chats = new WeakMap<ChatClient, Chat>()

function chatOf(client: ChatClient, lang: unknown): Chat {
  let chat = chats.get(client)
  if (chat === undefined) {
    chat = createChat(client, { lang: typeof lang === 'string' ? lang : null })
    chats.set(client, chat)
  }
  return chat
}

/**
 * The whole chat. Attributes: `ws-url`, `token`, `user-id`, `lang`, `theme`; or the property
 * `client`, a client that the page has made. Its height is the page's to set.
 */
export class ChatPageElement extends VueBase {
  static readonly observedAttributes = ['ws-url', 'token', 'user-id', 'lang', 'theme']
  protected readonly component: Component = ChatPage

  get client(): ChatClient | undefined {
    return this.props['client'] as ChatClient | undefined
  }

  set client(client: ChatClient | undefined) {
    this.props['client'] = client
  }

  /** A string, or a function that is asked for each new token. It never becomes an attribute. */
  get token(): IMClientConfig['token'] | undefined {
    return this.props['token'] as IMClientConfig['token'] | undefined
  }

  set token(token: IMClientConfig['token'] | undefined) {
    this.props['token'] = token
  }
}

/** What the window and the list share: with a `client` they show its chat. */
abstract class PartElement extends VueBase {
  static readonly observedAttributes = ['user-id', 'lang', 'theme']
  #client: ChatClient | undefined

  get client(): ChatClient | undefined {
    return this.#client
  }

  set client(client: ChatClient | undefined) {
    this.#client = client
    this.remake()
  }

  get userId(): UserId | undefined {
    return this.props['userId'] as UserId | undefined
  }

  set userId(userId: UserId | undefined) {
    this.props['userId'] = userId
  }

  protected override prepare(app: App): void {
    const { lang, theme } = this.props
    app.provide(
      LOOK,
      createLook(() => theme as string | undefined),
    )
    if (this.#client === undefined) {
      app.provide(SPEECH, createSpeech(lang as string | undefined))
    } else {
      const chat = chatOf(this.#client, lang)
      app.provide(CHAT, chat)
      app.provide(SPEECH, chat.speech)
    }
  }
}

/**
 * One conversation. Properties: `session`; `messages`, shown without a client; `client`. Event:
 * `send-message`, whose `detail` is the text, without a client.
 */
export class ChatWindowElement extends PartElement {
  protected readonly component: Component = ChatWindow

  constructor() {
    super()
    this.props['onSendMessage'] = (content: string) => this.say('send-message', content)
  }

  get session(): SessionVO | null | undefined {
    return this.props['session'] as SessionVO | null | undefined
  }

  set session(session: SessionVO | null | undefined) {
    this.props['session'] = session
  }

  get messages(): readonly Entry[] | undefined {
    return this.props['messages'] as readonly Entry[] | undefined
  }

  set messages(messages: readonly Entry[] | undefined) {
    this.props['messages'] = messages
  }
}

/**
 * A list of conversations. Properties: `sessions`, `client`. Event: `session-select`, whose
 * `detail` is the session.
 */
export class SessionListElement extends PartElement {
  protected readonly component: Component = SessionList

  constructor() {
    super()
    this.props['onSessionSelect'] = (session: SessionVO) => this.say('session-select', session)
  }

  get sessions(): readonly SessionVO[] | undefined {
    return this.props['sessions'] as readonly SessionVO[] | undefined
  }

  set sessions(sessions: readonly SessionVO[] | undefined) {
    this.props['sessions'] = sessions
  }
}
