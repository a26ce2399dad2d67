import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { plan } from '../../src/lab/chaos'
import { Lab, patience } from '../../src/lab/lab'
import { FakeLab } from './fake-lab'

let fake: FakeLab
let lab: Lab

beforeEach(async () => {
  fake = new FakeLab()
  fake.stored.a.push(-1) // of an earlier page
  lab = await Lab.start(fake.world)
})

afterEach(() => lab.close())

const texts = (): string[] => lab.log.entries.value.map((entry) => entry.text)

describe('a flood', () => {
  test('that all arrives is counted, and the database agrees', async () => {
    await fake.time.pass(1000)
    expect(lab.verdict.value).toMatchObject({ lost: 0, stored: 0 })
    lab.flood(100)
    await fake.time.pass(20)
    expect(lab.verdict.value!.lost).toBeNull()
    await fake.time.pass(2000)
    expect(lab.tally.value).toMatchObject({ sent: 200, accepted: 200, received: 200, open: 0 })
    expect(lab.tally.value).toMatchObject({ duplicated: 0, outOfOrder: 0 })
    expect(lab.verdict.value).toMatchObject({ lost: 0, stored: 200 })
  })

  test('has texts that differ', async () => {
    lab.flood(50)
    const sent = [...fake.clients.values()].flatMap((client) => client.outbox)
    expect(new Set(sent.map((one) => one.content)).size).toBe(100)
  })

  test('of which something does not arrive has lost it, when patience is over', async () => {
    fake.fate = (text) => ({ arrives: text.includes('#7·') ? 0 : 1, stored: true })
    lab.flood(10)
    await fake.time.pass(14_000)
    expect(lab.verdict.value).toMatchObject({ lost: null, text: '1 message on the way' })
    await fake.time.pass(3000)
    expect(lab.verdict.value!.lost).toBe(1)
  })

  test('of which something arrives twice has duplicated it', async () => {
    fake.fate = (text) => ({ arrives: text.includes('#7·') ? 2 : 1, stored: true })
    lab.flood(10)
    await fake.time.pass(2000)
    expect(lab.tally.value).toMatchObject({ received: 20, duplicated: 1 })
  })

  test('of which the database does not have everything has lost it', async () => {
    fake.fate = (text) => ({ arrives: 1, stored: !text.includes('#7·') })
    lab.flood(10)
    await fake.time.pass(2000)
    expect(lab.verdict.value).toMatchObject({ lost: 1, stored: 19 })
  })
})

describe('patience with what has not arrived', () => {
  const steady = { latency: 0, jitter: 0, loss: 0, blackhole: false }
  const running = { state: 'running' as const, pid: 1, starts: 1 }

  test('is short when nothing is under way', () => {
    const hole = { a: { ...steady, blackhole: true }, b: steady }
    expect(patience(0, { ...running, state: 'killed' }, hole)).toBeLessThan(1000)
  })

  test('does not end while the network is broken or the server is down', () => {
    const calm = { a: steady, b: steady }
    expect(patience(1, running, calm)).toBeLessThan(60_000)
    expect(patience(1, { ...running, state: 'killed' }, calm)).toBe(Infinity)
    expect(patience(1, running, { a: steady, b: { ...steady, loss: 0.1 } })).toBe(Infinity)
    expect(patience(1, running, { a: { ...steady, blackhole: true }, b: steady })).toBe(Infinity)
  })

  test('is longer on a slow network', () => {
    const slow = { a: { ...steady, latency: 2 }, b: steady }
    expect(patience(1, running, slow)).toBe(patience(1, running, { a: steady, b: steady }) + 8000)
  })
})

describe('chaos', () => {
  test('does what its plan says, while both write, and ends with a verdict', async () => {
    lab.startChaos(11)
    await fake.time.pass(30_000)
    expect(lab.chaos.value).toMatchObject({ phase: 'running', seed: 11 })
    expect(lab.chaos.value.left).toBeLessThanOrEqual(30_000)
    await fake.time.pass(33_000)
    const planned = plan(11)
    const cuts = planned.filter(({ fault }) => fault.do === 'cut')
    expect(fake.calls.filter(([what]) => what === 'cut')).toHaveLength(cuts.length)
    const orders = planned.map(({ fault }) => fault.do as string)
    expect(fake.calls.filter(([what]) => what === 'server').map(([, order]) => order)).toEqual(
      orders.filter((order) => ['kill', 'start', 'restart'].includes(order)),
    )
    expect(lab.chaos.value.phase).toBe('over')
    expect(lab.chaos.value.faults).toBe(planned.length)
    expect(lab.tally.value!.sent).toBeGreaterThan(700)
    expect(lab.chaos.value.text).toBe(`${planned.length} faults, nothing lost`)
    expect(texts()).toContain(
      `chaos is over: seed 11, ${planned.length} faults, ${lab.tally.value!.sent} messages: ` +
        'lost 0, duplicated 0, out of order 0',
    )
  })

  test('in which a message is doubled does not end well', async () => {
    fake.fate = (text) => ({ arrives: text.includes('#7·') ? 2 : 1, stored: true })
    lab.startChaos(11)
    await fake.time.pass(70_000)
    expect(lab.chaos.value.text).toContain('something is wrong')
  })

  test('that is stopped mends what it has broken, and says no more', async () => {
    lab.startChaos(11)
    await fake.time.pass(5000)
    await lab.apply({ do: 'kill' })
    await lab.apply({ do: 'blackhole', side: 'b', on: true })
    await lab.apply({ do: 'weather', side: 'a', weather: { latency: 1, jitter: 0, loss: 0.5 } })
    await lab.stopChaos()
    expect(fake.info.server.state).toBe('running')
    const steady = { latency: 0, jitter: 0, loss: 0, blackhole: false }
    expect(fake.info.faults).toEqual({ a: steady, b: steady })
    const { length } = fake.calls
    const { sent } = lab.tally.value!
    await fake.time.pass(10_000)
    expect(fake.calls).toHaveLength(length)
    expect(lab.tally.value!.sent - sent).toBeLessThan(10)
    expect(lab.chaos.value.phase).toBe('over')
  })
})

describe('what is done', () => {
  test('to a clock changes that of one window only', async () => {
    await lab.apply({ do: 'step', side: 'a', ms: 10_000 })
    await lab.apply({ do: 'sleep', side: 'a', ms: 60_000 })
    expect(lab.sides.a.clock.wallAhead).toBe(70_000)
    expect(lab.sides.a.clock.now()).toBe(fake.time.now() + 10_000)
    expect(lab.sides.b.clock.wallAhead).toBe(0)
    expect(texts().slice(0, 2)).toEqual(['Alice’s machine sleeps 60 s', 'Alice’s clocks jump 10 s'])
  })

  test('to no avail is written down', async () => {
    fake.api.expire = () => Promise.reject(new Error('the server does not run'))
    await lab.apply({ do: 'expire', side: 'b' })
    expect(texts()[0]).toBe('could not: the server does not run')
  })
})

describe('the log', () => {
  test('sums messages up, and keeps the last 200 lines', async () => {
    lab.flood(10)
    await fake.time.pass(5000)
    const sums = texts().filter((text) => text.includes('accepted'))
    expect(sums).toEqual(['10 accepted, 10 received', '10 accepted, 10 received'])
    for (let i = 0; i < 300; i++) lab.log.add('link', 'a', `line ${i}`)
    expect(lab.log.entries.value).toHaveLength(200)
    expect(texts()[0]).toBe('line 299')
  })
})

test('lost segments are summed up too, each link for itself', async () => {
  for (const seconds of [0.2, 0.6]) fake.listener!.link({ window: 'b', what: 'lost', seconds })
  fake.listener!.link({ window: 'b', what: 'reset' })
  await fake.time.pass(3000)
  expect(texts().slice(0, 2)).toEqual(['2 segments were lost: stalls of 0.8 s', 'connection reset'])
  expect(lab.log.entries.value.slice(0, 2).map((entry) => entry.side)).toEqual(['b', 'b'])
})

test('each client has its own clock and device, and the token of its window', async () => {
  const configs = [...fake.clients.values()].map((client) => client.config)
  expect(configs.map((config) => config.deviceId)).toEqual(['lab-a', 'lab-b'])
  expect(configs.map((config) => config.tabs)).toEqual([false, false])
  expect(await (configs[1]!.token as () => Promise<string>)()).toBe('token of b')
  lab.sides.b.clock.step(5000)
  expect(configs[1]!.environment!.now!()).toBe(configs[0]!.environment!.now!() + 5000)
})

test('the newest message is marked as read, once', async () => {
  lab.flood(3)
  await fake.time.pass(1000)
  expect(fake.clients.get(1)!.marked).toEqual([[2, 6]])
})

test('a page that is left ends its clients, and nothing goes on', async () => {
  await lab.close()
  expect([...fake.clients.values()].every((client) => client.closed)).toBe(true)
  const before = lab.tally.value
  await fake.time.pass(1000)
  expect(lab.tally.value).toBe(before)
})
