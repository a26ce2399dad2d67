import { describe, expect, test } from 'vitest'
import { Trouble } from '../../src/core/effects'
import { pairKnown } from '../../src/core/incoming'
import { JournalState } from '../../src/core/journal'
import { Receiving } from '../../src/core/receiving'
import type { Push } from '../../src/core/receiving'
import { NO_AUTH_DATA, SERVER_LIMITS } from '../../src/core/wire/messages'
import type { AuthData } from '../../src/core/wire/messages'
import type { Event, MessageReceived } from '../../src/generated/types'
import type { GivenConfig } from '../../src/core/config'
import { Bench, Chance, WALKS, config, walks } from './sending-kit'

const ME = 1
const DEVICE = 'phone'

/** The incoming half of a process, step by step. */
class Client {
  readonly bench: Bench
  readonly receiving: Receiving

  constructor(disk: JournalState | null, more: Partial<GivenConfig> = {}) {
    const settings = config({ userId: ME, ...more })
    this.bench = new Bench(disk, 100, settings.knownPairs)
    const { fx, timers, journaling } = this.bench
    this.receiving = new Receiving(settings, DEVICE, fx, timers, journaling, disk)
  }

  /** One step: what it tells. */
  step(act: (receiving: Receiving) => unknown = () => null): Event[] {
    act(this.receiving)
    this.receiving.settle()
    this.receiving.acknowledge()
    return this.bench.take()
  }

  login(data: Partial<AuthData>): Event[] {
    return this.step((receiving) => receiving.online({ ...NO_AUTH_DATA, ...data }, true))
  }

  /** What was said since the last time. */
  said() {
    return this.bench.said.splice(0)
  }

  acks(): number[] {
    return this.said().flatMap((said) => (said.type === 'ChatAck' ? [said.seq] : []))
  }
}

function message(seq: number | null, more: Partial<Push> = {}): Push {
  return {
    type: 'ChatRedirectToUser',
    content: `m${seq}`,
    msgId: seq,
    fromUser: 2,
    sessionId: null,
    messageType: null,
    timestamp: null,
    seq,
    toUser: null,
    deviceId: null,
    ...more,
  } as Push
}

const of = (told: Event[], type: Event['type']) => told.filter((event) => event.type === type)
const contents = (told: Event[]) =>
  (of(told, 'MessageReceived') as MessageReceived[]).map((event) => event.content)

describe('without numbers', () => {
  test('a message is a repeat only when writer, id and content are those of one before', () => {
    const client = new Client(null, { knownPairs: 2 })
    const push = (more: Partial<Push>) => client.step((r) => r.pushed(message(null, more)))
    expect(contents(push({ msgId: 5, content: 'a' } as Push))).toEqual(['a'])
    expect(push({ msgId: 5, content: 'a' } as Push).map((event) => event.type)).toEqual([
      'DuplicateSuppressed',
    ])
    expect(contents(push({ msgId: 5, content: 'b' } as Push))).toEqual(['b'])
    expect(contents(push({ msgId: '5', content: 'b' } as Push))).toEqual(['b'])
    expect(contents(push({ content: 'b' } as Push))).toEqual(['b'])
    expect(contents(push({ content: 'b' } as Push))).toEqual(['b'])
    // the pair of 5 is older than the two that are known
    push({ msgId: 6, content: 'c' } as Push)
    expect(contents(push({ msgId: 5, content: 'b' } as Push))).toEqual(['b'])
  })
})

describe('acknowledging', () => {
  test('goes in steps and later while others are being handled, else at a pace', () => {
    const client = new Client(null)
    client.login({ epoch: 'e', seq: 0, limits: { ...SERVER_LIMITS, unacked: 4 * 32 } })
    const told: Event[] = []
    for (let seq = 1; seq <= 40; seq++) told.push(...client.step((r) => r.pushed(message(seq))))
    const deliveries = (told as MessageReceived[]).map((event) => event.delivery)
    for (const delivery of deliveries.slice(0, 31)) client.step((r) => r.handled(delivery))
    expect(client.acks()).toEqual([])
    expect(client.bench.timers.get('ACK_OUT')).toBe(100.2)
    client.step((r) => r.handled(deliveries[31]!))
    expect([client.acks(), client.bench.timers.get('ACK_OUT')]).toEqual([[32], null])
    client.step((r) => r.handled(deliveries[39]!))
    client.step((r) => r.handled(deliveries[32]!))
    client.step((r) => r.acknowledge(true))
    expect(client.acks()).toEqual([33])
    for (const delivery of deliveries.slice(33)) client.step((r) => r.handled(delivery))
    expect([client.acks(), client.bench.timers.get('ACK_OUT')]).toEqual([[], 100.01])
    client.step((r) => r.acknowledge(true))
    expect(client.acks()).toEqual([40])
  })
})

describe('a hole', () => {
  test('is asked for once, then the link goes, then it is passed over', () => {
    const client = new Client(null)
    client.login({ epoch: 'e', seq: 0 })
    client.step((r) => r.pushed(message(1)))
    let trouble: unknown
    client.step((r) => (trouble = r.pushed(message(3))))
    expect([trouble, client.said(), client.receiving.syncing]).toEqual([
      null,
      [{ type: 'SyncRequest', after: 1 }],
      true,
    ])
    expect(client.step((r) => (trouble = r.syncOverdue()))).toEqual([])
    client.receiving.offline()
    expect(trouble).toBe(Trouble.HOLE)
    client.login({ epoch: 'e', seq: 0, resume: 'recovered' })
    const told = client.step((r) => (trouble = r.pushed(message(3))))
    expect([trouble, told.map((event) => event.type)]).toEqual([
      null,
      ['MessagesMayBeMissing', 'MessageReceived'],
    ])
    expect(client.receiving.inbox.received).toBe(3)
  })
})

test('what came behind a message that waits for the journal is told behind it', () => {
  const client = new Client(new JournalState())
  client.login({ epoch: 'e', seq: 0 })
  client.bench.write()
  const read: Push = { type: 'ReadSync', fromUser: 2, msgId: 9, seq: 2 }
  expect(client.step((r) => [r.pushed(message(1)), r.pushed(read)])).toEqual([])
  expect(client.step((r) => r.pushed({ ...read, seq: 3 }))).toEqual([])
  expect(client.receiving.held).toBe(3)
  while (client.bench.write()) client.bench.journaling.pump()
  expect(client.step().map((event) => event.type)).toEqual([
    'MessageReceived',
    'ReadElsewhere',
    'ReadElsewhere',
  ])
})

test('an application that is behind stops the reading, until it is half through', () => {
  const client = new Client(null, { maxUnhandled: 4 })
  const deliveries: number[] = []
  const seen: string[] = []
  const look = () => {
    client.receiving.lookBehind()
    seen.push(...client.bench.take().map((event) => event.type))
  }
  for (let n = 1; n <= 5; n++) {
    const told = client.step((r) => r.pushed(message(null, { content: `${n}` } as Push)))
    deliveries.push((told[0] as MessageReceived).delivery)
    look()
  }
  for (const delivery of deliveries) {
    client.step((r) => r.handled(delivery))
    seen.push('handled')
    look()
  }
  expect(seen).toEqual([
    'ReadingPaused',
    ...Array(3).fill('handled'),
    'ReadingResumed',
    ...Array(2).fill('handled'),
  ])
})

test('the oldest that nobody has begun with goes when too many wait', () => {
  const client = new Client(null, { maxUnhandled: 2, whenFull: 'drop_oldest' })
  client.login({ epoch: 'e', seq: 0 })
  const first = client.step((r) => r.pushed(message(1)))[0] as MessageReceived
  client.receiving.inbox.take(first.delivery)
  client.step((r) => r.pushed(message(2)))
  const told = client.step((r) => r.pushed(message(3)))
  const dropped = { type: 'MessageDropped', delivery: 2, fromUser: 2, msgId: 2, seq: 2 }
  expect(told.at(-1)).toEqual(dropped)
  client.step((r) => r.handled(first.delivery))
  client.step((r) => r.acknowledge(true))
  expect(client.acks()).toEqual([2])
})

/**
 * A mailbox, a client with a journal and an application, and whatever can go wrong between them: the
 * process ends, the store loses what is newest or oldest, pushes are left out, the application
 * handles in any order, or fails.
 */
class World {
  readonly chance: Chance
  readonly disk = new JournalState()
  readonly seen: Record<string, number> = {}
  client: Client
  // the mailbox: by seq, (kind, name of the entry)
  epoch = 1
  oldest = 1
  head = 0
  entries = new Map<number, [kind: string, name: number]>()
  names = 0
  // the server's side of the link; null: there is none
  at: number | null = null
  acked = 0
  // of the application, over all its lives, by the name of a message
  shown = new Set<number>()
  shownNow = new Set<number>()
  /** that it comes was perhaps written, and the process ended before it was shown */
  saidNow = new Set<number>()
  saidBefore = new Set<number>()
  worked = new Map<number, number>()
  settled = new Set<number>()
  excused = new Set<number>()
  wasReset = false
  having = new Map<number, MessageReceived>()

  /**
   * @param transactional the application writes what it has handled into the journal itself, together
   *   with its own work.
   */
  constructor(
    seed: number,
    readonly transactional: boolean,
  ) {
    this.chance = new Chance(seed)
    this.client = this.process()
  }

  count(what: string): void {
    this.seen[what] = (this.seen[what] ?? 0) + 1
  }

  process(): Client {
    this.at = null
    this.having = new Map()
    this.shownNow = new Set()
    for (const name of this.saidNow) this.saidBefore.add(name)
    return new Client(this.disk, { handlerAttempts: 2 })
  }

  step(): void {
    const often = ['arrive', 'connect', 'push', 'push', 'work', 'work', 'write', 'write'] as const
    const rare = ['skip', 'failWrite', 'lose', 'crash', 'time', 'restore', 'trim'] as const
    this[this.chance.odds(0.93) ? this.chance.pick(often) : this.chance.pick(rare)]()
    this.check()
  }

  arrive(): void {
    for (let n = this.chance.int(1, 3); n; n--) {
      const kind = this.chance.pick(['message', 'message', 'note', 'copy', 'own', 'read', 'new'])
      this.entries.set(++this.head, [kind, ++this.names])
    }
  }

  /** A log-in, and what the server makes of `resume`. */
  connect(): void {
    if (this.at !== null) return
    const epoch = `e${this.epoch}`
    const resume = this.client.receiving.inbox.resume()
    const data: Partial<AuthData> = { epoch, seq: this.oldest - 1 }
    if (resume !== null) {
      const seq = resume.seq as number
      const known = this.entries.get(seq)?.[1]
      const good =
        resume.epoch === epoch &&
        this.oldest - 1 <= seq &&
        seq <= this.head &&
        (resume.msgId === null || known === undefined || known === resume.msgId)
      data.resume = good ? 'recovered' : 'reset'
      if (good) data.seq = seq
      else data.oldest = this.oldest
      this.wasReset ||= !good
      this.count(data.resume)
    }
    this.at = this.acked = data.seq as number
    this.hear(() => this.client.login(data))
  }

  /** The next of the mailbox, some in one text. */
  push(): void {
    const seqs: number[] = []
    for (let n = this.chance.int(1, 4); n && this.at !== null && this.at < this.head; n--) {
      seqs.push(++this.at)
    }
    this.say(seqs)
  }

  /** The server leaves one out. */
  skip(): void {
    if (this.at === null || this.at + 1 >= this.head) return
    this.count('holes')
    this.at++
    this.push()
  }

  say(seqs: number[]): void {
    this.hear(() =>
      this.client.step((receiving) => {
        for (const seq of seqs) {
          const trouble = receiving.pushed(this.pushOf(seq))
          if (trouble === null) continue
          this.lose()
          break
        }
      }),
    )
  }

  pushOf(seq: number): Push {
    const [kind, name] = this.entries.get(seq)!
    this.saidNow.add(name)
    if (kind === 'read') return { type: 'ReadSync', fromUser: 2, msgId: name, seq }
    if (kind === 'new') return { type: 'Unknown', kind: 'NEW', seq }
    const more = { content: `m${name}`, msgId: name }
    if (kind === 'message') return message(seq, more)
    const deviceId = kind === 'copy' ? 'tablet' : DEVICE
    return message(seq, { ...more, fromUser: ME, toUser: kind === 'note' ? ME : 2, deviceId })
  }

  /** The application handles one of what it has, in any order, or fails on it. */
  work(): void {
    if (!this.having.size) return
    const delivery = this.chance.pick([...this.having.keys()])
    const failed = this.chance.odds(0.3)
    if (!failed) {
      this.handle(delivery, this.transactional && this.chance.odds(0.05))
      return
    }
    this.count('failures')
    this.having.delete(delivery)
    this.hear(() => this.client.step((receiving) => receiving.failed(delivery)))
  }

  /** `over`: the process ends before it can say so. */
  handle(delivery: number, over = false): void {
    const given = this.having.get(delivery)!
    const name = given.msgId as number
    this.having.delete(delivery)
    this.worked.set(name, (this.worked.get(name) ?? 0) + 1)
    this.settled.add(name)
    if (this.transactional) this.disk.apply([pairKnown(given)!])
    if (over) this.crash()
    else this.hear(() => this.client.step((receiving) => receiving.handled(delivery)))
  }

  write(): void {
    this.hear(() => (this.client.bench.write() ? this.client.step() : []))
  }

  failWrite(): void {
    const { bench } = this.client
    if (bench.writing === null) return
    this.count('failed writes')
    const [changes] = bench.journaling.failed(bench.writing.request)!
    bench.writing = null
    bench.journaling.again(changes)
  }

  lose(): void {
    this.at = null
    this.client.receiving.offline()
  }

  time(): void {
    this.client.bench.fx.now += this.chance.pick([0.1, 1.1])
    this.hear(() => this.client.step((receiving) => receiving.acknowledge(true)))
  }

  /** The process ends; its last write is on disk, or it is not. */
  crash(): void {
    this.count('crashes')
    if (this.chance.odds(0.5)) this.client.bench.write()
    this.client = this.process()
  }

  /** The store is that of an earlier time, so it has another epoch. */
  restore(): void {
    this.lose()
    this.count('restored')
    this.wasReset = true
    this.epoch++
    const head = this.chance.int(Math.max(this.oldest - 1, this.head - 4), this.head)
    while (this.head > head) this.forget(this.head--)
  }

  /** The store has dropped what is oldest. */
  trim(): void {
    this.lose()
    const oldest = this.chance.int(this.oldest, this.head + 1)
    while (this.oldest < oldest) this.forget(this.oldest++)
  }

  forget(seq: number): void {
    this.excused.add(this.entries.get(seq)![1])
    this.entries.delete(seq)
  }

  // ------------------------------------------------------------ what must come of it

  /** Do it, and note what the application is told and the server hears. */
  hear(act: () => Event[]): void {
    const told = act()
    for (const said of this.client.said()) {
      if (said.type === 'ChatAck') {
        this.ack(said.seq)
      } else if (said.type === 'SyncRequest' && this.at !== null) {
        this.at = said.after
        this.client.receiving.synced({
          type: 'SyncResponse',
          status: 'recovered',
          oldest: this.oldest,
          epoch: null,
        })
      }
    }
    for (const event of told) this.told(event)
  }

  told(event: Event): void {
    this.count(event.type)
    if (event.type === 'MessageReceived') {
      const name = event.msgId as number
      expect(event.content).toBe(`m${name}`)
      const again = this.shown.has(name)
      if (again) expect(event.redelivered, `${name} is shown again, unflagged`).toBe(true)
      const mayBe = again || this.wasReset || this.saidBefore.has(name)
      if (!mayBe) expect(event.redelivered, `${name} is new, and flagged`).toBe(false)
      if (event.redelivered) this.count('flagged')
      if (this.shownNow.has(name)) expect(event.attempt, `${name} twice in one life`).toBe(2)
      if (this.transactional) expect(this.worked.has(name), `${name} after its work`).toBe(false)
      this.shown.add(name)
      this.shownNow.add(name)
      this.having.set(event.delivery, event)
    } else if (event.type === 'MessageUndeliverable') {
      expect(event.attempts).toBe(2)
      this.settled.add(event.msgId as number)
    } else if (event.type === 'MessagesMayBeMissing') {
      for (let seq = this.oldest; seq < event.oldest; seq++) {
        this.excused.add(this.entries.get(seq)![1])
      }
    }
  }

  ack(seq: number): void {
    expect(this.at, 'an ack without a link').not.toBeNull()
    expect(seq).toBeGreaterThan(this.acked)
    expect(seq).toBeLessThanOrEqual(this.at!)
    expect(this.disk.cursor!.epoch).toBe(`e${this.epoch}`)
    expect(seq, 'acknowledges what is not on disk').toBeLessThanOrEqual(this.disk.cursor!.seq)
    this.acked = seq
    this.count('acks')
  }

  /** What is on disk is true. */
  check(): void {
    const { cursor, handled } = this.disk
    if (cursor === null || cursor.epoch !== `e${this.epoch}`) return
    for (const [seq, [kind, name]] of this.entries) {
      if (seq > cursor.seq && !handled.has(seq)) continue
      if (kind !== 'message' && kind !== 'note') continue
      if (this.excused.has(name) || this.settled.has(name)) continue
      expect.fail(`${name} at ${seq} is not handled, and the disk says it is`)
    }
  }

  /** All goes well from here on: then everything was handled, and that is on disk. */
  finish(): void {
    if (this.chance.odds(0.5)) this.crash()
    for (let round = 0; round < 40; round++) {
      this.connect()
      while (this.at !== null && this.at < this.head) this.say([++this.at])
      for (const delivery of [...this.having.keys()]) this.handle(delivery)
      while (this.client.bench.writing) this.write()
      this.time()
      this.check()
    }
    for (const [kind, name] of this.entries.values()) {
      if (kind !== 'message' && kind !== 'note') continue
      if (!this.excused.has(name)) expect(this.settled, `${name} was never handled`).toContain(name)
      if (this.transactional) expect(this.worked.get(name) ?? 1).toBe(1)
    }
    expect(this.disk.cursor!.seq).toBe(this.head)
    expect(this.disk.handled.size).toBe(0)
    expect(this.acked).toBe(this.head)
  }
}

describe('whatever happens, nothing is lost, and what comes twice says so', () => {
  test.each([false, true])(
    'where the application writes itself: %s',
    (transactional) => {
      const seen = walks((seed) => new World(seed, transactional), 250)
      const wanted = [
        'crashes',
        'flagged',
        'acks',
        'failures',
        'failed writes',
        'recovered',
        'reset',
      ]
      const events = ['MessageUndeliverable', 'OwnMessage', 'ReadElsewhere', 'UnknownMessage']
      const others = ['restored', 'holes', 'MessagesMayBeMissing', 'DuplicateSuppressed']
      for (const what of [...wanted, ...events, ...others]) {
        expect(seen[what] ?? 0, what).toBeGreaterThan(20)
      }
    },
    WALKS,
  )
})
