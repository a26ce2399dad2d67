import { describe, expect, test } from 'vitest'
import { Trouble } from '../../src/core/effects'
import { IMError } from '../../src/core/errors'
import { JournalState } from '../../src/core/journal'
import { Sending } from '../../src/core/sending'
import { SERVER_LIMITS } from '../../src/core/wire/messages'
import type { ChatSendToOne, ClientMessage } from '../../src/core/wire/messages'
import type { Event, Send } from '../../src/generated/types'
import type { GivenConfig } from '../../src/core/config'
import { Bench, Chance, WALKS, config, walks } from './sending-kit'

const DEVICE = 'phone'

/** The outgoing half of a process, step by step. */
class Client {
  readonly bench: Bench
  readonly sending: Sending

  constructor(disk: JournalState | null, more: Partial<GivenConfig> = {}, now = 100) {
    this.bench = new Bench(disk, now)
    const { fx, timers, journaling } = this.bench
    this.sending = new Sending(config(more), fx, timers, journaling, DEVICE, disk)
  }

  /** One step: what it tells. */
  step(act: (sending: Sending) => unknown = () => null): Event[] {
    act(this.sending)
    this.sending.pump()
    return this.bench.take()
  }

  send(ref: number, more: Partial<Send> = {}): Event[] {
    return this.step((sending) =>
      sending.add({ type: 'Send', ref, toUser: 7, content: `m${ref}`, ...more }),
    )
  }

  online(idempotent: boolean, status = false): Event[] {
    const limits = { ...SERVER_LIMITS, inFlight: 4 }
    return this.step((sending) => sending.online({ idempotent, status, lastId: 0, limits }))
  }

  /** The next deadlines that are due by then. */
  passTime(seconds: number): Event[] {
    const { fx, timers } = this.bench
    fx.now += seconds
    return this.step((sending) => {
      for (const [timer] of timers.popDue(fx.now)) if (timer === 'RETRY') sending.retryDue()
    })
  }

  said(): ClientMessage[] {
    return this.bench.said.splice(0)
  }

  /** The answer to a message. */
  answer(msgId: number | string, code: number | null = 0): Event[] {
    return this.step((sending) =>
      sending.answered({
        type: 'ChatSendResponse',
        msgId,
        code,
        message: null,
        sessionId: null,
        timestamp: null,
      }),
    )
  }
}

const sends = (said: ClientMessage[]) =>
  said.filter((message): message is ChatSendToOne => message.type === 'ChatSendToOne')
const types = (told: Event[]) => told.map((event) => event.type)

describe('a plain server', () => {
  test('has one unanswered message of a conversation, and after a failure the next try waits', () => {
    const client = new Client(null)
    client.online(false)
    for (const ref of [1, 2]) client.send(ref)
    client.send(3, { toUser: 8 })
    const [one, three] = sends(client.said())
    expect([one?.content, three?.content]).toEqual(['m1', 'm3'])
    expect(client.answer(one!.msgId, 500)).toEqual([])
    expect([client.said(), client.bench.timers.get('RETRY')]).toEqual([[], 101])
    expect(types(client.passTime(1))).toEqual(['MessageHandedOver'])
    expect(sends(client.said())).toEqual([one])
    expect(types(client.answer(one!.msgId))).toEqual(['MessageAccepted', 'MessageHandedOver'])
    expect(client.bench.fx.counters.retransmitted).toBe(1)
  })

  test('that closes three times over the oldest message is not given it again', () => {
    const client = new Client(null)
    client.send(1)
    client.send(2)
    for (let time = 1; time <= 2; time++) {
      client.online(false)
      expect(client.step((sending) => sending.offline('oldest'))).toEqual([])
    }
    client.online(false)
    const told = client.step((sending) => sending.offline('oldest'))
    const { error } = told[0] as { error: IMError }
    expect(error.text).toBe('the server closed the connection 3 times in a row over it')
    client.said()
    client.online(false)
    expect(sends(client.said()).map((message) => message.content)).toEqual(['m2'])
  })

  test('is not given a message again where that might be twice', () => {
    const client = new Client(null, { resendWhenUnsure: false })
    client.online(false)
    client.send(1)
    const told = client.step((sending) => sending.offline('nobody'))
    expect((told[0] as { error: IMError }).error.code).toBe('IN_DOUBT')
    expect(client.sending.outbox.size).toBe(0)
  })
})

test('a message that is too big for the server is the largest, in bytes', () => {
  const client = new Client(null)
  client.online(true)
  client.send(1, { content: 'xxxxx' })
  client.send(2, { content: '𝒙𝒙' })
  client.send(3, { content: 'xxxx' })
  const told = client.step((sending) => sending.offline('largest'))
  expect(told).toMatchObject([{ type: 'MessageFailed', ref: 2, error: { serverCode: 1009 } }])
})

test('an id that is in use for something else is drawn anew, once', () => {
  const client = new Client(null)
  client.online(true)
  client.send(1)
  const first = sends(client.said())[0]!.msgId
  client.answer(first, 40900)
  const second = sends(client.said())[0]!.msgId
  expect(second).toBe((first as number) + 1)
  expect(client.answer(second, 40900)).toMatchObject([
    { type: 'MessageFailed', error: { code: 'MESSAGE_SEND_FAILED', serverCode: 40900 } },
  ])
})

test('an error that names no message is that of the only one in flight, or of none', () => {
  const client = new Client(null)
  const error = { type: 'ChatError', code: 403, message: '', errorMsg: 'no', msgId: null } as const
  client.online(true)
  expect(client.step((s) => s.refused(error))).toMatchObject([
    { type: 'ErrorOccurred', error: { serverCode: 403, serverText: 'no' }, anotherWay: false },
  ])
  client.send(1)
  client.send(2)
  expect(types(client.step((s) => s.refused(error)))).toEqual(['ErrorOccurred'])
  client.answer(sends(client.said())[0]!.msgId)
  expect(client.step((s) => s.refused({ ...error, code: null }))).toMatchObject([
    { type: 'MessageFailed', ref: 2, error: { serverCode: 400 } },
  ])
  let trouble: unknown
  client.step((s) => (trouble = s.refused({ ...error, code: 40101 })))
  expect(trouble).toBe(Trouble.LOGIN_GONE)
})

test('a message that was never given to a transport can be withdrawn, and it expires', () => {
  const client = new Client(null, { maxQueue: 2 })
  client.send(1, { ttl: 5 })
  client.send(2)
  client.send(3, { ttl: 2, wait: true, key: 'k' })
  client.send(4, { wait: true })
  expect(client.bench.timers.get('EXPIRY')).toBeCloseTo(102, 2)
  expect(client.passTime(3)).toMatchObject([
    { type: 'MessageFailed', ref: 3, msgId: null, error: { code: 'MESSAGE_EXPIRED' } },
  ])
  expect(client.sending.refOfKey('k')).toBeNull()
  expect(client.step((sending) => sending.cancel(2))).toMatchObject([
    { type: 'MessageFailed', ref: 2, error: { text: 'withdrawn before it was sent' } },
    { type: 'MessageQueued', ref: 4 },
  ])
  client.online(false)
  expect(() => client.sending.cancel(1)).toThrow('message 1 was given to a transport already')
  expect(() => client.sending.cancel(2)).toThrow('Cancel: message 2 is not pending')
  expect(client.passTime(9)).toEqual([])
})

test('a full disk fails what is new, and an end that is not on disk is not told', () => {
  const disk = new JournalState()
  const client = new Client(disk)
  expect(types(client.send(1))).toEqual([])
  client.bench.write()
  expect(types(client.step())).toEqual(['MessageQueued'])
  client.send(2, { key: 'k' })
  client.step((sending) => sending.cancel(1))
  const error = { code: 'JOURNAL_FAILED', text: 'full' } as IMError
  const { journaling, writing } = client.bench
  const told = client.step((sending) => {
    const [changes, ticket] = journaling.failed(writing!.request)!
    journaling.again(sending.unrecorded(changes, ticket, error))
  })
  expect(told).toMatchObject([{ type: 'MessageFailed', ref: 2, error: { code: 'JOURNAL_FAILED' } }])
  expect(client.sending.refOfKey('k')).toBeNull()
  client.passTime(1)
  client.bench.write()
  expect(client.step()).toMatchObject([{ ref: 1, error: { code: 'MESSAGE_CANCELLED' } }])
  client.bench.write()
  expect([...disk.outgoing.keys()]).toEqual([])
})

test('a message that fails on a full disk is not brought back by what was noted of it later', () => {
  const disk = new JournalState()
  const client = new Client(disk)
  client.send(1)
  client.online(true) // its turn has come, and that is noted
  const error = { code: 'JOURNAL_FAILED', text: 'full' } as IMError
  const { journaling, writing } = client.bench
  client.step((sending) => {
    const [changes, ticket] = journaling.failed(writing!.request)!
    journaling.again(sending.unrecorded(changes, ticket, error))
  })
  client.passTime(1)
  client.bench.write()
  expect(disk.outgoing.size).toBe(0)
})

/** A client that has handed these over, and has no link any more; all is on disk. */
function handedOver(disk: JournalState, refs: number[]): Client {
  const client = new Client(disk)
  client.online(true, true)
  for (const ref of refs) client.send(ref)
  while (client.bench.write()) client.step()
  return client
}

test('what an earlier process may have sent is asked for, once, and counts as sent again', () => {
  const disk = new JournalState()
  handedOver(disk, [1])
  const client = new Client(disk, {}, 200)
  client.online(true, true)
  const msgId = disk.outgoing.get(1)!.msgId
  expect(client.said()).toEqual([{ type: 'MessageStatusRequest', msgIds: [msgId] }])
  const items = [{ msgId, status: 'never' as const, timestamp: null }]
  const told = client.step((s) => s.toldStatus({ type: 'MessageStatusResponse', items }))
  expect(told).toMatchObject([{ type: 'MessageHandedOver', ref: 1, sends: 2 }])
  client.step((sending) => sending.offline('nobody'))
  client.said()
  client.online(true, true)
  expect(client.said().map((message) => message.type)).toEqual(['ChatSendToOne'])
})

test('nobody overtakes a message whose new id is not on disk yet', () => {
  const disk = new JournalState()
  const client = handedOver(disk, [1, 2])
  client.answer(sends(client.said())[0]!.msgId, 40900)
  client.step((sending) => sending.offline('nobody'))
  client.online(true)
  expect(client.said()).toEqual([])
  while (client.bench.write()) client.step()
  expect(sends(client.said()).map((message) => message.content)).toEqual(['m1', 'm2'])
})

/**
 * A client that crashes, a journal that fails, a network that loses, and a server that takes each
 * msgId once: what the applications of all its processes may expect, checked at every step.
 */
class World {
  readonly chance: Chance
  readonly disk = new JournalState()
  readonly seen: Record<string, number> = {}
  client: Client
  now = 100
  lastRef = 0
  /** by msgId, the content; in the order in which the server took them */
  stored = new Map<number, string>()
  /** on their way: to the server, and back */
  up: ClientMessage[] = []
  /** by content, what the application was told last; '' before it was told anything */
  told = new Map<string, string>()
  /** of this process, by ref */
  contents = new Map<number, string>()
  /** … what it has told the end of */
  ended = new Set<string>()
  link = false

  constructor(
    seed: number,
    readonly idempotent: boolean,
  ) {
    this.chance = new Chance(seed)
    this.client = this.process()
  }

  count(what: string): void {
    this.seen[what] = (this.seen[what] ?? 0) + 1
  }

  process(): Client {
    this.link = false
    this.up = []
    const client = new Client(this.disk, { maxQueue: 12 }, this.now)
    this.contents = new Map()
    this.ended = new Set()
    for (const record of client.sending.restored()) {
      this.contents.set(record.ref, record.content)
      this.lastRef = Math.max(this.lastRef, record.ref)
      // of an end that is kept for its key nothing more is told: whoever asks finds it here
      if (record.end !== null && record.key !== null) this.told.set(record.content, record.end)
    }
    // whoever was told that it waits finds it again
    for (const [content, told] of this.told) {
      const kept = [...this.contents.values()].includes(content)
      if (told === 'MessageQueued') expect(kept, `${content} was queued, and is lost`).toBe(true)
    }
    return client
  }

  step(): void {
    const often = ['send', 'send', 'connect', 'deliver', 'deliver', 'write', 'write'] as const
    const rare = ['lose', 'crash', 'failWrite', 'time', 'cancel', 'block'] as const
    this[this.chance.odds(0.9) ? this.chance.pick(often) : this.chance.pick(rare)]()
  }

  send(): void {
    const ref = ++this.lastRef
    const content = `${this.chance.odds(0.1) ? 'bad' : 'm'}${ref}`
    const more: Partial<Send> = { toUser: this.chance.int(1, 3), content }
    if (this.chance.odds(0.2)) more.key = `k${ref}`
    if (this.chance.odds(0.2)) more.wait = true
    if (this.chance.odds(0.1)) more.ttl = 0.5
    try {
      this.contents.set(ref, content)
      this.hear((client) => client.send(ref, more))
    } catch (error) {
      if (!(error instanceof IMError)) throw error
      expect(error.code).toBe('QUEUE_FULL')
      expect(this.client.sending.outbox.get(ref)).toBeUndefined()
      this.count('full')
    }
  }

  connect(): void {
    if (this.link) return
    this.link = true
    this.up = []
    this.hear((client) => client.online(this.idempotent, this.idempotent))
  }

  /** The server gets one, and its answer comes back, or is lost with the link. */
  deliver(): void {
    const message = this.up.shift()
    if (!message) return
    const lost = this.chance.odds(0.1)
    if (message.type === 'MessageStatusRequest') {
      const items = message.msgIds.map((msgId) => ({
        msgId,
        status: this.stored.has(msgId as number) ? ('accepted' as const) : ('never' as const),
        timestamp: null,
      }))
      this.count('asked')
      if (lost) this.lose()
      else
        this.hear((client) =>
          client.step((s) => s.toldStatus({ type: 'MessageStatusResponse', items })),
        )
      return
    }
    if (message.type !== 'ChatSendToOne') throw new Error(message.type)
    const msgId = message.msgId as number
    const bad = message.content.startsWith('bad')
    if (!bad) {
      expect(this.stored.get(msgId) ?? message.content, 'one id, two messages').toBe(
        message.content,
      )
      if (this.idempotent) {
        const before = [...this.stored].find(([, content]) => content === message.content)
        expect(before?.[0] ?? msgId, `${message.content} twice`).toBe(msgId)
      }
      this.stored.set(msgId, message.content)
    }
    if (lost) this.lose()
    else this.hear((client) => client.answer(msgId, bad ? 403 : 0))
  }

  write(): void {
    if (this.client.bench.write()) this.hear((client) => client.step())
  }

  failWrite(): void {
    const { journaling, writing } = this.client.bench
    if (writing === null) return
    this.count('failed writes')
    const error = { code: 'JOURNAL_FAILED', text: 'full' } as IMError
    this.client.bench.writing = null
    this.hear((client) =>
      client.step((sending) => {
        const [changes, ticket] = journaling.failed(writing.request)!
        journaling.again(sending.unrecorded(changes, ticket, error))
      }),
    )
  }

  lose(): void {
    if (!this.link) return
    this.link = false
    this.up = []
    this.hear((client) => client.step((sending) => sending.offline('nobody')))
  }

  crash(): void {
    this.count('crashes')
    if (this.chance.odds(0.5)) this.client.bench.write()
    this.client = this.process()
  }

  time(): void {
    this.now += 0.3
    this.hear((client) => client.passTime(this.now - client.bench.fx.now))
  }

  cancel(): void {
    const message = [...this.client.sending.outbox.untouched(['normal'])][0]
    if (message) this.hear((client) => client.step((sending) => sending.cancel(message.ref)))
  }

  block(): void {
    this.client.sending.blocked = this.chance.odds(0.3)
    this.hear((client) => client.step())
  }

  // ------------------------------------------------------------ what must come of it

  hear(act: (client: Client) => Event[]): void {
    const { client } = this
    const events = act(client)
    for (const event of events) {
      if (!('ref' in event)) continue // how full it is
      const about = this.contents.get(event.ref)
      expect(about, event.type).toBeDefined()
      this.count(event.type)
      // the next process may tell of an end again, if that it was told is not on disk
      expect(this.ended.has(about!), `${event.type} of ${about} after its end`).toBe(false)
      if (event.type === 'MessageAccepted' || event.type === 'MessageFailed') this.ended.add(about!)
      if (event.type === 'MessageAccepted') {
        expect([...this.stored.values()], 'accepted by nobody').toContain(about)
      }
      if (event.type !== 'MessageHandedOver') this.told.set(about!, event.type)
      if (event.type === 'MessageFailed') {
        this.count(event.error.code)
        const mayBe = event.error.code === 'IN_DOUBT' && !this.idempotent
        if (!mayBe) expect([...this.stored.values()]).not.toContain(about)
      }
      if (event.type === 'MessageHandedOver') {
        // whatever happens now, the next process knows that it may have been sent
        const record = this.disk.outgoing.get(event.ref)
        expect(record?.handedAt, `${about} is handed over before that is on disk`).not.toBeNull()
        expect(record?.msgId).toBe(event.msgId)
      }
    }
    const said = client.said()
    if (this.link) this.up.push(...said)
  }

  /** All goes well from here on: everybody has an end, in the order of his conversation. */
  finish(): void {
    this.crash()
    this.client.sending.blocked = false
    for (let round = 0; round < 200; round++) {
      this.connect()
      this.write()
      if (this.up.length) this.deliver()
      else if (round % 8 === 0) this.time()
    }
    expect(this.client.sending.outbox.size, 'some have no end').toBe(0)
    const queued = [...this.told].filter(([, told]) => told === 'MessageQueued')
    expect(queued).toEqual([])
    expect([...this.disk.outgoing.values()].filter((record) => record.end === null)).toEqual([])
    if (!this.idempotent) return
    const order = [...this.stored.values()].map((content) => Number(content.slice(1)))
    expect(new Set(order).size).toBe(order.length)
  }
}

describe('whatever happens, what was queued has its end, in every later process', () => {
  test.each([true, false])(
    'where the server knows the identity of a send: %s',
    (idempotent) => {
      const seen = walks((seed) => new World(seed, idempotent), 300)
      const ends = [
        'MessageAccepted',
        'MESSAGE_SEND_FAILED',
        'MESSAGE_CANCELLED',
        'MESSAGE_EXPIRED',
      ]
      const wanted = ['crashes', 'full', 'failed writes', 'JOURNAL_FAILED', 'MessageQueued']
      for (const what of [...ends, ...wanted, ...(idempotent ? ['asked'] : [])]) {
        expect(seen[what] ?? 0, what).toBeGreaterThan(10)
      }
    },
    WALKS,
  )
})
