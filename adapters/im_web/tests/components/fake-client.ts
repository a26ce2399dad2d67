/** A client without a network: a test says what happens, and sees what was asked. */
import type { ChatClient } from '../../src/components/chat/client'
import type {
  ChatReceivedMessage,
  ChatSendToOneRequest,
  ConnectionState,
  HistoryPage,
  HistoryRecord,
  HistoryRequest,
  Id,
  IMEventCallbacks,
  IMEventName,
  MessageError,
  SentMessage,
  SentStatus,
  SessionGetRequest,
  SessionVO,
  UserId,
} from '../../src/types'

type Listener = (...args: never[]) => unknown

/** A sent message whose fields a test may change. */
export type FakeSent = { -readonly [K in keyof SentMessage]: SentMessage[K] }

export const AUTHENTICATED: ConnectionState = {
  status: 'authenticated',
  reason: 'logged in',
  attempts: 0,
  retryAt: null,
  retryIn: null,
  lastError: null,
}

/** A session between two, about a book. */
export function session(id: Id, buyerId: UserId, sellerId: UserId, more: Partial<SessionVO> = {}) {
  const vo: SessionVO = {
    id,
    bookId: 0,
    buyerId,
    sellerId,
    sessionStatus: 1,
    expireTime: null,
    createTime: null,
    buyerReaded: 0,
    sellerReaded: 0,
    ...more,
  }
  return vo
}

export class FakeClient implements ChatClient {
  capabilities: string[] = ['seq', 'sessions', 'receipts', 'typing', 'presence']
  contentUnits = 1000
  state: ConnectionState = AUTHENTICATED
  outbox: SentMessage[] = []
  sessions: SessionVO[] = []
  /** By the other user: all messages, the oldest first. */
  history = new Map<string, HistoryRecord[]>()
  /** What was called, with what. */
  calls: [string, ...unknown[]][] = []
  /** Set: what the next `queueMessage` throws. */
  refusal: Error | null = null
  /** Set: `getHistory` waits for it. */
  holdHistory: Promise<void> | null = null
  #listeners = new Map<string, Set<Listener>>()
  #made = 0

  constructor(readonly userId: UserId = 1) {}

  // ------------------------------------------------------------ what a test does

  tell<K extends IMEventName>(
    name: K,
    ...args: Parameters<NonNullable<IMEventCallbacks[K]>>
  ): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      ;(listener as (...args: unknown[]) => unknown)(...args)
    }
  }

  become(state: Partial<ConnectionState>): void {
    this.state = { ...AUTHENTICATED, ...state }
    this.tell('stateChanged', this.state)
  }

  receive(fromUser: UserId, msgId: Id, content: string, more: Partial<ChatReceivedMessage> = {}) {
    const timestamp = more.timestamp ?? Date.now()
    this.tell('messageReceived', {
      content,
      fromUser,
      msgId,
      timestamp,
      messageType: 'text',
      redelivered: false,
      attempt: 1,
      ack() {},
      ...more,
    })
  }

  /** What was said in the past; `status` as messageStatus has it. */
  past(
    other: UserId,
    from: UserId,
    msgId: Id,
    content: string,
    sendTime: number,
    status = 3,
  ): void {
    const records = this.history.get(String(other)) ?? []
    records.push({
      msgId,
      senderId: from,
      receiverId: from === other ? this.userId : other,
      messageType: 'text',
      content,
      messageStatus: status,
      sendTime: String(sendTime),
    })
    this.history.set(String(other), records)
  }

  /** Give a sent message its end, or another status. */
  settle(sent: FakeSent, status: SentStatus, more: Partial<FakeSent> = {}): void {
    Object.assign(sent, { status, ...more })
    if (status !== 'queued' && status !== 'in_flight') {
      this.outbox = this.outbox.filter((one) => one !== sent)
    }
    this.tell('outboxChanged')
    if (status === 'accepted') this.tell('messageSent', sent)
    if (sent.error) this.tell('messageFailed', sent.error)
  }

  fail(sent: FakeSent, code: string, text = 'the server has refused it'): void {
    const error = Object.assign(new Error(`${code}: ${text}`), { code, text, sent })
    this.settle(sent, code === 'IN_DOUBT' ? 'in_doubt' : 'failed', {
      error: error as unknown as MessageError,
    })
  }

  last(): FakeSent {
    return this.outbox.at(-1) as FakeSent
  }

  called(name: string): unknown[][] {
    return this.calls.filter(([one]) => one === name).map(([, ...args]) => args)
  }

  // ------------------------------------------------------------ what the components call

  on(name: IMEventName, listener: Listener): () => void {
    const all = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, all.add(listener))
    return () => all.delete(listener)
  }

  getConnectionState(): ConnectionState {
    return this.state
  }

  queueMessage(request: ChatSendToOneRequest): SentMessage {
    this.calls.push(['queueMessage', request])
    if (this.refusal) throw this.refusal
    const sent: FakeSent = {
      key: `k${++this.#made}`,
      msgId: null,
      toUserId: request.toUserId,
      content: request.content,
      messageType: request.messageType ?? 'text',
      sessionId: request.sessionId ?? null,
      status: 'queued',
      receipt: null,
      timestamp: Date.now(),
      error: null,
      accepted: async () => sent,
      cancel: () => true,
    }
    this.outbox = [...this.outbox, sent]
    queueMicrotask(() => this.tell('outboxChanged'))
    return sent
  }

  async getHistory(request: HistoryRequest): Promise<HistoryPage> {
    this.calls.push(['getHistory', request])
    await this.holdHistory
    const all = this.history.get(String(request.peerId ?? `session:${request.sessionId}`)) ?? []
    const { startMsgId, pageSize = 50 } = request
    const end = startMsgId === undefined ? all.length : all.findIndex((r) => r.msgId === startMsgId)
    const start = Math.max(end - pageSize, 0)
    return { records: all.slice(start, end), hasNext: start > 0, total: null }
  }

  async getCurrentSessions(): Promise<SessionVO[]> {
    this.calls.push(['getCurrentSessions'])
    return this.sessions
  }

  async getSession({ sessionId }: SessionGetRequest): Promise<SessionVO | null> {
    this.calls.push(['getSession', sessionId])
    return this.sessions.find(({ id }) => id === sessionId) ?? null
  }

  getAllCachedSessions(): SessionVO[] {
    return []
  }

  async getOrCreateSession(bookId: Id, buyerId: UserId, sellerId: UserId): Promise<SessionVO> {
    this.calls.push(['getOrCreateSession', bookId, buyerId, sellerId])
    return session(900 + this.#made++, buyerId, sellerId, { bookId })
  }

  async connect(...args: unknown[]): Promise<void> {
    this.calls.push(['connect', ...args])
  }

  markRead(...args: unknown[]): void {
    this.calls.push(['markRead', ...args])
  }

  setTyping(...args: unknown[]): void {
    this.calls.push(['setTyping', ...args])
  }

  tryNow(): void {
    this.calls.push(['tryNow'])
  }

  updateAccessToken(token: string): void {
    this.calls.push(['updateAccessToken', token])
  }
}
