/** What the components ask of a client: a test gives them another one. */
import type { IMClient } from '../../client/IMClient'

/** The part of an IMClient that is used. */
export type ChatClient = Pick<
  IMClient,
  | 'capabilities'
  | 'contentUnits'
  | 'connect'
  | 'getAllCachedSessions'
  | 'getConnectionState'
  | 'getCurrentSessions'
  | 'getHistory'
  | 'getOrCreateSession'
  | 'getSession'
  | 'markRead'
  | 'on'
  | 'outbox'
  | 'queueMessage'
  | 'setTyping'
  | 'tryNow'
  | 'updateAccessToken'
  | 'userId'
>
