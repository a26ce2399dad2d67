/**
 * A small chat server in memory, and the browser's WebSocket and fetch that reach it.
 *
 *     const server = new FakeServer()
 *     new IMClient({ …, environment: { WebSocket: server.WebSocket, fetch: server.fetch } })
 *
 * By itself it does what a good server does: it logs in, accepts, passes messages on to who is there
 * and keeps them for who is not, and answers calls about sessions. `plain: true` takes all that away
 * that the original protocol does not have. What a test needs beyond that it does by hand: `refuse`,
 * `answers`, `link.push`, `link.close`, `link.drop`.
 *
 * Nothing happens inside of a call of the client: every answer takes a turn of the microtask queue.
 */

import type { HistoryRecord, SessionVO, Socket } from '../../src/types'

/** A message on the wire, its `message` parsed. */
export interface Envelope {
  type: string
  message: Record<string, unknown>
}

interface Push {
  seq: number
  type: string
  message: Record<string, unknown>
}

const CAPABILITIES = [
  'seq',
  'batch',
  'status',
  'receipts',
  'typing',
  'presence',
  'refresh',
  'sessions',
]

/** What a server can be told. */
export interface FakeServerOptions {
  /** It speaks the original protocol and nothing else. */
  plain?: boolean
  /** What it grants of what it is asked for. */
  capabilities?: string[]
  /** Tokens that it takes; by default all. */
  tokens?: string[]
  /** The wall clock, ms since 1970. */
  wall?: () => number
  /** What the log-in tells beside the usual. */
  data?: Record<string, unknown>
}

/** The server's end of one WebSocket. */
export class FakeLink {
  readonly sent: Envelope[] = []
  user: string | null = null
  deviceId = ''
  granted: string[] = []
  /** so far pushes went out */
  cursor = 0
  open = true

  constructor(
    readonly server: FakeServer,
    readonly socket: FakeSocket,
  ) {}

  /** Send one message to the client. */
  push(type: string, message: Record<string, unknown> = {}): void {
    this.text(JSON.stringify({ type, message: JSON.stringify(message) }))
  }

  /** Send any text message. */
  text(data: string): void {
    if (this.open) this.socket.arrive(data)
  }

  /** Send a binary message. */
  binary(): void {
    this.socket.arrive(new ArrayBuffer(3))
  }

  /** Close it with a close frame. */
  close(code = 1000, reason = ''): void {
    this.end(code, reason, true)
  }

  /** Let it be lost. */
  drop(): void {
    this.end(1006, '', false)
  }

  /** Of what was received: all of a type. */
  of(type: string): Record<string, unknown>[] {
    return this.sent.filter((one) => one.type === type).map((one) => one.message)
  }

  /** It ends, whoever began. */
  end(code: number, reason: string, wasClean: boolean): void {
    if (!this.open) return
    this.open = false
    this.socket.ended(code, reason, wasClean)
  }
}

/** The client's end: what a browser gives a page. */
export class FakeSocket implements Socket {
  binaryType = 'blob'
  bufferedAmount = 0
  readyState = 0
  onopen: ((event: Event) => void) | null = null
  onmessage: ((event: MessageEvent) => void) | null = null
  onclose: ((event: CloseEvent) => void) | null = null
  onerror: ((event: Event) => void) | null = null
  /** What the page closed it with; null: it did not. */
  closedWith: [code?: number, reason?: string] | null = null
  link: FakeLink | null = null
  #events = Promise.resolve()

  constructor(
    readonly server: FakeServer,
    readonly url: string,
  ) {
    if (!/^wss?:/.test(url)) throw new SyntaxError('no WebSocket URL')
    this.#later(() => {
      if (this.server.refuse === 'hang' || this.readyState) return
      if (this.server.refuse) return this.ended(1006, '', false)
      this.readyState = 1
      this.link = new FakeLink(server, this)
      server.links.push(this.link)
      this.onopen?.({} as Event)
    })
  }

  send(text: string): void {
    if (this.readyState === 0) throw new DOMException('still connecting', 'InvalidStateError')
    if (this.readyState !== 1) this.server.complaints += 1
    this.#later(() => this.link?.open && this.server.receive(this.link, text))
  }

  close(code?: number, reason?: string): void {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw new DOMException('no such code', 'InvalidAccessError')
    }
    if (new TextEncoder().encode(reason).length > 123) throw new SyntaxError('too long a reason')
    if (this.readyState > 1) return
    this.closedWith = [code, reason]
    const connecting = this.readyState === 0
    this.readyState = 2
    this.#later(() => {
      if (connecting) this.ended(1006, '', false)
      else if (!this.server.ignoresClose) this.link?.end(code ?? 1005, reason ?? '', true)
    })
  }

  /** The server sends this. */
  arrive(data: unknown): void {
    this.#later(() => {
      if (this.readyState === 1) this.onmessage?.({ data } as MessageEvent)
    })
  }

  /** The server, or the network, ends it. */
  ended(code: number, reason: string, wasClean: boolean): void {
    this.readyState = Math.max(this.readyState, 2)
    this.#later(() => {
      if (this.readyState === 3) return
      this.readyState = 3
      this.onerror?.({} as Event)
      this.onclose?.({ code, reason, wasClean } as CloseEvent)
    })
  }

  #later(what: () => void): void {
    this.#events = this.#events.then(what)
  }
}

export class FakeServer {
  /** Every link that was opened, in order. */
  readonly links: FakeLink[] = []
  /** How often a page has written to a WebSocket that was closing: a browser says so each time. */
  complaints = 0
  /** Every message that was accepted: once, however often it came. */
  readonly accepted: Record<string, unknown>[] = []
  readonly sessions: SessionVO[] = []
  /** New links: true refuses them, 'hang' never answers. */
  refuse: boolean | 'hang' = false
  /** What a type is answered with instead; null: nothing. */
  readonly answers: Record<
    string,
    ((link: FakeLink, message: Record<string, unknown>) => void) | null
  > = {}
  /** It does not answer a close frame. */
  ignoresClose = false
  /** Every call over HTTP. */
  readonly calls: { url: string; init: RequestInit }[] = []
  readonly #mailboxes = new Map<string, Push[]>()
  readonly #acked = new Map<string, number>()
  readonly #history: (HistoryRecord & { sessionId: number })[] = []
  readonly #repeats = new Map<string, Record<string, unknown>>()
  #epoch = 'epoch-1'

  constructor(readonly options: FakeServerOptions = {}) {}

  /** For `environment.WebSocket`. */
  get WebSocket(): new (url: string) => FakeSocket {
    const server = this
    return class extends FakeSocket {
      constructor(url: string) {
        super(server, url)
      }
    }
  }

  /** For `environment.fetch`: the calls about sessions. */
  readonly fetch = async (input: unknown, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(String(input))
    this.calls.push({ url: url.href, init })
    const op = { get: 'get', create: 'create', startChat: 'startChat', getCurrent: 'getCurrent' }[
      url.pathname.split('/').at(-1) ?? ''
    ]
    const query = Object.fromEntries([...url.searchParams].map(([key, one]) => [key, Number(one)]))
    const params = init.body ? JSON.parse(String(init.body)) : query
    return Response.json(this.session(op ?? 'history', params))
  }

  /** The last link, or the one of a number. */
  link(at = -1): FakeLink {
    const link = this.links.at(at)
    if (!link) throw new Error('no link')
    return link
  }

  /** The open link of a user. */
  of(user: number | string): FakeLink | undefined {
    return this.links.findLast((link) => link.open && link.user === String(user))
  }

  /** A message for a user, as if somebody else had sent it. */
  message(toUser: number | string, message: Record<string, unknown>): void {
    this.#post(String(toUser), 'CHAT_REDIRECT_TO_USER_REQUEST', {
      timestamp: this.#wall(),
      ...message,
    })
  }

  /** Up to where a user has acknowledged. */
  acked(user: number | string): number {
    return this.#acked.get(String(user)) ?? 0
  }

  /** The mailbox is another one: numbers mean nothing any more. */
  reset(): void {
    this.#epoch += '+'
    this.#mailboxes.clear()
    this.#acked.clear()
  }

  /** What a client has sent. */
  receive(link: FakeLink, text: string): void {
    const parsed = JSON.parse(text) as unknown
    for (const envelope of Array.isArray(parsed) ? parsed : [parsed]) {
      const { type, message } = envelope as { type: string; message: unknown }
      const read = typeof message === 'string' ? JSON.parse(message || '{}') : (message ?? {})
      link.sent.push({ type, message: read })
      const own = this.answers[type]
      if (own) own(link, read)
      else if (own === undefined) this.#answer(link, type, read)
    }
  }

  #answer(link: FakeLink, type: string, message: Record<string, unknown>): void {
    switch (type) {
      case 'AUTH_REQUEST':
        return this.#login(link, message)
      case 'HEARTBEAT_REQUEST':
        return link.push('HEARTBEAT_RESPONSE', { serverTime: this.#wall() })
      case 'CHAT_SEND_TO_ONE_REQUEST':
        return this.accept(link, message)
      case 'CHAT_ACK_REQUEST':
        this.#acked.set(link.user ?? '', Number(message.seq))
        return
      case 'CHAT_READ_RECEIPT_REQUEST':
        return this.#read(link, message)
      case 'MESSAGE_STATUS_REQUEST':
        return this.#status(link, message)
      case 'TYPING': {
        const to = this.of(message.toUser as string)
        return to?.push('TYPING', { fromUser: number(link.user), active: message.active })
      }
      case 'SESSION_REQUEST': {
        const { id, op, params } = message as { id: unknown; op: string; params: never }
        return link.push('SESSION_RESPONSE', {
          id,
          ...(this.session(op, params, link.user) as object),
        })
      }
    }
  }

  #login(link: FakeLink, message: Record<string, unknown>): void {
    const { tokens, plain, data } = this.options
    if (tokens && !tokens.includes(String(message.accessToken))) {
      return link.push('AUTH_RESPONSE', { code: 40101, message: 'token expired' })
    }
    if (link.user !== null) return link.push('AUTH_RESPONSE', { code: 200, data: {} })
    link.user = String(message.userId)
    const usual = { userId: message.userId, username: `user ${link.user}` }
    const asked = (message.capabilities ?? []) as string[]
    link.granted = plain ? [] : asked.filter((one) => this.#grants.includes(one))
    if (!link.granted.length) {
      link.push('AUTH_RESPONSE', { code: 200, message: 'ok', data: { ...usual, ...data } })
      return this.#pump(link.user)
    }
    link.deviceId = String(message.deviceId)
    const resume = message.resume as { epoch: string; seq: number } | undefined
    const recovered = resume?.epoch === this.#epoch
    link.cursor = recovered ? resume.seq : (this.#acked.get(link.user) ?? 0)
    const numbers = { resume: recovered ? 'recovered' : resume ? 'reset' : undefined, oldest: 1 }
    link.push('AUTH_RESPONSE', {
      code: 200,
      message: 'ok',
      data: {
        ...{ ...usual, deviceId: link.deviceId, capabilities: link.granted },
        ...{ serverTime: this.#wall(), epoch: this.#epoch, seq: link.cursor, ...numbers },
        ...data,
      },
    })
    this.#pump(link.user)
  }

  get #grants(): string[] {
    return this.options.capabilities ?? CAPABILITIES
  }

  /** Accept a message, and pass it on; the sender hears of it only with `tell`. */
  accept(link: FakeLink, message: Record<string, unknown>, tell = true): void {
    const { msgId, toUser, content, messageType } = message
    const name = JSON.stringify([link.user, link.deviceId, msgId])
    let answer = this.#repeats.get(name)
    if (!answer) {
      const timestamp = this.#wall()
      const { id } = this.#sessionOf(link.user, toUser, message.sessionId)
      answer = { msgId, code: 200, timestamp, sessionId: id }
      if (link.deviceId) this.#repeats.set(name, answer)
      const passed = { content, msgId, messageType, timestamp, sessionId: id }
      this.accepted.push({ ...message, fromUser: number(link.user) })
      this.#history.push({
        ...{ sessionId: id as number, msgId: msgId as number, content: String(content) },
        ...{ senderId: number(link.user), receiverId: toUser as number, messageStatus: 1 },
        ...{ messageType: String(messageType ?? 'text'), sendTime: String(timestamp) },
      })
      this.#post(String(toUser), 'CHAT_REDIRECT_TO_USER_REQUEST', {
        ...{ ...passed, fromUser: number(link.user) },
      })
    }
    if (tell) link.push('CHAT_SEND_RESPONSE', answer)
  }

  #read(link: FakeLink, { msgId, fromUser }: Record<string, unknown>): void {
    link.push('CHAT_READ_RECEIPT_RESPONSE', { msgId, code: 200 })
    const user = number(link.user)
    const receipt = { msgIds: [msgId], user, status: 'read', timestamp: this.#wall() }
    const to = this.of(fromUser as string)
    if (to?.granted.includes('receipts')) this.#post(String(fromUser), 'RECEIPT_PUSH', receipt)
  }

  #status(link: FakeLink, message: Record<string, unknown>): void {
    const items = (message.msgIds as unknown[]).map((msgId) => {
      const name = JSON.stringify([link.user, link.deviceId, msgId])
      return { msgId, status: this.#repeats.has(name) ? 'accepted' : 'never' }
    })
    link.push('MESSAGE_STATUS_RESPONSE', { items })
  }

  /** Put it into the mailbox, and out to who is there. */
  #post(user: string, type: string, message: Record<string, unknown>): void {
    const mailbox = this.#mailboxes.get(user) ?? []
    this.#mailboxes.set(user, mailbox)
    mailbox.push({ seq: mailbox.length + 1, type, message })
    this.#pump(user)
  }

  #pump(user: string): void {
    const mailbox = this.#mailboxes.get(user) ?? []
    for (const link of this.links) {
      if (!link.open || link.user !== user) continue
      const numbered = link.granted.includes('seq')
      for (const { seq, type, message } of mailbox.slice(link.cursor)) {
        link.cursor = seq
        link.push(type, numbered ? { ...message, seq } : message)
      }
      if (!numbered) this.#mailboxes.delete(user)
      if (!numbered) link.cursor = 0
    }
  }

  // -- sessions

  /** Answer a call about sessions. */
  session(op: string, params: Record<string, unknown>, me: string | null = null): unknown {
    const { sessionId, bookId, buyerId, sellerId } = params
    const ok = (data: unknown): unknown => ({ code: 200, data, message: 'ok' })
    const found = this.sessions.find(
      (one) =>
        one.id === sessionId ||
        (one.bookId === bookId && one.buyerId === buyerId && one.sellerId === sellerId),
    )
    switch (op) {
      case 'get':
        return found ? ok(found) : { code: 40400, data: null, message: 'no such session' }
      case 'create':
        return ok(this.#open(bookId, buyerId, sellerId).id)
      case 'startChat':
        return ok(found ?? this.#open(bookId, buyerId, sellerId))
      case 'getCurrent': {
        const user = String(params.userId ?? me)
        return ok(
          this.sessions.filter((one) => [one.buyerId, one.sellerId].map(String).includes(user)),
        )
      }
      default: {
        const { peerId, startMsgId, direction = 'before', pageSize = 50 } = params
        let records = this.#history.filter(
          (one) =>
            one.sessionId === sessionId || one.senderId === peerId || one.receiverId === peerId,
        )
        const at = records.findIndex((one) => one.msgId === startMsgId)
        const size = Number(pageSize)
        if (direction === 'after') records = records.slice(at + 1)
        else if (at >= 0) records = records.slice(0, at)
        const page = direction === 'after' ? records.slice(0, size) : records.slice(-size)
        return ok({ records: page, hasNext: page.length < records.length, total: records.length })
      }
    }
  }

  #open(bookId: unknown, buyerId: unknown, sellerId: unknown): SessionVO {
    const session = {
      ...{ id: 1000 + this.sessions.length, bookId, buyerId, sellerId, sessionStatus: 1 },
      ...{ expireTime: '2030-01-01 00:00:00', createTime: '2026-01-01 00:00:00' },
      ...{ buyerReaded: 0, sellerReaded: 0 },
    } as SessionVO
    this.sessions.push(session)
    return session
  }

  #sessionOf(from: unknown, to: unknown, sessionId: unknown): SessionVO {
    const named = this.sessions.find((one) => one.id === sessionId)
    const [buyer, seller] = [number(from), number(to)].sort()
    const chat = this.sessions.find(
      (one) => one.bookId === 0 && one.buyerId === buyer && one.sellerId === seller,
    )
    return named ?? chat ?? this.#open(0, buyer, seller)
  }

  #wall(): number {
    return this.options.wall?.() ?? 1_700_000_000_000
  }
}

/** A user id as it was given: most are numbers. */
function number(user: unknown): number | string {
  return /^[0-9]+$/.test(String(user)) ? Number(user) : String(user)
}
