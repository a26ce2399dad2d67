/**
 * Every public type, under the names of the original TypeScript module.
 *
 * Durations are milliseconds, points in time milliseconds since 1970.
 */
import type { IMError } from '../core/errors'

export type { IMError }

/** A number up to 2^53-1; above it, where a number would lose digits, its decimal digits. */
export type Id = number | string

/** A user: an {@link Id}, or on some servers a name. */
export type UserId = number | string

/** The names that an application switches on. */
export type { IMErrorCode } from '../generated/types'

/** A message that was not accepted; `sent` is the message that it is about. */
export type MessageError = IMError & { readonly sent: SentMessage }

// ------------------------------------------------------------------ configuration

/** When to try again after a failed attempt or a lost link. */
export interface ReconnectConfig {
  /** Failed attempts in a row after which the client gives up; null never does. Default 5. */
  maxRetries?: number | null
  /** Before the first retry, ms. Default 1000. */
  initialDelay?: number
  /** No delay is longer, ms. Default 30 000. */
  maxDelay?: number
  /** How the delay grows with the failures. Default 'exponential'. */
  strategy?: 'fixed' | 'linear' | 'exponential'
  /** 'full' (default): a random part of the delay, so that many clients don't return at once. */
  jitter?: 'full' | 'none'
  /** A link that stayed good this long starts the delays afresh, ms. Default 10 000. */
  stableAfter?: number
}

/** How a dead link is found: within interval + maxMissed x timeout. */
export interface HeartbeatConfig {
  /** Between probes, ms; null takes the server's hint. Default 30 000. */
  interval?: number | null
  /** How long an answer is waited for, ms; null takes the server's hint. Default 5000. */
  timeout?: number | null
  /** Unanswered probes in a row after which the link is dead. Default 3. */
  maxMissed?: number | null
}

/** How long the client waits, ms. All are absolute: a trickle does not extend them. */
export interface TimeoutsConfig {
  /** From the wish for a connection to the open WebSocket. Default 10 000. */
  connect?: number
  /** From the log-in request to its answer. Default 10 000. */
  auth?: number
  /** For the token function. Default 30 000. */
  token?: number
  /** From handing a message to the connection to its answer. Default 10 000. */
  ack?: number
  /** From our close to the peer's. Default 3000. */
  close?: number
}

/** Where and how sessions are asked for over HTTP. */
export interface HttpConfig {
  /** 'https://host[:port]'; left out: the host and port of `wsUrl`. */
  baseUrl?: string | null
  /** Before each path; '' on servers without it. Default '/im'. */
  prefix?: string
  /** Where sessions are created. Default '/session/create'. */
  createPath?: string
  /** For a call, whatever it takes inside, ms. Default 10 000. */
  timeout?: number
}

/** Everything that a client is told. The first five keys are the original's. */
export interface IMClientConfig {
  /** ws://host[:port]/path or wss://… */
  wsUrl: string
  /** The access token, or a function (also an async one) that is asked for each new one. */
  token: string | (() => string | Promise<string>)
  /** Who logs in. */
  userId: UserId
  reconnect?: ReconnectConfig
  heartbeat?: HeartbeatConfig

  timeouts?: TimeoutsConfig
  http?: HttpConfig
  /**
   * This installation's name at the server: 1 to 64 of A-Z, a-z, 0-9 and _ . : -. Left out: drawn
   * once and kept in the storage.
   */
  deviceId?: string | null
  /**
   * Where messages on their way out, and what was handled, are kept. Default: 'indexeddb' where
   * there is one. A browser may throw stored data away when its disk is full;
   * `navigator.storage.persist()`, called by the page, asks it not to.
   */
  storage?: 'indexeddb' | 'memory'
  /**
   * Share one connection with the other tabs of this page that have the same user (default).
   * false: this tab is alone, with a device of its own, and nothing outlives it.
   */
  tabs?: boolean
  /** Ask the server for more than the original protocol has (default). */
  extensions?: boolean
  /** How messages are written down; 'typed' on earlier servers. Default 'invocation'. */
  dialect?: 'invocation' | 'typed'
  /**
   * 'auto' (default): a message is acknowledged when its callbacks have returned, or their promises
   * are fulfilled. 'manual': when the application calls `message.ack()`.
   */
  ack?: 'auto' | 'manual'
  /** Unanswered messages at a time, all conversations together. Default 64. */
  inFlight?: number
  /** Messages that may wait for their end. Default 10 000. */
  maxQueue?: number
  /** Bytes of content that may wait. Default 16 MiB. */
  maxQueueBytes?: number
  /** One message more than that: refuse it (default), or let an old one go. */
  whenQueueFull?: 'reject' | 'drop_oldest' | 'drop_lowest_priority'
  /** The most UTF-16 units of a message; the server's own limit goes before. Default 1000. */
  contentUnits?: number
  /** After which a message expires that no connection ever had, ms; null: never (default). */
  timeToLive?: number | null
  /** How long a send with a `key` is remembered after its end, ms. Default 7 days. */
  keysKept?: number
  /** Received messages that may wait for the application. Default 1000. */
  maxUnhandled?: number
  /** Beyond them: read no more (default), or drop the oldest and say so. */
  whenFull?: 'block' | 'drop_oldest'
  /** How often a callback that fails gets the same message. Default 3. */
  handlerAttempts?: number
  /** Against a plain server: send again after a lost link (default), or end as IN_DOUBT. */
  resendWhenUnsure?: boolean
  /** How often a message is handed to a plain server before it ends as IN_DOUBT. Default 5. */
  maxSends?: number
  /** What a test replaces. */
  environment?: Partial<Environment>
}

/** What {@link IMClient.connect} takes. */
export interface ConnectOptions {
  /** For all of it, ms; null waits as long as it takes. Default 30 000. */
  timeout?: number | null
  /** Go on after failed attempts, as `reconnect` says, until the timeout. Default false. */
  retry?: boolean
}

// ------------------------------------------------------------------ the connection

/** The state of a client in one word. */
export type ConnectionStatus =
  'disconnected' | 'connecting' | 'connected' | 'authenticated' | 'reconnecting'

/** Where a client is, and why. */
export interface ConnectionState {
  status: ConnectionStatus
  /** Why, in plain words. */
  reason: string
  /** Failed attempts in a row; 0 once authenticated. */
  attempts: number
  /** When the next attempt starts, ms since 1970; null if none is scheduled. */
  retryAt: number | null
  /** How long that is from now, ms. */
  retryIn: number | null
  /** The last failure, kept until the next log-in. */
  lastError: IMError | null
}

/** What a send means against the present server. */
export type Guarantee = 'exactly-once' | 'at-least-once' | 'at-most-once'

/**
 * This tab among those that share a user: 'leader' has the connection, 'follower' uses the leader's,
 * 'alone' has no others. 'follower' also stands for a tab that does not know yet.
 */
export type TabRole = 'leader' | 'follower' | 'alone'

// ------------------------------------------------------------------ messages

/** Orders conversations, never the messages inside one. */
export type Priority = 'high' | 'normal' | 'low'

/** A message to one user. The first three keys are the original's. */
export interface ChatSendToOneRequest {
  toUserId: UserId
  /** 1 to 1000 UTF-16 units after trimming; sent untrimmed. */
  content: string
  /** 'text' (default), 'image' … */
  messageType?: string
  sessionId?: Id | null
  priority?: Priority
  /**
   * The application's own name for it, 1 to 256 printable characters. Sent again under the same key
   * it is the same message, also after a reload.
   */
  key?: string
  /** After which it expires unless a connection had it, ms. */
  ttl?: number | null
  /** Where the outbox is full, stand in line for room instead of QUEUE_FULL. */
  wait?: boolean
}

/**
 * What is known of a message: it waits here; it was handed to a connection and its answer is
 * awaited; the server has it for good; it will not be taken; it was withdrawn; it expired; nobody
 * can tell whether it arrived.
 */
export type SentStatus =
  'queued' | 'in_flight' | 'accepted' | 'failed' | 'cancelled' | 'expired' | 'in_doubt'

/** A message on its way out. It is one object from the call to the end, and its fields change. */
export interface SentMessage {
  /** Its name; the request's, or one that was drawn. */
  readonly key: string
  /** Its number; null until it was handed to a connection. */
  readonly msgId: Id | null
  readonly toUserId: UserId
  readonly content: string
  readonly messageType: string
  /** The session asked for; once accepted, the server's. */
  readonly sessionId: Id | null
  readonly status: SentStatus
  /** Null until it is told that the recipient has it, or has read it. */
  readonly receipt: null | 'delivered' | 'read'
  /** When the server accepted it; before that, when it was given to this client. */
  readonly timestamp: number
  /** Why it failed; null unless it did. */
  readonly error: MessageError | null
  /**
   * Wait for its end, as long as that takes, over lost connections.
   *
   * @throws {IMError} its `error`; or, when the client has given up, what it gave up over: the
   * message stays queued then.
   */
  accepted(): Promise<SentMessage>
  /**
   * Withdraw it; true if it will not be sent. That works while no connection ever had it. In a
   * follower true says that the leader was asked to: `status` tells what became of it.
   */
  cancel(): boolean
}

/** The original's name for what `messageSent` is called with. */
export type ChatSendToOneMessage = SentMessage

/** A message for this user. The first four keys are the original's. */
export interface ChatReceivedMessage {
  content: string
  fromUser?: UserId
  /** The sender's number of it. Those of two senders may be equal. */
  msgId?: Id
  /** When the server accepted it, if it says so. */
  timestamp?: number
  sessionId?: Id
  messageType: string
  /** Its place in this user's mailbox; a plain server gives none. */
  seq?: number
  /** The application may have seen it before. */
  redelivered: boolean
  /** How often this client has offered it, from 1. */
  attempt: number
  /**
   * It is handled: it will not come again. With `ack: 'manual'` the only way to say so. Twice is no
   * error. In a follower it does nothing: the leader's callbacks decide.
   */
  ack(): void
}

// ------------------------------------------------------------------ sessions

/** A session: a book, its buyer, its seller. What the server did not tell is null. */
export interface SessionVO {
  id: Id
  /** 0: a chat without a book. */
  bookId: Id
  buyerId: UserId
  sellerId: UserId
  /** 1 active, 2 expired, 3 closed. */
  sessionStatus: number | null
  /** As the server wrote it: the formats differ. */
  expireTime: string | null
  createTime: string | null
  /** How many messages the buyer has not read; some servers say only whether all was read. */
  buyerReaded: number | boolean | null
  /** How many messages the seller has not read. */
  sellerReaded: number | boolean | null
}

/** One session by its id, or by book, buyer and seller. */
export interface SessionGetRequest {
  sessionId?: Id
  bookId?: Id
  buyerId?: UserId
  sellerId?: UserId
}

export interface SessionCreateRequest {
  /** 0 for a chat without a book. */
  bookId: Id
  buyerId: UserId
  sellerId: UserId
}

/** Messages of a session, or with a user in all sessions. */
export interface HistoryRequest {
  sessionId?: Id
  peerId?: UserId
  /** Begin behind this message, in `direction`, without it. */
  startMsgId?: Id
  /** 'before' (default) goes back from the newest, 'after' forward from the oldest. */
  direction?: 'before' | 'after'
  /** 1 to 1000; a server may give fewer. Default 50. */
  pageSize?: number
}

/** A message of the past. */
export interface HistoryRecord {
  msgId: Id
  senderId: UserId
  receiverId: UserId | null
  messageType: string | null
  content: string
  /** 1 sent, 2 delivered, 3 read. */
  messageStatus: number | null
  /** As the server wrote it; on ours the digits of milliseconds since 1970. */
  sendTime: string | null
}

/** A page of messages, the oldest first. */
export interface HistoryPage {
  records: HistoryRecord[]
  /** Is there more in the direction that was asked for? */
  hasNext: boolean
  /** Of all pages, if the server says so. */
  total: number | null
}

// ------------------------------------------------------------------ events

/** Another device of this user has sent a message. */
export interface OwnMessageEvent {
  toUser: UserId
  content: string
  sessionId: Id | null
  msgId: Id | null
  messageType: string
  timestamp: number | null
  seq: number
}

/** Messages of this user were delivered to a first device of `user`, or were read. */
export interface ReceiptEvent {
  msgIds: Id[]
  user: UserId
  status: 'delivered' | 'read'
  sessionId: Id | null
  timestamp: number | null
}

/** Another device of this user has read what `fromUser` wrote, up to this message. */
export interface ReadElsewhereEvent {
  fromUser: UserId
  msgId: Id
}

/** Somebody has begun, or stopped, to write to this user. */
export interface TypingEvent {
  fromUser: UserId
  active: boolean
}

/** Somebody with whom this user shares a session came online, or left. */
export interface PresenceEvent {
  user: UserId
  online: boolean
  /** Null if its owner does not tell. */
  lastSeen: number | null
}

/** The rest of what happens, for a log or a diagnosis; `type` says which. */
export type Notice =
  | { type: 'ExtensionsRefused'; wsUrl: string }
  | { type: 'GuaranteeChanged'; guarantee: Guarantee }
  | { type: 'MessagesMayBeMissing'; oldest: number }
  | { type: 'ProtocolViolation'; reason: string; closeCode: number | null }
  | { type: 'UnknownMessage'; kind: string }
  | {
      type: 'DuplicateSuppressed'
      msgId: Id | null
      fromUser: UserId | null
      seq: number | null
    }
  | { type: 'ReadingPaused'; unhandled: number }
  | { type: 'ReadingResumed' }
  | {
      type: 'MessageDropped'
      delivery: number
      fromUser: UserId | null
      msgId: Id | null
      seq: number | null
    }
  | { type: 'ReadRefused'; fromUser: UserId; msgId: Id; error: IMError }
  | { type: 'OutboxFilling'; messages: number; bytes: number }
  | { type: 'OutboxDrained'; messages: number; bytes: number }
  /** `expiresIn` is in seconds, as the server wrote it. */
  | { type: 'TokenRefreshed'; expiresIn: number | null }
  /** Nothing is kept on disk, and why. What is queued is lost with this tab. */
  | { type: 'StorageUnavailable'; reason: string }
  /** This tab can't share a connection with others, and why. */
  | { type: 'TabsUnavailable'; reason: string }
  /** This tab has the connection now, or uses another tab's. */
  | { type: 'RoleChanged'; role: TabRole }
  /** The browser says whether it has a network. Nothing is ended because of it. */
  | { type: 'NetworkHint'; online: boolean }

/** What an application can listen to. The first twelve are the original's. */
export interface IMEventCallbacks {
  /** The WebSocket is up; the log-in follows. */
  connected?: () => void
  /** A link that was up is gone. */
  disconnected?: () => void
  /** An attempt to come back is scheduled, `delay` ms from now; `attempt` counts from 1. */
  reconnecting?: (attempt: number, delay: number) => void
  /** Logged in again after a lost link. */
  reconnected?: () => void
  /** The server accepted the log-in. */
  authenticated?: () => void
  /** The server refused the log-in, or there was no token. */
  authFailed?: (error: IMError) => void
  /**
   * A message for this user. It is acknowledged when the callback has returned, or its promise is
   * fulfilled; one that fails gets it again. Other tabs of the same user get copies.
   */
  messageReceived?: (message: ChatReceivedMessage) => void | Promise<void>
  /** The server has accepted a message, for good. */
  messageSent?: (message: ChatSendToOneMessage) => void
  /** A message ended without being accepted; `error.sent` is which. */
  messageFailed?: (error: MessageError) => void
  /** A probe went out. */
  heartbeatSent?: () => void
  /** A probe was answered. */
  heartbeatReceived?: () => void
  /** Something went wrong; `error.terminal`: the client has given up. */
  error?: (error: IMError) => void

  /** Callbacks have failed on a message too often; it will not come again. */
  undeliverable?: (message: ChatReceivedMessage) => void
  /** Another device of this user has sent a message. */
  ownMessage?: (event: OwnMessageEvent) => void
  /** Messages of this user were delivered, or read. */
  receipt?: (event: ReceiptEvent) => void
  /** Another device of this user has read something. */
  readElsewhere?: (event: ReadElsewhereEvent) => void
  /** Somebody has begun, or stopped, to write to this user. */
  typing?: (event: TypingEvent) => void
  /** Somebody came online, or left. */
  presence?: (event: PresenceEvent) => void
  /** The status, or the reason for it, is another one. */
  stateChanged?: (state: ConnectionState) => void
  /** `outbox` has other messages, or one of them has another status. */
  outboxChanged?: () => void
  /** The rest. */
  notice?: (event: Notice) => void
}

/** The name of a callback. */
export type IMEventName = keyof IMEventCallbacks

/** The function that a name takes. */
export type IMEventCallback<K extends IMEventName> = NonNullable<IMEventCallbacks[K]>

// ------------------------------------------------------------------ what is going on inside

/** A timer that runs; `in` is ms from now. */
export interface Deadline {
  name: string
  meaning: string
  in: number
}

/** What a client is doing just now, for a diagnosis. */
export interface Inspection {
  machines: { connection: string; auth: string; heartbeat: string; reconnect: string }
  deadlines: Deadline[]
  /** How many messages have no end yet, and in which status. */
  outbox: { queued: number; inFlight: number }
  /** What was counted since the start, by name. */
  counters: Record<string, number>
}

// ------------------------------------------------------------------ what a test replaces

/** Where random numbers come from. */
export interface Random {
  /** A number from `low` to `high`. */
  uniform(low: number, high: number): number
  /** 16 lower-case hex digits. */
  hex64(): string
}

/** The part of the Web Locks API that is used. */
export interface Locks {
  request(
    name: string,
    options: { mode?: 'exclusive'; signal?: AbortSignal },
    callback: (lock: unknown) => Promise<void>,
  ): Promise<unknown>
}

/** The part of a BroadcastChannel that is used. */
export interface Channel {
  onmessage: ((event: MessageEvent) => void) | null
  postMessage(message: unknown): void
  close(): void
}

/** The part of a WebSocket that is used. */
export interface Socket {
  binaryType: string
  readonly bufferedAmount: number
  readonly readyState: number
  onopen: ((event: Event) => void) | null
  onmessage: ((event: MessageEvent) => void) | null
  onclose: ((event: CloseEvent) => void) | null
  onerror: ((event: Event) => void) | null
  send(text: string): void
  close(code?: number, reason?: string): void
}

/** What is around a client; by default the browser's own. */
export interface Environment {
  /** A monotonic clock, ms. */
  now(): number
  /** The wall clock, ms since 1970. */
  wall(): number
  setTimeout(callback: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
  random: Random
  WebSocket: new (url: string) => Socket
  fetch: typeof fetch
  /** Undefined: nothing is kept. */
  indexedDB: IDBFactory | undefined
  /** Undefined: this tab is alone. */
  locks: Locks | undefined
  /** Undefined: this tab is alone. */
  BroadcastChannel: (new (name: string) => Channel) | undefined
  /** Small facts about servers, that may be lost. Undefined: none are kept. */
  localStorage: Pick<Storage, 'getItem' | 'setItem'> | undefined
  /** Hears 'online', 'offline' and 'pageshow'. Undefined: there are no hints. */
  window: Pick<EventTarget, 'addEventListener' | 'removeEventListener'> | undefined
  /** Hears 'visibilitychange' and 'resume'. Undefined: there are no hints. */
  document:
    | (Pick<EventTarget, 'addEventListener' | 'removeEventListener'> & {
        readonly visibilityState?: string
      })
    | undefined
  /** Does the browser say that it has a network? */
  online(): boolean
}
