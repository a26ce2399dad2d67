/** A lab without a browser, a network and a server: for tests, in virtual time. */
import type { Faults, LabApi, LabInfo, LabListener, StoredConversation } from '../../src/lab/api'
import type { Side } from '../../src/lab/chaos'
import type { ClockBase } from '../../src/lab/clock'
import type { LabWorld } from '../../src/lab/lab'
import type { LabClient } from '../../src/lab/side'
import type { IMClientConfig, IMEventCallbacks, SentMessage } from '../../src/types/index'

/** Time that passes when it is told to. */
export class FakeTime implements ClockBase {
  at = 0
  #last = 0
  #waiting = new Map<number, { due: number; callback: () => void }>()

  now(): number {
    return this.at
  }

  wall(): number {
    return 1_700_000_000_000 + this.at
  }

  setTimeout(callback: () => void, ms: number): number {
    this.#waiting.set(++this.#last, { due: this.at + ms, callback })
    return this.#last
  }

  clearTimeout(timer: unknown): void {
    this.#waiting.delete(timer as number)
  }

  /** Let time pass; what was promised is kept in between. */
  async pass(ms: number): Promise<void> {
    const end = this.at + ms
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve))
      const [id, next] =
        [...this.#waiting].sort((x, y) => x[1].due - y[1].due || x[0] - y[0])[0] ?? []
      if (id === undefined || next!.due > end) break
      this.#waiting.delete(id)
      this.at = Math.max(this.at, next!.due)
      next!.callback()
    }
    this.at = end
  }
}

const STEADY: Faults = { latency: 0, jitter: 0, loss: 0, blackhole: false }

/** The server and the network in one: what is sent arrives, unless it is told otherwise. */
export class FakeLab {
  readonly time = new FakeTime()
  readonly calls: unknown[][] = []
  readonly info: LabInfo = {
    wsUrls: { a: 'ws://127.0.0.1:1/ws', b: 'ws://127.0.0.1:2/ws' },
    users: [
      { id: 1, name: 'Alice', window: 'a' },
      { id: 2, name: 'Bob', window: 'b' },
    ],
    server: { state: 'running', pid: 100, starts: 1 },
    faults: { a: STEADY, b: STEADY },
    limits: { latency: 10, jitter: 10 },
    meanings: {},
  }
  /** What becomes of a message: how often it arrives, and whether the database has it. */
  fate: (text: string) => { arrives: number; stored: boolean } = () => ({
    arrives: 1,
    stored: true,
  })
  readonly clients = new Map<number, FakeClient>()
  readonly stored: Record<Side, number[]> = { a: [], b: [] }
  listener: LabListener | null = null
  #ids = 0

  /** What {@link Lab.start} takes. */
  get world(): LabWorld {
    return {
      api: this.api,
      base: this.time,
      makeClient: (config) => new FakeClient(this, config),
    }
  }

  readonly api: Pick<LabApi, keyof LabApi> = {
    info: async () => this.info,
    stored: async () => this.#conversations(),
    token: async (side) => `token of ${side}`,
    setFaults: async (side, faults) => {
      this.calls.push(['faults', side, faults])
      for (const one of side === 'both' ? (['a', 'b'] as const) : [side])
        this.info.faults = { ...this.info.faults, [one]: { ...this.info.faults[one], ...faults } }
      this.listener?.faults(this.info.faults)
    },
    cut: async (side, how) => void this.calls.push(['cut', side, how]),
    expire: async (side) => void this.calls.push(['expire', side]),
    server: async (what) => {
      this.calls.push(['server', what])
      const running = what === 'start' || what === 'restart'
      const { starts } = this.info.server
      this.info.server = running
        ? { state: 'running', pid: 100 + starts, starts: starts + 1 }
        : { state: what === 'kill' ? 'killed' : 'stopped', pid: null, starts }
      this.listener?.server(this.info.server)
    },
    listen: (listener) => {
      this.listener = listener
      return () => (this.listener = null)
    },
  }

  /** A message comes to the server. */
  take(client: FakeClient, sent: { -readonly [K in keyof SentMessage]: SentMessage[K] }): void {
    const { arrives, stored } = this.fate(sent.content)
    sent.msgId = ++this.#ids
    sent.status = 'accepted'
    if (stored) this.stored[client.userId === 1 ? 'a' : 'b'].push(sent.msgId as number)
    client.callbacks.messageSent?.(sent)
    const receiver = this.clients.get(sent.toUserId as number)
    for (let i = 0; i < arrives; i++)
      void receiver?.callbacks.messageReceived?.({
        content: sent.content,
        fromUser: client.userId,
        msgId: sent.msgId!,
        messageType: 'text',
        redelivered: false,
        attempt: 1,
        ack: () => {},
      })
  }

  #conversations(): StoredConversation[] {
    return [
      { from: 1, to: 2, accepted: this.stored.a.length, msgIds: [...this.stored.a] },
      { from: 2, to: 1, accepted: this.stored.b.length, msgIds: [...this.stored.b] },
    ]
  }
}

/** A client that is logged in from the start, and hands everything over after a moment. */
export class FakeClient implements LabClient {
  callbacks: Partial<IMEventCallbacks> = {}
  outbox: SentMessage[] = []
  readonly userId: number
  readonly marked: unknown[] = []
  tries = 0
  closed = false
  #keys = 0

  constructor(
    readonly lab: FakeLab,
    readonly config: IMClientConfig,
  ) {
    this.userId = config.userId as number
    lab.clients.set(this.userId, this)
  }

  async connect(): Promise<void> {}

  async close(): Promise<void> {
    this.closed = true
  }

  setCallbacks(callbacks: Partial<IMEventCallbacks>): void {
    Object.assign(this.callbacks, callbacks)
  }

  queueMessage({ toUserId, content }: { toUserId: number | string; content: string }): SentMessage {
    const sent = {
      key: `${this.userId}-${++this.#keys}`,
      msgId: null,
      toUserId,
      content,
      messageType: 'text',
      sessionId: null,
      status: 'queued' as const,
      receipt: null,
      timestamp: 0,
      error: null,
      accepted: () => Promise.reject(new Error('nobody waits here')),
      cancel: () => false,
    }
    this.outbox.push(sent)
    this.lab.time.setTimeout(() => {
      this.outbox = this.outbox.filter((one) => one !== sent)
      this.lab.take(this, sent)
    }, 50)
    return sent
  }

  getConnectionState() {
    return {
      status: 'authenticated' as const,
      reason: 'logged in',
      attempts: 0,
      retryAt: null,
      retryIn: null,
      lastError: null,
    }
  }

  tryNow(): void {
    this.tries++
  }

  markRead(...what: unknown[]): void {
    this.marked.push(what)
  }

  inspect() {
    return {
      machines: {
        connection: 'open',
        auth: 'authenticated',
        heartbeat: 'resting',
        reconnect: 'established',
      },
      deadlines: [
        { name: 'HEARTBEAT_DUE', meaning: 'the next heartbeat', in: 3200 },
        { name: 'ACK', meaning: 'the answer to the oldest message', in: 4100 },
      ],
      outbox: { queued: this.outbox.length, inFlight: 0 },
      counters: { reconnects: 1, resumed: 2, retransmitted: 3, duplicatesSuppressed: 4 },
    }
  }
}
