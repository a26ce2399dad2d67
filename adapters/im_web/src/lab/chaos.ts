/** What goes wrong in a minute of chaos, and when: drawn from a seed, so that it can be repeated. */

/** One of the two chat windows. */
export type Side = 'a' | 'b'

/** How a connection is cut. */
export type Cut = 'reset' | 'fin' | 'half'

/** What the network does to a window's connection. */
export interface Weather {
  /** Seconds, one way. */
  latency: number
  /** At most so many seconds more. */
  jitter: number
  /** The part of the segments that is lost, 0 to 1. */
  loss: number
}

/** One thing that is done. */
export type Fault =
  | { do: 'cut'; side: Side | 'both'; how: Cut }
  | { do: 'kill' | 'stop' | 'start' | 'restart' }
  | { do: 'expire'; side: Side }
  | { do: 'weather'; side: Side; weather: Weather }
  | { do: 'blackhole'; side: Side; on: boolean }
  | { do: 'step'; side: Side; ms: number }
  | { do: 'sleep'; side: Side; ms: number }

/** A fault with its time, ms from the start. */
export interface Planned {
  at: number
  fault: Fault
}

/** No delay, no loss. */
export const CALM: Weather = { latency: 0, jitter: 0, loss: 0 }

const CUTS: readonly Cut[] = ['reset', 'fin', 'half']

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let bits = Math.imul(state ^ (state >>> 15), state | 1)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), bits | 61)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * A plan of about one fault a second. What it breaks it mends: a killed server is started again, a
 * hole is closed, and the weather is calm in the end.
 *
 * @param duration - ms; nothing happens later.
 */
export function plan(seed: number, duration = 60_000): Planned[] {
  const draw = random(seed)
  const between = (low: number, high: number): number => Math.round(low + draw() * (high - low))
  const pick = <T>(from: readonly T[]): T => from[Math.floor(draw() * from.length)]!
  const last = duration - 1
  const planned: Planned[] = []
  const add = (at: number, fault: Fault): void =>
    void planned.push({ at: Math.min(at, last), fault })
  let serverFrom = 0
  const holeUntil = { a: 0, b: 0 }
  for (let at = between(300, 1000); at < last; at += between(400, 1800)) {
    const side = pick(['a', 'b'] as const)
    const kind = draw()
    if (kind < 0.3) {
      add(at, { do: 'cut', side: draw() < 0.2 ? 'both' : side, how: pick(CUTS) })
    } else if (kind < 0.45) {
      if (at < serverFrom) continue
      const down = between(300, 4000)
      serverFrom = at + down + 3000
      if (draw() < 0.3) {
        add(at, { do: 'restart' })
      } else {
        add(at, { do: 'kill' })
        add(at + down, { do: 'start' })
      }
    } else if (kind < 0.65) {
      const loss = draw() < 0.5 ? between(0, 30) / 100 : 0
      const weather = { latency: between(0, 500) / 1000, jitter: between(0, 300) / 1000, loss }
      add(at, { do: 'weather', side, weather })
    } else if (kind < 0.78) {
      if (at < holeUntil[side]) continue
      holeUntil[side] = at + between(500, 5000)
      add(at, { do: 'blackhole', side, on: true })
      add(holeUntil[side], { do: 'blackhole', side, on: false })
    } else if (kind < 0.86) {
      // a server that is down has nothing to expire
      if (at >= serverFrom) add(at, { do: 'expire', side })
    } else if (kind < 0.94) {
      add(at, { do: 'step', side, ms: pick([10_000, 60_000]) })
    } else {
      add(at, { do: 'sleep', side, ms: 60_000 })
    }
  }
  for (const side of ['a', 'b'] as const) add(last, { do: 'weather', side, weather: CALM })
  return planned.sort((a, b) => a.at - b.at)
}

/** A fault in words; `names` are those of the users. */
export function describe(fault: Fault, names: Record<Side, string>): string {
  const whose = 'side' in fault ? (fault.side === 'both' ? 'both' : names[fault.side]) : ''
  switch (fault.do) {
    case 'cut':
      return `cut ${whose}: ${fault.how}`
    case 'kill':
    case 'stop':
    case 'start':
    case 'restart':
      return `${fault.do} the server`
    case 'expire':
      return `${whose}’s token expires`
    case 'weather': {
      const { latency, jitter, loss } = fault.weather
      if (latency + jitter + loss === 0) return `${whose}’s network is calm`
      const ms = [latency, latency + jitter].map((seconds) => Math.round(seconds * 1000))
      const delay = ms[0] === ms[1] ? `${ms[0]} ms` : `${ms[0]} to ${ms[1]} ms`
      const lost = loss > 0 ? `, ${Math.round(loss * 100)} % lost` : ''
      return `${whose}’s network: ${delay}${lost}`
    }
    case 'blackhole':
      return fault.on ? `${whose}’s bytes fall into a hole` : `${whose}’s hole is closed`
    case 'step':
      return `${whose}’s clocks jump ${fault.ms / 1000} s`
    case 'sleep':
      return `${whose}’s machine sleeps ${fault.ms / 1000} s`
  }
}
