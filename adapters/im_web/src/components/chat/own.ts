/** A chat whose client is its own. */
import { IMClient } from '../../client/IMClient'
import type { IMClientConfig } from '../../types'
import { createChat, type Chat, type ChatOptions } from './chat'

/** A chat, and how to end it together with its client. */
export interface OwnChat {
  readonly chat: Chat
  close(): void
}

/** Make a client, connect it, and go on trying as long as nobody refuses. */
export function ownChat(config: IMClientConfig, options: ChatOptions): OwnChat {
  const client = new IMClient({ ...config, reconnect: { maxRetries: null, ...config.reconnect } })
  const chat = createChat(client, options)
  // how it goes is shown by the chat's banner
  client.connect({ retry: true, timeout: null }).catch(() => undefined)
  return {
    chat,
    close() {
      chat.stop()
      void client.close()
    },
  }
}
