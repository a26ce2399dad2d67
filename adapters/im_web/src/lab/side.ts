import { shallowRef } from 'vue'
import type { IMClient } from '../client/index'
import type {
  ChatReceivedMessage,
  ConnectionState,
  IMClientConfig,
  Inspection,
  Notice,
  SentMessage,
  SentStatus,
} from '../types/index'
import type { LabUser } from './api'
import type { Side } from './chaos'
import { SteppedClock, type ClockBase } from './clock'
import type { Kind } from './log'
import type { Ledger } from './tally'

/** What the lab needs of a client. */
export type LabClient = Pick<
  IMClient,
  | 'connect'
  | 'close'
  | 'queueMessage'
  | 'setCallbacks'
  | 'getConnectionState'
  | 'tryNow'
  | 'markRead'
  | 'inspect'
  | 'outbox'
>

/** A line of the chat. */
export interface ChatLine {
  n: number
  mine: boolean
  text: string
  /** Of one's own: how far it has come. */
  mark: SentStatus | 'delivered' | 'read' | null
}

/** A message that has no end yet. */
export interface OutboxLine {
  key: string
  text: string
  status: SentStatus
}

/** Everything that a window shows, as it was at one moment. */
export interface SideView {
  state: ConnectionState
  machines: Inspection['machines']
  deadlines: Inspection['deadlines']
  counters: Inspection['counters']
  lines: ChatLine[]
  outbox: OutboxLine[]
  /** By how much the window's wall clock is ahead, ms. */
  ahead: number
}

/** What a window is made of. */
export interface SideOptions {
  side: Side
  user: LabUser
  peer: LabUser
  wsUrl: string
  token: () => Promise<string>
  /** What this user sends, and what it should receive. */
  out: Ledger
  into: Ledger
  base: ClockBase
  log: (kind: Kind, side: Side, text: string) => void
  makeClient: (config: IMClientConfig) => LabClient
}

/** So many lines of the chat are shown. */
const SHOWN = 80

interface Line {
  n: number
  text: string
  /** Null: the other user's. */
  sent: SentMessage | null
}

/** One of the two users: the client, its clock, and what is to be seen of them. */
export class LabSide {
  readonly clock: SteppedClock
  readonly view: ReturnType<typeof shallowRef<SideView>>
  #options: SideOptions
  #client: LabClient
  #lines: Line[] = []
  #count = 0
  #places = new Map<string, number>()
  #accepted = 0
  #heard = 0
  /** The newest message that was not marked as read yet. */
  #unread: ChatReceivedMessage | null = null

  constructor(options: SideOptions) {
    this.#options = options
    this.clock = new SteppedClock(options.base)
    this.#client = options.makeClient({
      wsUrl: options.wsUrl,
      token: options.token,
      userId: options.user.id,
      // always the same, so that a reloaded page is not told the whole past again
      deviceId: `lab-${options.side}`,
      tabs: false,
      storage: 'memory',
      // quicker than the defaults: in a lab one watches
      heartbeat: { interval: 5000, timeout: 2000, maxMissed: 2 },
      reconnect: { maxRetries: null, initialDelay: 500, maxDelay: 5000 },
      timeouts: { connect: 4000, auth: 4000, ack: 5000 },
      environment: {
        now: this.clock.now,
        wall: this.clock.wall,
        setTimeout: this.clock.setTimeout,
        clearTimeout: this.clock.clearTimeout,
      },
    })
    this.#listen()
    this.view = shallowRef<SideView>(this.#look())
  }

  /** Log in, and stay. */
  connect(): void {
    this.#client
      .connect({ timeout: null, retry: true })
      .catch((error: unknown) => this.#log('link', `connect: ${String(error)}`))
  }

  /** End the client. */
  close(): Promise<void> {
    return this.#client.close()
  }

  /** Do not wait for the next attempt. */
  tryNow(): void {
    this.#client.tryNow()
  }

  /** Send a text to the other user. */
  say(text: string): void {
    const place = this.#options.out.sent(text)
    let sent: SentMessage
    try {
      sent = this.#client.queueMessage({ toUserId: this.#options.peer.id, content: text })
    } catch (error) {
      this.#options.out.failed()
      this.#log('messages', `not sent: ${String(error)}`)
      return
    }
    this.#places.set(sent.key, place)
    this.#show(text, sent)
  }

  /** Look again, and say what came since the last look. */
  tick(): void {
    if (this.#unread?.msgId !== undefined) {
      this.#client.markRead(this.#options.peer.id, this.#unread.msgId)
      this.#unread = null
    }
    this.view.value = this.#look()
  }

  /** Write down how many messages came and went since the last time. */
  summarise(): void {
    const parts = [
      this.#accepted > 0 && `${this.#accepted} accepted`,
      this.#heard > 0 && `${this.#heard} received`,
    ].filter((part) => part !== false)
    if (parts.length > 0) this.#log('messages', parts.join(', '))
    this.#accepted = this.#heard = 0
  }

  #listen(): void {
    const { out, into } = this.#options
    this.#client.setCallbacks({
      messageReceived: (message) => {
        into.received(message.content)
        this.#heard++
        this.#unread = message
        this.#show(message.content, null)
      },
      messageSent: (sent) => {
        const place = this.#places.get(sent.key)
        if (place === undefined) return
        this.#places.delete(sent.key)
        out.accepted(place, String(sent.msgId))
        this.#accepted++
      },
      messageFailed: (error) => {
        if (this.#places.delete(error.sent.key)) out.failed()
        this.#log('messages', `failed: ${error.text}`)
      },
      stateChanged: (state) => {
        const { status, reason, retryIn } = state
        const next = retryIn === null ? '' : `; next attempt in ${seconds(retryIn)}`
        this.#log('link', `${status}: ${reason}${next}`)
        this.tick()
      },
      authFailed: (error) => this.#log('link', `the log-in failed: ${error.text}`),
      // the others are the reasons of states
      error: (error) => error.terminal && this.#log('link', `given up: ${error.text}`),
      notice: (event) => this.#log('link', inWords(event)),
      heartbeatSent: () => this.#log('heartbeat', 'a probe went out'),
      heartbeatReceived: () => this.#log('heartbeat', 'the probe was answered'),
    })
  }

  #look(): SideView {
    const { machines, deadlines, counters } = this.#client.inspect()
    return {
      state: this.#client.getConnectionState(),
      machines,
      deadlines,
      counters,
      lines: this.#lines.map(({ n, text, sent }) => ({
        n,
        mine: sent !== null,
        text,
        mark:
          sent === null
            ? null
            : sent.status === 'accepted'
              ? (sent.receipt ?? 'accepted')
              : sent.status,
      })),
      outbox: this.#client.outbox.map(({ key, content, status }) => ({
        key,
        text: content,
        status,
      })),
      ahead: this.clock.wallAhead,
    }
  }

  #show(text: string, sent: SentMessage | null): void {
    this.#lines.push({ n: ++this.#count, text, sent })
    if (this.#lines.length > SHOWN) this.#lines.shift()
  }

  #log(kind: Kind, text: string): void {
    this.#options.log(kind, this.#options.side, text)
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

/** `DuplicateSuppressed: msgId 5, seq 7` */
function inWords({ type, ...fields }: Notice): string {
  const told = Object.entries(fields).filter(([, value]) => value !== null)
  return [type, told.map(([name, value]) => `${name} ${String(value)}`).join(', ')]
    .filter((part) => part !== '')
    .join(': ')
}
