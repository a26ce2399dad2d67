/** The Vue components, and the chat behind them. */
import './styles/im.css'

export { default as ChatPage } from './ChatPage.vue'
export { default as ChatWindow } from './ChatWindow.vue'
export { default as SessionList } from './SessionList.vue'
export { createChat, type Chat, type ChatOptions } from './chat/chat'
export type { ChatClient } from './chat/client'
export type { Conversation } from './chat/conversations'
export { provideChat, provideIM, useChat } from './chat/inject'
export type { Entry } from './chat/timeline'
