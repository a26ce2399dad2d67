/** Which callback an event calls, and with what. */

import type { Event } from '../generated/types'
import type { IMEventName, Notice } from '../types'
import type { Callbacks } from './callbacks'
import { received } from './inbox'
import type { Sent } from './sent'

/** Called without anything. */
const PLAIN: Partial<Record<Event['type'], IMEventName>> = {
  Connected: 'connected',
  Disconnected: 'disconnected',
  Reconnected: 'reconnected',
  Authenticated: 'authenticated',
  HeartbeatSent: 'heartbeatSent',
  HeartbeatReceived: 'heartbeatReceived',
}

/** Tell the callbacks; what the client itself tells in its own way is passed over. */
export function tell(callbacks: Callbacks, event: Event, sent: Sent | null): void {
  switch (event.type) {
    case 'Reconnecting':
      callbacks.tell('reconnecting', event.attempt, event.delay * 1000)
      break
    case 'AuthFailed':
      callbacks.tell('authFailed', event.error)
      break
    case 'ErrorOccurred':
      callbacks.tell('error', event.error)
      break
    case 'MessageUndeliverable':
      callbacks.tell(
        'undeliverable',
        received(event, () => {}),
      )
      break
    case 'MessageAccepted':
      if (sent) callbacks.tell('messageSent', sent)
      break
    case 'MessageFailed':
      if (sent?.error) callbacks.tell('messageFailed', sent.error)
      break
    case 'OwnMessage':
      callbacks.tell('ownMessage', bare(event))
      break
    case 'ReceiptReceived':
      callbacks.tell('receipt', bare(event))
      break
    case 'ReadElsewhere':
      callbacks.tell('readElsewhere', bare(event))
      break
    case 'TypingChanged':
      callbacks.tell('typing', bare(event))
      break
    case 'PresenceChanged':
      callbacks.tell('presence', bare(event))
      break
    case 'MessageReceived':
    case 'MessageQueued':
    case 'MessageHandedOver':
    case 'SessionFetched':
    case 'HistoryFetched':
    case 'SessionFailed':
    case 'StateChanged':
      break
    default: {
      const name = PLAIN[event.type]
      if (name) callbacks.put({ name, args: [] })
      else callbacks.tell('notice', event as Notice)
    }
  }
}

function bare<T extends Event>({ type: _, ...rest }: T): Omit<T, 'type'> {
  return rest
}
