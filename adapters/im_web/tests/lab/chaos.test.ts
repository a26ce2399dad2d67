import { describe, expect, test } from 'vitest'
import { CALM, describe as inWords, plan, random, type Fault } from '../../src/lab/chaos'

const SEEDS = Array.from({ length: 200 }, (_, i) => i)
const MINUTE = 60_000

describe('a random source', () => {
  test('gives the same numbers for the same seed, from 0 to below 1', () => {
    const [one, two] = [random(7), random(7)]
    const numbers = Array.from({ length: 1000 }, one)
    expect(numbers).toEqual(Array.from({ length: 1000 }, two))
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...numbers)).toBeLessThan(1)
    const mean = numbers.reduce((sum, number) => sum + number) / numbers.length
    expect(mean).toBeCloseTo(0.5, 1)
  })

  test('gives others for another seed', () => {
    expect(random(1)()).not.toBe(random(2)())
  })
})

describe('a plan', () => {
  test('is the same for the same seed, and another for another', () => {
    expect(plan(7)).toEqual(plan(7))
    expect(plan(7)).not.toEqual(plan(8))
  })

  test('is in the order of time, within its minute', () => {
    for (const seed of SEEDS) {
      const times = plan(seed).map(({ at }) => at)
      expect(times).toEqual([...times].sort((a, b) => a - b))
      expect(times[0]).toBeGreaterThanOrEqual(0)
      expect(times.at(-1)).toBeLessThan(MINUTE)
      expect(times.length).toBeGreaterThan(30)
    }
  })

  test('starts a server that it has killed, and asks nothing of one that is down', () => {
    for (const seed of SEEDS) {
      let up = true
      for (const { fault } of plan(seed)) {
        if (fault.do === 'kill' || fault.do === 'restart') expect(up).toBe(true)
        if (fault.do === 'expire') expect(up).toBe(true)
        if (fault.do === 'start') expect(up).toBe(false)
        if (fault.do === 'kill') up = false
        if (fault.do === 'start') up = true
      }
      expect(up).toBe(true)
    }
  })

  test('closes each hole before it opens another, and in the end', () => {
    for (const seed of SEEDS) {
      const open = { a: false, b: false }
      for (const { fault } of plan(seed)) {
        if (fault.do !== 'blackhole') continue
        expect(open[fault.side]).toBe(!fault.on)
        open[fault.side] = fault.on
      }
      expect(open).toEqual({ a: false, b: false })
    }
  })

  test('leaves the network calm', () => {
    for (const seed of SEEDS)
      for (const side of ['a', 'b']) {
        const last = plan(seed).filter(({ fault }) => fault.do === 'weather' && fault.side === side)
        expect(last.at(-1)!.fault).toEqual({ do: 'weather', side, weather: CALM })
      }
  })

  test('knows every kind of fault, for both sides', () => {
    const seen = new Set(
      SEEDS.flatMap((seed) =>
        plan(seed).map(({ fault }) => `${fault.do} ${'side' in fault ? fault.side : ''}`.trim()),
      ),
    )
    const ofASide = ['cut', 'expire', 'weather', 'blackhole', 'step', 'sleep']
    expect(seen).toEqual(
      new Set([
        'kill',
        'start',
        'restart',
        'cut both',
        ...ofASide.flatMap((kind) => [`${kind} a`, `${kind} b`]),
      ]),
    )
  })

  test('can be shorter', () => {
    for (const { at } of plan(3, 5000)) expect(at).toBeLessThan(5000)
  })
})

test('every fault has its words', () => {
  const names = { a: 'Alice', b: 'Bob' }
  const words = (fault: Fault): string => inWords(fault, names)
  expect(words({ do: 'cut', side: 'both', how: 'half' })).toBe('cut both: half')
  expect(words({ do: 'restart' })).toBe('restart the server')
  expect(words({ do: 'expire', side: 'b' })).toBe('Bob’s token expires')
  expect(words({ do: 'weather', side: 'a', weather: CALM })).toBe('Alice’s network is calm')
  expect(
    words({ do: 'weather', side: 'a', weather: { latency: 0.25, jitter: 0.1, loss: 0.05 } }),
  ).toBe('Alice’s network: 250 to 350 ms, 5 % lost')
  expect(words({ do: 'weather', side: 'a', weather: { latency: 0.25, jitter: 0, loss: 0 } })).toBe(
    'Alice’s network: 250 ms',
  )
  expect(words({ do: 'blackhole', side: 'b', on: true })).toBe('Bob’s bytes fall into a hole')
  expect(words({ do: 'sleep', side: 'a', ms: 60_000 })).toBe('Alice’s machine sleeps 60 s')
})
