import { describe, expect, test } from 'vitest'
import { random } from '../../src/lab/chaos'
import { SteppedClock } from '../../src/lab/clock'
import { FakeTime } from './fake-lab'

function setUp() {
  const base = new FakeTime()
  const clock = new SteppedClock(base)
  const fired: string[] = []
  const set = (name: string, ms: number): number =>
    clock.setTimeout(() => fired.push(`${name} at ${clock.now()}`), ms)
  return { base, clock, fired, set }
}

describe('a stepped clock', () => {
  test('runs like the one below it', async () => {
    const { base, clock, fired, set } = setUp()
    set('late', 300)
    set('early', 100)
    await base.pass(200)
    expect(fired).toEqual(['early at 100'])
    expect(clock.now()).toBe(200)
    expect(clock.wall()).toBe(base.wall())
    await base.pass(100)
    expect(fired).toEqual(['early at 100', 'late at 300'])
  })

  test('a step moves both clocks, and what is due fires at once, in the order of its time', () => {
    const { base, clock, fired, set } = setUp()
    set('third', 9000)
    set('first', 20)
    set('not yet', 10_001)
    set('second', 5000)
    clock.step(10_000)
    expect(fired).toEqual(['first at 10000', 'second at 10000', 'third at 10000'])
    expect(clock.wall()).toBe(base.wall() + 10_000)
  })

  test('what was not due at a step fires when the rest of its time is over', async () => {
    const { base, clock, fired, set } = setUp()
    set('later', 10_500)
    clock.step(10_000)
    await base.pass(499)
    expect(fired).toEqual([])
    await base.pass(1)
    expect(fired).toEqual(['later at 10500'])
  })

  test('two timers of one time fire in the order in which they were set', () => {
    const { clock, fired, set } = setUp()
    set('one', 100)
    set('two', 100)
    clock.step(100)
    expect(fired).toEqual(['one at 100', 'two at 100'])
  })

  test('a timer that an earlier one calls off does not fire', () => {
    const { clock, fired, set } = setUp()
    clock.setTimeout(() => clock.clearTimeout(victim), 10)
    const victim = set('victim', 20)
    clock.step(1000)
    expect(fired).toEqual([])
  })

  test('what a timer sets goes off later, also if its time is over already', async () => {
    const { base, clock, fired, set } = setUp()
    clock.setTimeout(() => set('child', 0), 10)
    clock.step(1000)
    expect(fired).toEqual([])
    await base.pass(0)
    expect(fired).toEqual(['child at 1000'])
  })

  test('in a sleep the wall clock goes on and the monotonic one does not', async () => {
    const { base, clock, fired, set } = setUp()
    set('timer', 100)
    clock.sleep(60_000)
    expect([clock.now(), clock.wall() - base.wall(), clock.wallAhead]).toEqual([0, 60_000, 60_000])
    expect(fired).toEqual([])
    await base.pass(100)
    expect(fired).toEqual(['timer at 100'])
  })

  test.each([1, 2, 3, 4, 5])(
    'in a random walk nothing fires early, twice or out of order (%i)',
    async (seed) => {
      const { base, clock } = setUp()
      const draw = random(seed)
      const fired: { due: number; at: number }[] = []
      const open = new Map<number, number>()
      for (let i = 0; i < 400; i++) {
        const what = draw()
        if (what < 0.5) {
          const due = clock.now() + Math.floor(draw() * 5000)
          const id: number = clock.setTimeout(() => {
            expect(open.delete(id)).toBe(true)
            fired.push({ due, at: clock.now() })
          }, due - clock.now())
          open.set(id, due)
        } else if (what < 0.6) {
          const [id] = open.keys()
          if (id !== undefined) {
            clock.clearTimeout(id)
            open.delete(id)
          }
        } else if (what < 0.75) clock.step(Math.floor(draw() * 3000))
        else await base.pass(Math.floor(draw() * 500))
        expect([...open.values()].every((due) => due >= clock.now())).toBe(true)
      }
      expect(fired.length).toBeGreaterThan(50)
      expect(fired.every(({ due, at }) => at >= due)).toBe(true)
      for (const [i, { due }] of fired.entries())
        if (i > 0) expect(due).toBeGreaterThanOrEqual(fired[i - 1]!.due)
    },
  )
})
